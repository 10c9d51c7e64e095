"""The pictures in a room: their recipes, the favourites among them, and the words that find them."""

from collections.abc import Collection
from dataclasses import dataclass

from ..policy.blocked_words import as_words
from .job import Job
from .tables import Tables

# The statement that finds pictures has this many parameters for words.
MAX_WANTED_WORDS = 8

# SQLite's patterns have at most 50,000 bytes; no word needs this many letters.
MAX_WORD_CHARS = 100


@dataclass(frozen=True, kw_only=True)
class DrawnPicture:
    """A picture in the room. ``event_id`` is its own event, or the event of its sheet."""

    event_id: str
    prompt: str
    model: str
    sender: str
    received_ms: int
    is_favourite: bool


@dataclass(frozen=True)
class Found:
    """The newest of the ``number`` pictures that were found, the newest first."""

    pictures: tuple[DrawnPicture, ...] = ()
    number: int = 0


class PictureTables(Tables):
    """The tables ``recipe``, ``favourite`` and ``image``."""

    async def keep_recipe(self, job_id: str, n: int, text: str, *, prompt: str, model: str) -> None:
        """Keep the recipe file of a job's picture, and the plain words that find the picture."""
        await self._database.execute(
            "INSERT INTO recipe (job, n, text, prompt, words, model) VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT (job, n) DO NOTHING",
            job_id,
            n,
            text,
            prompt,
            f" {as_words(prompt)}",
            model,
        )

    async def recipe(self, job_id: str, n: int) -> str | None:
        text: str | None = await self._database.fetchval("SELECT text FROM recipe WHERE job = $1 AND n = $2", job_id, n)
        return text

    async def recipes(self, job_id: str) -> dict[int, str]:
        """The recipes of a job's pictures by their numbers, in order."""
        rows = await self._database.fetch("SELECT n, text FROM recipe WHERE job = $1 ORDER BY n", job_id)
        return {row["n"]: row["text"] for row in rows}

    async def forget_recipe(self, job_id: str, n: int) -> None:
        await self._database.execute("DELETE FROM recipe WHERE job = $1 AND n = $2", job_id, n)

    async def forget_recipes(self, job_id: str) -> None:
        """Forget the recipes of all pictures of a job."""
        await self._database.execute("DELETE FROM recipe WHERE job = $1", job_id)

    async def is_first(self, job: Job, kind: str) -> bool:
        """Whether the person had no ``picture``, or no ``sheet``, in that room before this job."""
        other: int | None = await self._database.fetchval(
            "SELECT 1 FROM posted JOIN job ON job.id = posted.job "
            "WHERE job.room_id = $1 AND job.sender = $2 AND job.received_ms < $3 AND posted.kind = $4 LIMIT 1",
            job.message.room_id,
            job.message.sender,
            job.received_ms,
            kind,
        )
        return other is None

    async def find_pictures(
        self,
        room_id: str,
        *,
        words: Collection[str] = (),
        model: str = "",
        is_favourite: bool = False,
        senders: Collection[str] | None = None,
        limit: int,
    ) -> Found:
        """The newest pictures of a room that match everything, one per sheet; ``senders`` is None for everybody.

        At most MAX_WANTED_WORDS words. Each matches the start of a word in the prompt: ``hat`` finds ``hats``, but
        not ``chat``.
        """
        plain = [as_words(word)[:MAX_WORD_CHARS] for word in words]
        if not all(plain):
            return Found()
        patterns = [f"% {word}%" for word in plain] + ["%"] * (MAX_WANTED_WORDS - len(plain))
        pictures, number = list[DrawnPicture](), 0
        for sender in ("",) if senders is None else senders:
            rows = await self._database.fetch(
                "SELECT event_id, prompt, model, sender, received_ms, is_favourite, COUNT(*) OVER () AS number FROM ("
                "SELECT posted.event_id, recipe.prompt, recipe.model, job.sender, job.received_ms, recipe.n, "
                "EXISTS (SELECT 1 FROM favourite WHERE favourite.event_id = posted.event_id) AS is_favourite, "
                "ROW_NUMBER() OVER (PARTITION BY posted.event_id ORDER BY recipe.n) AS place "
                "FROM job JOIN recipe ON recipe.job = job.id JOIN posted ON posted.job = job.id "
                "WHERE job.room_id = $1 AND posted.event_id IS NOT NULL "
                "AND (posted.kind = 'sheet' OR (posted.kind = 'picture' AND posted.n = recipe.n)) "
                "AND ($2 = '' OR job.sender = $2) AND ($3 = '' OR LOWER(recipe.model) = $3) "
                "AND recipe.words LIKE $4 AND recipe.words LIKE $5 AND recipe.words LIKE $6 AND recipe.words LIKE $7 "
                "AND recipe.words LIKE $8 AND recipe.words LIKE $9 AND recipe.words LIKE $10 AND recipe.words LIKE $11"
                ") AS found WHERE place = 1 AND (is_favourite OR NOT $12) "
                "ORDER BY received_ms DESC, n LIMIT $13",
                room_id,
                sender,
                model.lower(),
                *patterns,
                is_favourite,
                limit,
            )
            number += rows[0]["number"] if rows else 0
            for row in rows:
                picture = {key: row[key] for key in DrawnPicture.__dataclass_fields__}
                pictures.append(DrawnPicture(**{**picture, "is_favourite": bool(row["is_favourite"])}))
        pictures.sort(key=lambda picture: -picture.received_ms)
        return Found(tuple(pictures[:limit]), number)

    async def people_with_pictures(self, room_id: str) -> set[str]:
        """Everybody who has drawn in the room."""
        rows = await self._database.fetch(
            "SELECT DISTINCT job.sender FROM job JOIN recipe ON recipe.job = job.id WHERE job.room_id = $1", room_id
        )
        return {row["sender"] for row in rows}

    async def keep_favourite(self, room_id: str, reaction: str, event_id: str) -> None:
        """Keep a reaction that is a star on one of our pictures or sheets."""
        await self._database.execute(
            "INSERT INTO favourite (reaction, room_id, event_id) VALUES ($1, $2, $3) ON CONFLICT (reaction) DO NOTHING",
            reaction,
            room_id,
            event_id,
        )

    async def forget_favourite(self, room_id: str, reaction: str) -> None:
        """Forget a reaction that was taken back in that room, if it was a star."""
        await self._database.execute("DELETE FROM favourite WHERE reaction = $1 AND room_id = $2", reaction, room_id)

    async def keep_image(self, room_id: str, sha256: str, event_id: str) -> None:
        """Keep which event of a room has the picture with that hash; the last event if there are several."""
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
