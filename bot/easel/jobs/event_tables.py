"""Which events the bot sent for its jobs, up to which event it has read each room, and what came of commands."""

from dataclasses import dataclass
from typing import Any

from ..sending.content import EventKind
from .tables import Tables

# Notes a command with its answer, in the transaction that does it.
NOTE_DONE = "INSERT INTO done (event_id, answer) VALUES ($1, $2)"


@dataclass(frozen=True)
class Posted:
    """An event of ours. ``event_id`` is None until the event is known to be sent."""

    txn_id: str
    job: str
    room_id: str
    kind: EventKind
    n: int
    event_id: str | None


class EventTables(Tables):
    """The tables ``posted``, ``handled`` and ``done``."""

    async def answer_done(self, event_id: str) -> str | None:
        """The answer to a command that is done, and must not be done twice; None for any other."""
        answer: str | None = await self._database.fetchval("SELECT answer FROM done WHERE event_id = $1", event_id)
        return answer

    async def will_post(self, posted: Posted) -> None:
        """Note an event that is about to be sent."""
        await self._database.execute(
            "INSERT INTO posted (txn_id, job, room_id, kind, n) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (txn_id) DO NOTHING",
            posted.txn_id,
            posted.job,
            posted.room_id,
            posted.kind,
            posted.n,
        )

    async def was_posted(self, txn_id: str, event_id: str) -> None:
        await self._database.execute("UPDATE posted SET event_id = $2 WHERE txn_id = $1", txn_id, event_id)

    async def was_not_posted(self, txn_id: str) -> None:
        await self._database.execute("DELETE FROM posted WHERE txn_id = $1", txn_id)

    async def posted(self, txn_id: str) -> Posted | None:
        row = await self._database.fetchrow("SELECT * FROM posted WHERE txn_id = $1", txn_id)
        return _posted(row) if row else None

    async def posted_in(self, room_id: str, event_id: str | None) -> Posted | None:
        """The note about the event of ours with that id in that room, or None."""
        row = await self._database.fetchrow(
            "SELECT * FROM posted WHERE room_id = $1 AND event_id = $2", room_id, event_id
        )
        return _posted(row) if row else None

    async def own_star(self, room_id: str, event_id: str) -> Posted | None:
        """The note about a reaction of ours that makes one of our pictures in that room a favourite."""
        row = await self._database.fetchrow(
            "SELECT posted.* FROM favourite JOIN posted ON posted.event_id = favourite.reaction "
            "WHERE favourite.room_id = $1 AND favourite.event_id = $2 LIMIT 1",
            room_id,
            event_id,
        )
        return _posted(row) if row else None

    async def all_posted(self, job_id: str) -> list[Posted]:
        return [_posted(row) for row in await self._database.fetch("SELECT * FROM posted WHERE job = $1", job_id)]

    async def open_notes(self) -> list[Posted]:
        """The notes on what rooms wait for that may be there, and are not ended."""
        rows = await self._database.fetch(
            "SELECT * FROM posted WHERE kind = 'note' AND NOT EXISTS (SELECT 1 FROM posted AS ending "
            "WHERE ending.job = posted.job AND ending.kind = 'note-end' AND ending.n = posted.n "
            "AND ending.event_id IS NOT NULL)"
        )
        return [_posted(row) for row in rows]

    async def handled(self, room_id: str, event_id: str) -> None:
        """Note that everything in the room up to that event was handled."""
        await self._database.execute(
            "INSERT INTO handled (room_id, event_id) VALUES ($1, $2) "
            "ON CONFLICT (room_id) DO UPDATE SET event_id = excluded.event_id",
            room_id,
            event_id,
        )

    async def last_handled(self, room_id: str) -> str | None:
        event_id: str | None = await self._database.fetchval("SELECT event_id FROM handled WHERE room_id = $1", room_id)
        return event_id


def _posted(row: Any) -> Posted:
    return Posted(row["txn_id"], row["job"], row["room_id"], EventKind(row["kind"]), row["n"], row["event_id"])
