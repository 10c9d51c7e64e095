"""Jobs as rows: which exist, which are open, and how they ended."""

import json
from collections.abc import Mapping
from typing import Any

from ..room.messages import Message
from .job import NOTHING, Job, JobState, job_id
from .request_json import UnknownRequest, request_from_json, request_to_json
from .tables import Tables


class JobTable(Tables):
    """The table ``job``."""

    async def add_job(self, job: Job) -> None:
        """Keep a new job. From here on it is a promise."""
        await self._database.execute(
            "INSERT INTO job (id, room_id, event_id, sender, typed, thread, is_caption, reply_to, request, photo, "
            "seed, pictures, received_ms, state, last_word, replaces, closed) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, FALSE) "
            # The connection may be lost after it was kept, and the statement is tried again.
            "ON CONFLICT (id) DO NOTHING",
            job.id,
            job.message.room_id,
            job.message.event_id,
            job.message.sender,
            job.message.body,
            job.message.thread,
            job.message.is_caption,
            job.message.reply_to,
            request_to_json(job.asked),
            job.photo,
            job.seed,
            job.pictures,
            job.received_ms,
            job.state.value,
            job.last_word,
            job.replaces,
        )

    async def keep_body(self, job_id: str, body: Mapping[str, Any]) -> None:
        """Keep the body that the generator is about to get."""
        await self._database.execute("UPDATE job SET body = $2 WHERE id = $1", job_id, json.dumps(body))

    async def end_job(self, job_id: str, state: JobState, last_word: str = "", *, by: str | None = None) -> bool:
        """End a job if it is open; return whether it was. ``by`` is the event that asked for it."""
        ended = await self._database.fetchval(
            "UPDATE job SET state = $2, last_word = $3, ended_by = $4 WHERE id = $1 AND state = 'open' RETURNING id",
            job_id,
            state.value,
            last_word,
            by,
        )
        return ended is not None

    async def jobs_ended_by(self, event_id: str) -> list[Job]:
        """The jobs that ended because an event asked for it."""
        return await self._jobs("SELECT * FROM job WHERE ended_by = $1 ORDER BY received_ms", event_id)

    async def replace_ended(self, job_id: str) -> None:
        """Note that something else came in the place of a job without a picture, whose sentence and sign are to go."""
        await self._database.execute(
            "UPDATE job SET state = 'replaced', last_word = '', closed = FALSE "
            "WHERE id = $1 AND state IN ('failed', 'expired', 'cancelled')",
            job_id,
        )

    async def close_job(self, job: Job) -> None:
        """Note that the room knows how the job ended, unless it has ended in another way since."""
        await self._database.execute(
            "UPDATE job SET closed = TRUE WHERE id = $1 AND state = $2", job.id, job.state.value
        )

    async def photo_of_job(self, job_id: str) -> str | None:
        """The event of the photo that a job was drawn from: its room may have the photo twice, and lose the other."""
        photo: str | None = await self._database.fetchval("SELECT photo FROM job WHERE id = $1", job_id)
        return photo

    async def job(self, job_id: str) -> Job | None:
        return _job(await self._database.fetchrow("SELECT * FROM job WHERE id = $1", job_id))

    async def job_of_command(self, room_id: str, event_id: str) -> Job | None:
        """The last job that this message of the room, or an edit of it, asked for."""
        row = await self._database.fetchrow(
            "SELECT * FROM job WHERE room_id = $1 AND event_id = $2 "
            "ORDER BY state = 'replaced', received_ms DESC LIMIT 1",
            room_id,
            event_id,
        )
        return _job(row)

    async def open_jobs_of(self, room_id: str, event_id: str) -> list[Job]:
        """The open jobs that this event of the room, an edit of it or a reaction to it asked for."""
        return await self._jobs(
            "SELECT * FROM job WHERE room_id = $1 AND (event_id = $2 OR id = $3) AND state = 'open' "
            "ORDER BY received_ms",
            room_id,
            event_id,
            job_id(event_id),
        )

    async def ended_without_picture(self, room_id: str, event_id: str) -> list[Job]:
        """The jobs of this message of the room, or of edits of it, with a sentence or a sign in a picture's place."""
        return await self._jobs(
            "SELECT * FROM job WHERE room_id = $1 AND event_id = $2 AND state IN ('failed', 'expired', 'cancelled') "
            "ORDER BY received_ms",
            room_id,
            event_id,
        )

    async def unclosed_jobs(self) -> list[Job]:
        """The jobs whose end the room does not know yet, in their order."""
        return await self._jobs("SELECT * FROM job WHERE NOT closed ORDER BY received_ms")

    async def open_jobs(self) -> list[Job]:
        """The jobs that are still to be drawn, in their order."""
        return await self._jobs("SELECT * FROM job WHERE state = 'open' ORDER BY received_ms")

    async def open_jobs_in(self, room_id: str, sender: str | None = None) -> list[Job]:
        """The jobs of a room, or of one person there, that are still to be drawn, in their order."""
        return await self._jobs(
            "SELECT * FROM job WHERE state = 'open' AND room_id = $1 AND ($2 = '' OR sender = $2) ORDER BY received_ms",
            room_id,
            sender or "",
        )

    async def number_of_open_jobs(self, sender: str) -> int:
        """How many jobs of a person are still to be drawn, in all rooms."""
        number: int = await self._database.fetchval(
            "SELECT COUNT(*) FROM job WHERE state = 'open' AND sender = $1", sender
        )
        return number

    async def pictures_since(self, sender: str, since_ms: int) -> int:
        """How many pictures a person asked for since then, without the jobs that ended without a picture."""
        count: int | None = await self._database.fetchval(
            "SELECT SUM(pictures) FROM job WHERE sender = $1 AND received_ms >= $2 AND state IN ('open', 'done')",
            sender,
            since_ms,
        )
        return count or 0

    async def jobs_since(self, since_ms: int) -> int:
        """How many of the jobs received since then were drawn."""
        count: int = await self._database.fetchval(
            "SELECT COUNT(*) FROM job WHERE received_ms >= $1 AND state = 'done'", since_ms
        )
        return count

    async def _jobs(self, query: str, *values: str) -> list[Job]:
        return [job for row in await self._database.fetch(query, *values) if (job := _job(row))]


def _job(row: Any) -> Job | None:
    if row is None:
        return None
    message = Message(
        room_id=row["room_id"],
        event_id=row["event_id"],
        sender=row["sender"],
        body=row["typed"],
        thread=row["thread"],
        is_caption=bool(row["is_caption"]),
        reply_to=row["reply_to"],
    )
    try:
        asked = request_from_json(row["request"])
    except UnknownRequest:
        asked = NOTHING
    return Job(
        id=row["id"],
        message=message,
        asked=asked,
        seed=row["seed"],
        received_ms=row["received_ms"],
        state=JobState(row["state"]),
        last_word=row["last_word"],
        body=json.loads(row["body"]) if row["body"] else None,
        replaces=row["replaces"],
        photo=row["photo"],
    )
