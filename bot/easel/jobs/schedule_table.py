"""The pictures that rooms get every day or every week."""

from dataclasses import astuple, dataclass
from typing import Any

from .event_tables import NOTE_DONE
from .tables import Tables


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A command that is drawn again and again. ``day`` is ``day``, or a weekday; ``minute`` counts from midnight.

    ``event_id`` is the message that asked for it, and ``next_ms`` when it is drawn next.
    """

    event_id: str
    room_id: str
    sender: str
    thread: str | None
    typed: str
    day: str
    minute: int
    next_ms: int


class ScheduleTable(Tables):
    """The table ``scheduled``."""

    async def keep_scheduled(self, scheduled: Scheduled, *, by: str, answer: str) -> None:
        """Keep one because the event ``by`` asked for it, and note what that is answered."""
        await self._database.execute_all(
            [
                (
                    "INSERT INTO scheduled (event_id, room_id, sender, thread, typed, day, minute, next_ms) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (event_id) DO NOTHING",
                    [astuple(scheduled)],
                ),
                (NOTE_DONE, [(by, answer)]),
            ]
        )

    async def scheduled_in(self, room_id: str) -> list[Scheduled]:
        """All of a room, in the order of their time of day."""
        return await self._scheduled("SELECT * FROM scheduled WHERE room_id = $1 ORDER BY minute, event_id", room_id)

    async def due(self, now_ms: int) -> list[Scheduled]:
        return await self._scheduled("SELECT * FROM scheduled WHERE next_ms <= $1 ORDER BY next_ms", now_ms)

    async def next_due_ms(self) -> int | None:
        """When the next one is due; None without any."""
        due_ms: int | None = await self._database.fetchval("SELECT MIN(next_ms) FROM scheduled")
        return due_ms

    async def schedule_next(self, event_id: str, next_ms: int) -> None:
        await self._database.execute("UPDATE scheduled SET next_ms = $2 WHERE event_id = $1", event_id, next_ms)

    async def forget_scheduled(self, room_id: str, event_id: str) -> None:
        await self._database.execute("DELETE FROM scheduled WHERE room_id = $1 AND event_id = $2", room_id, event_id)

    async def end_scheduled(self, scheduled: Scheduled, *, by: str, answer: str) -> None:
        """Forget one because the event ``by`` asked for it, and note what that is answered."""
        await self._database.execute_all(
            [
                ("DELETE FROM scheduled WHERE event_id = $1", [(scheduled.event_id,)]),
                (NOTE_DONE, [(by, answer)]),
            ]
        )

    async def forget_scheduled_of(self, room_id: str, sender: str | None) -> None:
        """Forget those of a person in a room, or all of a room."""
        await self._database.execute(
            "DELETE FROM scheduled WHERE room_id = $1 AND ($2 = '' OR sender = $2)", room_id, sender or ""
        )

    async def _scheduled(self, query: str, value: str | int) -> list[Scheduled]:
        return [_row(row) for row in await self._database.fetch(query, value)]


def _row(row: Any) -> Scheduled:
    return Scheduled(**{key: row[key] for key in Scheduled.__dataclass_fields__})
