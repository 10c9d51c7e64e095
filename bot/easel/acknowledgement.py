"""What shows a person that their message is being worked on: typing, and one reaction on the message.

Typing is not counted by rate limits; reactions are progress, which the outbox drops where there is no room.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from .incoming import Message
from .job import job_id
from .outbox import NotSent, Outbox, Outgoing, Priority
from .picture_post import mark, reaction_content

# Clients show typing for as long as they are told; it is told again before it runs out.
TYPING_FOR_S = 30
TYPING_AGAIN_S = 20

WORKING, FAILED = "🎨", "❌"


class TypingNotices:
    """Typing is shown in a room while any of its jobs is open.

    Element takes any event of someone as the end of their typing, and a homeserver passes on only changes: after each
    event of ours typing ends and begins anew.
    """

    def __init__(self, set_typing: Callable[[str, int], Awaitable[None]]) -> None:
        self._set_typing = set_typing
        self._jobs: Counter[str] = Counter()
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._interrupted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def interrupted(self, room_id: str) -> None:
        """An event of ours is in the room."""
        if room_id in self._keepers:
            self._interrupted[room_id].set()

    @asynccontextmanager
    async def shown_in(self, room_id: str) -> AsyncIterator[None]:
        self._jobs[room_id] += 1
        if self._jobs[room_id] == 1:
            self._keepers[room_id] = asyncio.create_task(self._keep(room_id), name=f"typing in {room_id}")
        try:
            yield
        finally:
            self._jobs[room_id] -= 1
            if not self._jobs[room_id]:
                del self._jobs[room_id]
                keeper = self._keepers.pop(room_id)
                self._interrupted.pop(room_id, None)
                keeper.cancel()
                with suppress(asyncio.CancelledError):
                    await keeper
                # Meanwhile the room's next job may have begun.
                if room_id not in self._jobs:
                    await self._set_typing(room_id, 0)

    async def _keep(self, room_id: str) -> None:
        while True:
            await self._set_typing(room_id, TYPING_FOR_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(TYPING_AGAIN_S):
                    await self._interrupted[room_id].wait()
                self._interrupted[room_id].clear()
                await self._set_typing(room_id, 0)


class Acknowledgement:
    """The reaction on one message."""

    def __init__(self, message: Message, outbox: Outbox) -> None:
        self._message, self._outbox = message, outbox
        self._job = job_id(message.event_id)
        self._reaction: asyncio.Task[str | None] | None = None

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """React at once, without waiting for it. It stays after the end; ``failed`` takes it back."""
        self._reaction = asyncio.create_task(self._react(WORKING, "working"), name=f"reaction of {self._job}")
        try:
            yield
        except Exception:
            # It may be on its way; ``failed`` waits for it, to take it back.
            raise
        except BaseException:
            self._reaction.cancel()
            raise
        # Where the picture is, a reaction that still waits for room says nothing.
        self._reaction.cancel()

    async def failed(self) -> None:
        """The message's last word is a failure."""
        if self._reaction is not None:
            if reaction := await self._reaction:
                await self._send(Outgoing(room_id=self._message.room_id, txn_id=f"{self._job}-undo", redacts=reaction))
            await self._react(FAILED, "failed")

    async def _react(self, key: str, kind: str) -> str | None:
        content = {**reaction_content(self._message.event_id, key), **mark(self._job, kind)}
        return await self._send(
            Outgoing(
                room_id=self._message.room_id,
                txn_id=f"{self._job}-{kind}",
                event_type="m.reaction",
                content=content,
            )
        )

    async def _send(self, event: Outgoing) -> str | None:
        # Why it was not sent stands in the outbox's log; a missing reaction is no reason to stop.
        with suppress(NotSent):
            return await self._outbox.send(event, Priority.PROGRESS)
        return None
