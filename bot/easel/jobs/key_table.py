"""Who may open the gallery: links, signed-in browsers and frames, each known by the hash of its secret alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .event_tables import NOTE_DONE
from .tables import Tables


class KeyKind(StrEnum):
    LINK = "link"
    SESSION = "session"
    FRAME = "frame"


@dataclass(frozen=True, kw_only=True)
class Key:
    """What opens the gallery for a person; ``room_id`` is the only room that it shows, or empty for all of theirs."""

    hash: str
    kind: KeyKind
    person: str
    room_id: str
    made_ms: int


@dataclass(frozen=True, kw_only=True)
class Invited:
    """Somebody whom the bot invited to ``chat``, and the event in a room that asks for a link or a frame."""

    chat: str
    person: str
    room_id: str
    event_id: str
    is_frame: bool


class KeyTable(Tables):
    """The tables ``gallery_key`` and ``invited``."""

    async def keep_key(self, key: Key) -> None:
        await self._database.execute(
            "INSERT INTO gallery_key (hash, kind, person, room_id, made_ms) VALUES ($1, $2, $3, $4, $5)",
            key.hash,
            key.kind.value,
            key.person,
            key.room_id,
            key.made_ms,
        )

    async def key(self, kind: KeyKind, hash: str) -> Key | None:
        row = await self._database.fetchrow("SELECT * FROM gallery_key WHERE kind = $1 AND hash = $2", kind.value, hash)
        return _key(row) if row else None

    async def take_key(self, kind: KeyKind, hash: str) -> Key | None:
        """The key, which is then gone: of several that ask, one gets it."""
        row = await self._database.fetchrow(
            "DELETE FROM gallery_key WHERE kind = $1 AND hash = $2 RETURNING *", kind.value, hash
        )
        return _key(row) if row else None

    async def end_keys(self, keys: Iterable[Key], *, by: str, answer: str) -> None:
        """Forget keys because the event ``by`` asked for it, and note what that is answered."""
        await self._database.execute_all(
            [("DELETE FROM gallery_key WHERE hash = $1", [(key.hash,) for key in keys]), (NOTE_DONE, [(by, answer)])]
        )

    async def keys_of(self, person: str, kind: KeyKind) -> list[Key]:
        """A person's keys of a kind, the oldest first."""
        rows = await self._database.fetch(
            "SELECT * FROM gallery_key WHERE person = $1 AND kind = $2 ORDER BY made_ms, hash", person, kind.value
        )
        return [*map(_key, rows)]

    async def keys_for(self, room_id: str, kind: KeyKind) -> list[Key]:
        """The keys of a kind for one room, the oldest first."""
        rows = await self._database.fetch(
            "SELECT * FROM gallery_key WHERE room_id = $1 AND kind = $2 ORDER BY made_ms, hash", room_id, kind.value
        )
        return [*map(_key, rows)]

    async def forget_keys_before(self, kind: KeyKind, made_ms: int) -> None:
        await self._database.execute("DELETE FROM gallery_key WHERE kind = $1 AND made_ms < $2", kind.value, made_ms)

    async def keep_invited(self, invited: Invited) -> None:
        """Note what waits for somebody; the last wish counts."""
        await self._database.execute(
            "INSERT INTO invited (chat, person, room_id, event_id, is_frame) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (chat) DO UPDATE SET person = excluded.person, room_id = excluded.room_id, "
            "event_id = excluded.event_id, is_frame = excluded.is_frame",
            invited.chat,
            invited.person,
            invited.room_id,
            invited.event_id,
            invited.is_frame,
        )

    async def invited(self, chat: str, person: str) -> Invited | None:
        row = await self._database.fetchrow("SELECT * FROM invited WHERE chat = $1 AND person = $2", chat, person)
        return Invited(**{**dict(row), "is_frame": bool(row["is_frame"])}) if row else None

    async def forget_invited(self, chat: str) -> None:
        await self._database.execute("DELETE FROM invited WHERE chat = $1", chat)


def _key(row: Any) -> Key:
    return Key(
        hash=row["hash"],
        kind=KeyKind(row["kind"]),
        person=row["person"],
        room_id=row["room_id"],
        made_ms=row["made_ms"],
    )
