"""Sends each event of a job once, whatever stops in between.

An event is noted before it is sent, and again after. If only the first note exists, the process ended between the two,
and the room's history shows whether the event is there.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypedDict, Unpack

from ..jobs.event_tables import Posted
from ..jobs.job import Job
from ..jobs.store import Store
from .content import REACTION_KINDS, EventKind, mark
from .promptness import Promptness
from .send_queue import NotSent, Outgoing, Priority, SendQueue

# Sentences and signs, which are dropped if too many wait for one person.
DROPPABLE = (
    EventKind.ANSWER,
    EventKind.ENDED,
    EventKind.OFFER,
    EventKind.HELLO,
    EventKind.UNREADABLE,
)


def txn_id_of(job: str, kind: EventKind, n: int) -> str:
    """The transaction id of a job's event."""
    return f"{job}-{kind}-{n}"


# A function, for content that takes work to make.
Content = dict[str, Any] | Callable[[], Awaitable[dict[str, Any]]]


class Options(TypedDict, total=False):
    """What an event of a job may have besides, as in ``SentOnce.send``."""

    n: int
    priority: Priority
    more: Mapping[str, int | str]


class FindOwn(Protocol):
    async def __call__(self, room_id: str, mark: dict[str, Any]) -> str | None:
        """The id of the bot's own event in that room with that mark, or None. Raises NotSent."""


class SentOnce:
    """Sends and redacts the events of jobs. Only one task at a time may send the events of one job."""

    def __init__(self, send_queue: SendQueue, store: Store, find_own: FindOwn) -> None:
        self._send_queue, self._store, self._find_own = send_queue, store, find_own
        self._promptness = Promptness()

    async def send(
        self,
        job: str,
        room_id: str,
        kind: EventKind,
        content: Content,
        *,
        person: str,
        n: int = 0,
        priority: Priority = Priority.ANSWER,
        more: Mapping[str, int | str] = MappingProxyType({}),
    ) -> str | None:
        """Send an event unless it is in the room; return its id, or None if it was dropped.

        ``person`` caused it. ``more`` is added to the event's mark. Raises NotSent.
        """
        txn_id = txn_id_of(job, kind, n)
        if there := await self._found(await self._store.posted(txn_id)):
            return there
        made = content if isinstance(content, dict) else await content()
        event = Outgoing(
            room_id=room_id,
            txn_id=txn_id,
            person=person,
            is_droppable=kind in DROPPABLE,
            event_type="m.reaction" if kind in REACTION_KINDS else "m.room.message",
            content={**made, **mark(job, kind, n=n, **more)},
        )
        await self._store.will_post(Posted(txn_id, job, room_id, kind, n, None))
        try:
            event_id = await self._send_queue.send(event, self._priority(person, kind, n, priority))
        except NotSent:
            await self._store.was_not_posted(txn_id)
            raise
        if event_id is None:
            await self._store.was_not_posted(txn_id)
        else:
            await self._store.was_posted(txn_id, event_id)
        return event_id

    async def send_for(self, job: Job, kind: EventKind, content: Content, **options: Unpack[Options]) -> str | None:
        """Send an event of a job into its room. Raises NotSent."""
        return await self.send(job.id, job.message.room_id, kind, content, person=job.message.sender, **options)

    def _priority(self, person: str, kind: EventKind, n: int, priority: Priority) -> Priority:
        """The priority of an event: an answer, and the sign that acknowledges a command, may be prompt."""
        if kind is EventKind.ANSWER:
            return self._promptness.of_answer(person)
        return self._promptness.of_sign(person) if kind is EventKind.REACTION and n == 0 else priority

    async def there(self, job: str, kind: EventKind, n: int | None = None) -> str | None:
        """The id of the job's event of that kind and number, if one is in the room. Raises NotSent."""
        notes = [note for note in await self._store.all_posted(job) if note.kind == kind and n in (None, note.n)]
        return await self._found(notes[0]) if notes else None

    async def take_back(
        self, job: str, *kinds: EventKind, person: str, n: int | None = None, but: str | None = None
    ) -> None:
        """Redact the job's events of these kinds, or of these only number ``n``, except the one with the id ``but``.

        ``person`` caused it. Raises NotSent.
        """
        for note in await self._store.all_posted(job):
            if note.kind not in kinds or n not in (None, note.n):
                continue
            event_id = await self._found(note)
            if event_id is None or event_id != but:
                if event_id is not None:
                    txn_id = f"{note.txn_id}-undo"
                    redaction = Outgoing(room_id=note.room_id, txn_id=txn_id, person=person, redacts=event_id)
                    await self._send_queue.send(redaction, Priority.TIDY)
                await self._store.was_not_posted(note.txn_id)

    async def _found(self, note: Posted | None) -> str | None:
        """The id of the event that the note is about, or None if it is not in the room."""
        if note is None or note.event_id is not None:
            return note.event_id if note else None
        await self._send_queue.landed(note.txn_id)
        event_id = await self._find_own(note.room_id, mark(note.job, note.kind, n=note.n))
        if event_id is not None:
            await self._store.was_posted(note.txn_id, event_id)
        return event_id
