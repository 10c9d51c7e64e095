"""All questions to the database, whose tables `schema` makes. Full statements for SQLite and PostgreSQL alike."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mautrix.util.async_db import Database

from ..commands.find import DrawnPicture
from ..room.messages import Message
from .job import Job, JobState, job_id


@dataclass(frozen=True)
class Posted:
    """An event of ours; ``event_id`` is None from before it is sent until it is known to have been."""

    txn_id: str
    job: str
    room_id: str
    kind: str
    n: int
    event_id: str | None


@dataclass(frozen=True)
class Style:
    """Words that a room has given a name."""

    name: str
    words: str
    made_by: str


class Store:
    """One method per question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- the generator

    async def keep_capabilities(self, answer: str) -> None:
        """Remember the generator's answer, JSON as it came, for when the generator is off."""
        await self._database.execute(
            "INSERT INTO capabilities (id, answer) VALUES (1, $1) "
            "ON CONFLICT (id) DO UPDATE SET answer = excluded.answer",
            answer,
        )

    async def last_capabilities(self) -> str | None:
        """The last answer that was kept."""
        answer: str | None = await self._database.fetchval("SELECT answer FROM capabilities WHERE id = 1")
        return answer

    async def to_forget(self, job_id: str) -> None:
        """The generator is to forget a job's files, as soon as it can be asked."""
        await self._database.execute("INSERT INTO to_forget (job) VALUES ($1) ON CONFLICT (job) DO NOTHING", job_id)

    async def forgotten(self, job_id: str) -> None:
        await self._database.execute("DELETE FROM to_forget WHERE job = $1", job_id)

    async def all_to_forget(self) -> list[str]:
        return [row["job"] for row in await self._database.fetch("SELECT job FROM to_forget")]

    # ---- jobs

    async def add_job(self, job: Job) -> None:
        """Keep a new job. From here on it is a promise."""
        await self._database.execute(
            "INSERT INTO job (id, room_id, event_id, sender, words, thread, is_caption, seed, pictures, received_ms, "
            "state, last_word, replaces, base, styles, photo, reply_to, closed) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, FALSE)",
            job.id,
            job.message.room_id,
            job.message.event_id,
            job.message.sender,
            job.message.body,
            job.message.thread,
            job.message.is_caption,
            job.seed,
            job.pictures,
            job.received_ms,
            job.state.value,
            job.last_word,
            job.replaces,
            job.base,
            json.dumps(dict(job.styles), ensure_ascii=False) if job.styles else None,
            job.photo,
            job.message.reply_to,
        )

    async def keep_body(self, job_id: str, body: Mapping[str, Any]) -> None:
        """What the generator is about to be given."""
        text = json.dumps(body, ensure_ascii=False)
        await self._database.execute("UPDATE job SET body = $2 WHERE id = $1", job_id, text)

    async def end_job(self, job_id: str, state: JobState, last_word: str = "") -> bool:
        """Whether the job was still open and has now ended so."""
        ended = await self._database.fetchval(
            "UPDATE job SET state = $2, last_word = $3 WHERE id = $1 AND state = 'open' RETURNING id",
            job_id,
            state.value,
            last_word,
        )
        return ended is not None

    async def close_job(self, job_id: str) -> None:
        """The room has been told everything."""
        await self._database.execute("UPDATE job SET closed = TRUE WHERE id = $1", job_id)

    async def job(self, job_id: str) -> Job | None:
        return _job(await self._database.fetchrow("SELECT * FROM job WHERE id = $1", job_id))

    async def job_of_command(self, event_id: str) -> Job | None:
        """The last job that this message, or an edit of it, asked for."""
        row = await self._database.fetchrow(
            "SELECT * FROM job WHERE event_id = $1 ORDER BY state = 'replaced', received_ms DESC LIMIT 1", event_id
        )
        return _job(row)

    async def open_jobs_of(self, room_id: str, event_id: str) -> list[Job]:
        """Those to be drawn yet that this event of the room, an edit of it or a reaction to it asked for."""
        return await self._jobs(
            "SELECT * FROM job WHERE room_id = $1 AND (event_id = $2 OR id = $3) AND state = 'open' "
            "ORDER BY received_ms",
            room_id,
            event_id,
            job_id(event_id),
        )

    async def unclosed_jobs(self) -> list[Job]:
        """Those of which the room has not been told everything, in their order."""
        return await self._jobs("SELECT * FROM job WHERE NOT closed ORDER BY received_ms")

    async def open_jobs(self) -> list[Job]:
        """Those that are to be drawn yet, in their order."""
        return await self._jobs("SELECT * FROM job WHERE state = 'open' ORDER BY received_ms")

    async def pictures_since(self, sender: str, since_ms: int) -> int:
        """How many pictures someone asked for since then; those that they did not get are not counted."""
        count: int | None = await self._database.fetchval(
            "SELECT SUM(pictures) FROM job WHERE sender = $1 AND received_ms >= $2 AND state IN ('open', 'done')",
            sender,
            since_ms,
        )
        return count or 0

    async def jobs_since(self, since_ms: int) -> int:
        """How many jobs were drawn, of all that came since then."""
        count: int = await self._database.fetchval(
            "SELECT COUNT(*) FROM job WHERE received_ms >= $1 AND state = 'done'", since_ms
        )
        return count

    # ---- recipes

    async def keep_recipe(self, job_id: str, n: int, text: str, *, prompt: str, model: str) -> None:
        """The recipe file of a job's picture, and what the picture is found by."""
        await self._database.execute(
            "INSERT INTO recipe (job, n, text, prompt, model) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (job, n) DO NOTHING",
            job_id,
            n,
            text,
            prompt,
            model,
        )

    async def recipe(self, job_id: str, n: int) -> str | None:
        text: str | None = await self._database.fetchval("SELECT text FROM recipe WHERE job = $1 AND n = $2", job_id, n)
        return text

    async def forget_recipe(self, job_id: str, n: int) -> None:
        await self._database.execute("DELETE FROM recipe WHERE job = $1 AND n = $2", job_id, n)

    async def forget_recipes(self, job_id: str) -> None:
        """Those of all pictures of a job."""
        await self._database.execute("DELETE FROM recipe WHERE job = $1", job_id)

    async def is_first_picture(self, job: Job) -> bool:
        """Whether no earlier job of that person's in that room has brought a picture; a sheet is none."""
        other: int | None = await self._database.fetchval(
            "SELECT 1 FROM posted JOIN job ON job.id = posted.job "
            "WHERE job.room_id = $1 AND job.sender = $2 AND job.received_ms < $3 AND posted.kind = 'picture' LIMIT 1",
            job.message.room_id,
            job.message.sender,
            job.received_ms,
        )
        return other is None

    async def drawn_in(self, room_id: str) -> list[DrawnPicture]:
        """All pictures that are in a room, the newest first; those of a sheet all have its event."""
        rows = await self._database.fetch(
            "SELECT posted.event_id, recipe.prompt, recipe.model, job.sender, job.received_ms, "
            "EXISTS (SELECT 1 FROM favourite WHERE favourite.event_id = posted.event_id) AS is_favourite "
            "FROM recipe JOIN job ON job.id = recipe.job JOIN posted ON posted.job = recipe.job "
            "WHERE job.room_id = $1 AND posted.event_id IS NOT NULL "
            "AND (posted.kind = 'sheet' OR (posted.kind = 'picture' AND posted.n = recipe.n)) "
            "ORDER BY job.received_ms DESC, recipe.n",
            room_id,
        )
        return [DrawnPicture(**{**dict(row), "is_favourite": bool(row["is_favourite"])}) for row in rows]

    async def keep_favourite(self, reaction: str, event_id: str) -> None:
        """That reaction is a star on one of our pictures or sheets."""
        await self._database.execute(
            "INSERT INTO favourite (reaction, event_id) VALUES ($1, $2) ON CONFLICT (reaction) DO NOTHING",
            reaction,
            event_id,
        )

    async def forget_favourite(self, reaction: str) -> None:
        """The reaction, if it was a star, was taken back."""
        await self._database.execute("DELETE FROM favourite WHERE reaction = $1", reaction)

    # ---- what is drawn from

    async def keep_image(self, room_id: str, sha256: str, event_id: str) -> None:
        """Which event of a room brought the picture with that hash; the last one, if it came again."""
        await self._database.execute(
            "INSERT INTO image (room_id, sha256, event_id) VALUES ($1, $2, $3) "
            "ON CONFLICT (room_id, sha256) DO UPDATE SET event_id = excluded.event_id",
            room_id,
            sha256,
            event_id,
        )

    async def image_event(self, room_id: str, sha256: str) -> str | None:
        event_id: str | None = await self._database.fetchval(
            "SELECT event_id FROM image WHERE room_id = $1 AND sha256 = $2", room_id, sha256
        )
        return event_id

    # ---- styles

    async def styles(self, room_id: str) -> list[Style]:
        """A room's own, by name."""
        rows = await self._database.fetch("SELECT * FROM style WHERE room_id = $1 ORDER BY name", room_id)
        return [Style(row["name"], row["words"], row["made_by"]) for row in rows]

    async def keep_style(self, room_id: str, style: Style) -> None:
        """Under its name, in place of another."""
        await self._database.execute(
            "INSERT INTO style (room_id, name, words, made_by) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (room_id, name) DO UPDATE SET words = excluded.words, made_by = excluded.made_by",
            room_id,
            style.name,
            style.words,
            style.made_by,
        )

    async def forget_style(self, room_id: str, name: str) -> None:
        await self._database.execute("DELETE FROM style WHERE room_id = $1 AND name = $2", room_id, name)

    # ---- events

    async def will_post(self, posted: Posted) -> None:
        """An event is about to be sent."""
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

    async def posted_as(self, event_id: str) -> Posted | None:
        """What that event of ours is."""
        row = await self._database.fetchrow("SELECT * FROM posted WHERE event_id = $1", event_id)
        return _posted(row) if row else None

    async def all_posted(self, job_id: str) -> list[Posted]:
        return [_posted(row) for row in await self._database.fetch("SELECT * FROM posted WHERE job = $1", job_id)]

    # ---- rooms

    async def handled(self, room_id: str, event_id: str) -> None:
        """Everything in the room up to that event has been seen to."""
        await self._database.execute(
            "INSERT INTO handled (room_id, event_id) VALUES ($1, $2) "
            "ON CONFLICT (room_id) DO UPDATE SET event_id = excluded.event_id",
            room_id,
            event_id,
        )

    async def last_handled(self, room_id: str) -> str | None:
        event_id: str | None = await self._database.fetchval("SELECT event_id FROM handled WHERE room_id = $1", room_id)
        return event_id

    async def _jobs(self, query: str, *values: str) -> list[Job]:
        return [job for row in await self._database.fetch(query, *values) if (job := _job(row))]


def _job(row: Any) -> Job | None:
    if row is None:
        return None
    message = Message(
        room_id=row["room_id"],
        event_id=row["event_id"],
        sender=row["sender"],
        body=row["words"],
        thread=row["thread"],
        is_caption=bool(row["is_caption"]),
        reply_to=row["reply_to"],
    )
    return Job(
        id=row["id"],
        message=message,
        seed=row["seed"],
        pictures=row["pictures"],
        received_ms=row["received_ms"],
        state=JobState(row["state"]),
        last_word=row["last_word"],
        body=json.loads(row["body"]) if row["body"] else None,
        replaces=row["replaces"],
        base=row["base"],
        styles=json.loads(row["styles"]) if row["styles"] else {},
        photo=row["photo"],
    )


def _posted(row: Any) -> Posted:
    return Posted(row["txn_id"], row["job"], row["room_id"], row["kind"], row["n"], row["event_id"])
