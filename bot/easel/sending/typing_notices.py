"""Typing notices, which show in a room that the bot is working. Dendrite limits them to five in half a second."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from ..background import cancelled

# How long a notice is shown; it is sent again before it runs out.
TYPING_FOR_S = 30
TYPING_AGAIN_S = 20

# Events that come in this time, such as a picture with its recipe and sign, end typing together.
TOGETHER_S = 1.0


class TypingNotices:
    """Shows typing in a room while any of its jobs is open.

    Element takes any event of a person as the end of their typing, and a homeserver passes on only changes: so after
    each event of ours, typing ends and starts again.
    """

    def __init__(self, set_typing: Callable[[str, int], Awaitable[None]], *, together_s: float = TOGETHER_S) -> None:
        self._set_typing, self._together_s = set_typing, together_s
        self._jobs: Counter[str] = Counter()
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._interrupted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def interrupted(self, room_id: str) -> None:
        """Start typing again, since an event of ours ended it."""
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
                await cancelled(keeper)
                # Meanwhile the room's next job may have started.
                if room_id not in self._jobs:
                    await self._set_typing(room_id, 0)

    async def _keep(self, room_id: str) -> None:
        while True:
            await self._set_typing(room_id, TYPING_FOR_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(TYPING_AGAIN_S):
                    await self._interrupted[room_id].wait()
                await asyncio.sleep(self._together_s)
                self._interrupted[room_id].clear()
                await self._set_typing(room_id, 0)
