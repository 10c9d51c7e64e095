"""The terms that rooms have named."""

from dataclasses import dataclass

from .event_tables import NOTE_DONE
from .tables import Tables


@dataclass(frozen=True)
class Style:
    """Terms that a room has given a name."""

    name: str
    words: str
    made_by: str


class StyleTable(Tables):
    """The table ``style``."""

    async def styles(self, room_id: str) -> list[Style]:
        """The room's own styles, in order of name."""
        rows = await self._database.fetch("SELECT * FROM style WHERE room_id = $1 ORDER BY name", room_id)
        return [Style(row["name"], row["words"], row["made_by"]) for row in rows]

    async def keep_style(self, room_id: str, style: Style) -> None:
        """Keep a style, in place of another with its name."""
        await self._database.execute(
            "INSERT INTO style (room_id, name, words, made_by) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (room_id, name) DO UPDATE SET words = excluded.words, made_by = excluded.made_by",
            room_id,
            style.name,
            style.words,
            style.made_by,
        )

    async def copy_styles(self, room_id: str, to: str) -> None:
        """Give a room the styles of another, but none in place of its own."""
        await self._database.execute(
            "INSERT INTO style (room_id, name, words, made_by) "
            "SELECT $2, name, words, made_by FROM style WHERE room_id = $1 ON CONFLICT (room_id, name) DO NOTHING",
            room_id,
            to,
        )

    async def end_style(self, room_id: str, name: str, *, by: str, answer: str) -> None:
        """Forget a style because the event ``by`` asked for it, and note what that is answered."""
        await self._database.execute_all(
            [("DELETE FROM style WHERE room_id = $1 AND name = $2", [(room_id, name)]), (NOTE_DONE, [(by, answer)])]
        )
