"""Finds what a message replies to: a recipe, in the database or among the events of its own room, or a photo there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .database import Store
from .homeserver import Homeserver
from .incoming import Message
from .language import ParseError
from .photos import is_photo
from .picture_post import EASEL_KEY, PICTURE_KINDS, SHEET_KINDS
from .room_history import RoomHistory

# The longest that Easel writes is below 16 KB.
MAX_RECIPE_BYTES = 64 * 1024

_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True)
class Replied:
    """The text of a recipe file, or the event of a photo; neither where the message replies to none.

    ``styles`` are the room's words for ``@names`` as they were, for what is drawn again.
    """

    recipe: str | None = None
    photo: str | None = None
    styles: Mapping[str, str] = field(default_factory=dict, hash=False)


class RepliedRecipes:
    """Rooms are walls: what is elsewhere is not found."""

    def __init__(self, store: Store, history: RoomHistory, homeserver: Homeserver) -> None:
        self._store, self._history, self._homeserver = store, history, homeserver

    async def find(self, message: Message) -> Replied:
        """Raises NotSent; ParseError for a sheet."""
        if message.reply_to is None:
            return Replied()
        posted = await self._store.posted_as(message.reply_to)
        if posted is not None and posted.room_id == message.room_id and posted.kind in SHEET_KINDS:
            raise ParseError(
                "That is a sheet of several pictures. React to it with the number of one, and reply to that picture."
            )
        if posted is not None and posted.room_id == message.room_id and posted.kind in PICTURE_KINDS:
            kept = await self._store.recipe(posted.job, posted.n)
        else:
            kept = None
        return Replied(recipe=kept) if kept else await self._in_room(message.room_id, message.reply_to)

    async def _in_room(self, room_id: str, event_id: str) -> Replied:
        """A recipe file, whoever sent it, or that of a picture of ours from before this database; or a photo."""
        content = await self._history.content_of(room_id, event_id)
        if is_photo(content):
            return Replied(photo=event_id)
        mark = content.get(EASEL_KEY)
        if isinstance(mark, dict) and mark.get("kind") == "picture":
            wanted = {EASEL_KEY: {"job": mark.get("job"), "kind": "recipe", "n": mark.get("n")}}
            content = await self._history.own_content_after(room_id, event_id, wanted)
        name = str(content.get("filename") or content.get("body") or "")
        if content.get("msgtype") != "m.file" or not name.lower().endswith(_SUFFIXES):
            return Replied()
        return Replied(recipe=_as_text(await self._homeserver.download(content, MAX_RECIPE_BYTES)))


def _as_text(data: bytes | None) -> str | None:
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None
