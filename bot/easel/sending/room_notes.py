"""One note in a room, on what everybody there waits for: it is edited when that changes, and when it is over.

It is a notice, so it rings no phone. It is edited and not deleted, since clients leave a line where a message was
deleted. Knows neither places in the queue nor who waits: each job's own sign shows that.
"""

import asyncio
import time
from dataclasses import replace
from weakref import WeakValueDictionary

from ..jobs.event_tables import Posted
from ..jobs.job import Job
from ..jobs.store import Store
from .content import EventKind, answer_content, edit_content
from .send_queue import Priority
from .sent_once import SentOnce

OVER = "The wait is over."


class RoomNotes:
    """Keeps each room's note true. Every method raises NotSent."""

    def __init__(self, sent_once: SentOnce, store: Store) -> None:
        self._sent_once, self._store = sent_once, store
        # What the jobs of a room wait for, and the text of its note, if this process has written it.
        self._reasons: dict[str, dict[str, str]] = {}
        self._texts: dict[str, str] = {}
        # The rooms that may have a note, once an earlier process's are known.
        self._noted: set[str] | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def wait(self, job: Job, reason: str) -> None:
        """Say in the job's room what it waits for, unless the note says so already."""
        room_id = job.message.room_id
        self._reasons.setdefault(room_id, {})[job.id] = reason
        await self._write(job)

    async def over(self, job: Job, *, goes_on: bool = False) -> None:
        """The job waits no more. If no other of its room does, the note says that the wait is over.

        With ``goes_on`` another job comes in its place, and will say so.
        """
        reasons = self._reasons.get(job.message.room_id, {})
        has_waited = reasons.pop(job.id, None) is not None
        if not reasons:
            self._reasons.pop(job.message.room_id, None)
        if goes_on:
            return
        # Every step of a job says so, while others of its room may wait.
        if (has_waited or not reasons) and job.message.room_id in await self._rooms_with_notes():
            await self._write(job)

    async def _rooms_with_notes(self) -> set[str]:
        if self._noted is None:
            self._noted = {note.room_id for note in await self._store.open_notes()}
        return self._noted

    async def _write(self, job: Job) -> None:
        room_id, person = job.message.room_id, job.message.sender
        async with self._locks.setdefault(room_id, asyncio.Lock()):
            # Two reasons at once are rare, and the newest explains most.
            text = next(reversed(self._reasons.get(room_id, {}).values()), None)
            if text is not None:
                # Not before the lock: an end that is being written takes the room out.
                (await self._rooms_with_notes()).add(room_id)
            note = await self._note_in(room_id)
            if note is None and text is not None:
                earlier = [one for one in await self._store.all_posted(job.id) if one.kind is EventKind.NOTE]
                await self._sent_once.send_for(job, EventKind.NOTE, answer_content(text), n=len(earlier))
            elif note is not None and text is None:
                await self._edit(note, OVER, EventKind.NOTE_END, note.n, person)
            elif note is not None and text is not None and text != self._texts.get(room_id):
                await self._edit(note, text, EventKind.NOTE_EDIT, int(time.time() * 1000), person)
            if text is None:
                self._texts.pop(room_id, None)
                (await self._rooms_with_notes()).discard(room_id)
            else:
                self._texts[room_id] = text

    async def _note_in(self, room_id: str) -> Posted | None:
        """The room's note. One that never arrived, as the process ended while it was sent, is forgotten."""
        for note in await self._store.open_notes():
            if note.room_id != room_id:
                continue
            event_id = await self._sent_once.there(note.job, EventKind.NOTE, note.n)
            if event_id is not None:
                return replace(note, event_id=event_id)
            await self._store.was_not_posted(note.txn_id)
        return None

    async def _edit(self, note: Posted, text: str, kind: EventKind, n: int, person: str) -> None:
        content = edit_content(str(note.event_id), text)
        await self._sent_once.send(note.job, note.room_id, kind, content, person=person, n=n, priority=Priority.TIDY)
