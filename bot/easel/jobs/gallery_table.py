"""The gallery's pictures: what was posted, where its files are, and the words and tags that find it."""

import json
import secrets
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..policy.blocked_words import as_words
from .picture_tables import MAX_WANTED_WORDS, MAX_WORD_CHARS
from .tables import Tables

# 128 bits, so that nobody meets another picture's id by trying.
ID_BYTES = 16

# No byte of UTF-8 is as large, so all words with a prefix stand between it and it with this behind.
AFTER_ALL = b"\xff"


class Tag(StrEnum):
    """What the gallery's lists choose from; a sheet may have several of each."""

    THEME = "theme"
    MODEL = "model"
    STYLE = "style"


@dataclass(frozen=True)
class Place:
    """Where a picture stands in the order of the gallery, the newest first."""

    drawn_ms: int
    id: str


@dataclass(frozen=True, kw_only=True)
class NewPicture:
    """A picture or sheet that is about to be posted. ``content`` is its event's, with the way to its files.

    ``origin`` is the id of the picture that it came from. ``prompts`` are those of its ``pictures``.
    """

    txn_id: str
    job: str
    n: int
    is_sheet: bool
    room_id: str
    sender: str
    prompts: tuple[str, ...]
    tags: frozenset[tuple[Tag, str]]
    origin: str | None
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GalleryPicture:
    """A picture or sheet that is in its room. ``prompt`` is the first one's of a sheet."""

    id: str
    job: str
    n: int
    is_sheet: bool
    pictures: int
    room_id: str
    event_id: str
    sender: str
    drawn_ms: int
    prompt: str
    origin: str | None
    content: dict[str, Any] = field(repr=False)
    is_favourite: bool

    @property
    def place(self) -> Place:
        return Place(self.drawn_ms, self.id)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which pictures of these rooms; an empty field means any. Each word matches the start of a word in a prompt."""

    rooms: Collection[str]
    words: tuple[str, ...] = ()
    sender: str = ""
    tags: tuple[tuple[Tag, str], ...] = ()
    is_favourite: bool = False
    since_ms: int | None = None
    until_ms: int | None = None


class GalleryTable(Tables):
    """The tables ``picture``, ``picture_tag`` and ``picture_word``."""

    async def keep_picture(self, new: NewPicture) -> None:
        """Keep a picture or sheet that is about to be posted; one that is posted anew gets the new content."""
        kept: str | None = await self._database.fetchval("SELECT id FROM picture WHERE txn_id = $1", new.txn_id)
        if kept:
            content = json.dumps(new.content)
            await self._database.execute("UPDATE picture SET content = $2 WHERE txn_id = $1", new.txn_id, content)
        else:
            await self.keep_pictures([new])

    async def keep_pictures(self, pictures: Iterable[NewPicture]) -> None:
        """Keep pictures and sheets that are new to the database. It may have kept them when its answer was lost."""
        now_ms, rows, tags, words = int(time.time() * 1000), [], [], []
        for new in pictures:
            picture_id = secrets.token_urlsafe(ID_BYTES)
            rows.append(
                (
                    *(picture_id, new.txn_id, new.job, new.n, new.is_sheet, len(new.prompts), new.room_id, new.sender),
                    *(now_ms, new.prompts[0], new.origin, json.dumps(new.content)),
                )
            )
            tags += [(new.room_id, kind.value, value, picture_id) for kind, value in sorted(new.tags)]
            found = {word.encode()[:MAX_WORD_CHARS] for prompt in new.prompts for word in as_words(prompt).split()}
            words += [(word, picture_id) for word in sorted(found)]
        await self._database.execute_all(
            [
                (
                    "INSERT INTO picture (id, txn_id, job, n, is_sheet, pictures, room_id, sender, drawn_ms, prompt, "
                    "origin, content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
                    "ON CONFLICT DO NOTHING",
                    rows,
                ),
                (
                    "INSERT INTO picture_tag (room_id, kind, value, picture) VALUES ($1, $2, $3, $4) "
                    "ON CONFLICT DO NOTHING",
                    tags,
                ),
                ("INSERT INTO picture_word (word, picture) VALUES ($1, $2) ON CONFLICT DO NOTHING", words),
            ]
        )

    async def forget_picture(self, job: str, n: int) -> None:
        """Forget a picture or sheet that was removed from its room."""
        await self._database.execute_all(
            [
                (
                    "DELETE FROM picture_tag WHERE picture IN (SELECT id FROM picture WHERE job = $1 AND n = $2)",
                    [(job, n)],
                ),
                (
                    "DELETE FROM picture_word WHERE picture IN (SELECT id FROM picture WHERE job = $1 AND n = $2)",
                    [(job, n)],
                ),
                ("DELETE FROM picture WHERE job = $1 AND n = $2", [(job, n)]),
            ]
        )

    async def gallery_picture(self, picture_id: str) -> GalleryPicture | None:
        """The picture with that id, if it is in its room."""
        rows = await self._database.fetch(f"{_SELECT} AND picture.id = $1", picture_id)
        return next(map(_picture, rows), None)

    async def picture_id(self, txn_id: str) -> str | None:
        """The id of the picture or sheet that was posted with that transaction id."""
        picture_id: str | None = await self._database.fetchval("SELECT id FROM picture WHERE txn_id = $1", txn_id)
        return picture_id

    async def children_of(self, picture_id: str, *, limit: int) -> list[GalleryPicture]:
        """The pictures that came from one, the oldest first."""
        query = f"{_SELECT} AND picture.origin = $1 ORDER BY picture.drawn_ms, picture.id LIMIT $2"
        return [*map(_picture, await self._database.fetch(query, picture_id, limit))]

    async def gallery_page(self, wanted: Wanted, *, before: Place | None = None, limit: int) -> list[GalleryPicture]:
        """The newest pictures that match, of those before a place."""
        return await self._page(wanted, before, "<", "DESC", limit)

    async def gallery_after(self, wanted: Wanted, after: Place, *, limit: int = 1) -> list[GalleryPicture]:
        """The oldest pictures that match, of those after a place."""
        return await self._page(wanted, after, ">", "ASC", limit)

    async def rooms_with_pictures(self) -> set[str]:
        return {row["room_id"] for row in await self._database.fetch("SELECT DISTINCT room_id FROM picture")}

    async def people_in_gallery(self, rooms: Collection[str]) -> list[str]:
        """Everybody with a picture in these rooms."""
        query = _Query("SELECT DISTINCT sender FROM picture WHERE TRUE")
        query.add(" AND room_id IN ({}) ORDER BY sender", rooms)
        return [row["sender"] for row in await self._database.fetch(query.text, *query.values)]

    async def tags_in_gallery(self, rooms: Collection[str], *, limit: int) -> dict[Tag, list[str]]:
        """The tags of each kind that most pictures in these rooms have, in alphabetical order."""
        tags = {}
        for kind in Tag:
            query = _Query("SELECT value FROM picture_tag WHERE TRUE")
            query.add(" AND room_id IN ({}) AND kind = {}", rooms, kind.value)
            query.add(" GROUP BY value ORDER BY COUNT(*) DESC, value LIMIT {}", limit)
            tags[kind] = sorted(row["value"] for row in await self._database.fetch(query.text, *query.values))
        return tags

    async def _page(
        self, wanted: Wanted, place: Place | None, side: str, order: str, limit: int
    ) -> list[GalleryPicture]:
        words = [as_words(word).encode()[:MAX_WORD_CHARS] for word in wanted.words]
        if not wanted.rooms or not all(words) or len(words) > MAX_WANTED_WORDS:
            return []
        query = _Query(_SELECT)
        query.add(" AND picture.room_id IN ({})", wanted.rooms)
        if wanted.sender:
            query.add(" AND picture.sender = {}", wanted.sender)
        for kind, value in wanted.tags:
            query.add(f" AND picture.id IN ({_TAGGED})", wanted.rooms, kind.value, value)
        for word in words:
            query.add(f" AND picture.id IN ({_WORDED})", word, word + AFTER_ALL)
        if wanted.is_favourite:
            query.add(f" AND {_IS_FAVOURITE}")
        if wanted.since_ms is not None:
            query.add(" AND picture.drawn_ms >= {}", wanted.since_ms)
        if wanted.until_ms is not None:
            query.add(" AND picture.drawn_ms < {}", wanted.until_ms)
        if place is not None:
            query.add(f" AND (picture.drawn_ms, picture.id) {side} ({{}}, {{}})", place.drawn_ms, place.id)
        query.add(f" ORDER BY picture.drawn_ms {order}, picture.id {order} LIMIT {{}}", limit)
        return [*map(_picture, await self._database.fetch(query.text, *query.values))]


_TAGGED = "SELECT picture FROM picture_tag WHERE room_id IN ({}) AND kind = {} AND value = {}"
_WORDED = "SELECT picture FROM picture_word WHERE word >= {} AND word < {}"
_IS_FAVOURITE = (
    "EXISTS (SELECT 1 FROM favourite WHERE favourite.event_id = posted.event_id "
    "AND favourite.room_id = picture.room_id)"
)

# What was removed from its room, or did not come there, has no posted event.
_SELECT = (
    f"SELECT picture.*, posted.event_id, {_IS_FAVOURITE} AS is_favourite "  # noqa: S608
    "FROM picture JOIN posted ON posted.txn_id = picture.txn_id WHERE posted.event_id IS NOT NULL"
)


class _Query:
    """A statement that grows by conditions; the values stay apart from it."""

    def __init__(self, text: str) -> None:
        self.text, self.values = text, list[Any]()

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition, with a value for each ``{}`` in it, or with several for ``IN ({})``."""
        self.text += condition.format(*map(self._placed, values))

    def _placed(self, value: Any) -> str:
        if isinstance(value, Collection) and not isinstance(value, str | bytes):
            return ", ".join(map(self._placed, value))
        self.values.append(value)
        return f"${len(self.values)}"


def _picture(row: Any) -> GalleryPicture:
    names = GalleryPicture.__dataclass_fields__
    values = {name: row[name] for name in names if name != "content"}
    values |= {name: bool(row[name]) for name in ("is_sheet", "is_favourite")}
    return GalleryPicture(**values, content=json.loads(row["content"]))
