"""What ``!easel find`` and ``!easel history`` look for, and how they tell what they found. Pure.

Rooms are walls: whoever asks gives it one room's pictures only.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ..language import brief, quoted
from ..language.phones import straight_quotes
from ..room.messages import Message
from ..room.reactions import FAVOURITE, plain_emoji

# As many as one looks at on a phone, each with its link.
MAX_FOUND = 5

_FILTER = re.compile(r'(?<!\S)(?P<what>by|model):[ ]*(?:"(?P<quoted>[^"]*)"|(?P<word>\S+))', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class DrawnPicture:
    """A picture that is in the room. ``event_id`` is that of its message, or of the sheet that it is on."""

    event_id: str
    prompt: str
    model: str
    sender: str
    received_ms: int
    is_favourite: bool


@dataclass(frozen=True)
class Wanted:
    """All that a picture must be: words in its prompt, who asked for it, its model, a favourite."""

    words: tuple[str, ...] = ()
    by: str | None = None
    model: str | None = None
    is_favourite: bool = False


def read_wanted(text: str) -> Wanted:
    """``otter watercolor by:ada model:ssd-1b ⭐``, in any order; a name of several words stands in quotes."""
    text = straight_quotes(text)
    filters = {match["what"].lower(): match["quoted"] or match["word"] for match in _FILTER.finditer(text)}
    words = [word.strip(",") for word in _FILTER.sub(" ", plain_emoji(text)).split()]
    return Wanted(
        tuple(word for word in words if word not in ("", FAVOURITE)),
        filters.get("by"),
        filters.get("model"),
        FAVOURITE in words,
    )


def people_called(name: str, senders: Collection[str], display_names: Mapping[str, str]) -> set[str]:
    """Who of them that is: a Matrix id, the part of it before the colon, or a display name."""
    wanted = name.removeprefix("@").casefold()

    def names(sender: str) -> set[str]:
        known = sender.removeprefix("@").casefold()
        return {known, known.partition(":")[0], display_names.get(sender, known).casefold()}

    return {sender for sender in senders if wanted in names(sender)}


def matching(pictures: Sequence[DrawnPicture], wanted: Wanted, people: set[str] | None) -> list[DrawnPicture]:
    """Those that are all of it, in their order, and of each message one. ``people`` are those who are meant, or all.

    A word is found at the start of one: ``hat`` in ``hats``, but not in ``chat``.
    """
    patterns = [re.compile(rf"(?<!\w){re.escape(word)}", re.IGNORECASE) for word in wanted.words]
    found: dict[str, DrawnPicture] = {}
    for picture in pictures:
        if (
            (people is None or picture.sender in people)
            and (wanted.model is None or picture.model.casefold() == wanted.model.casefold())
            and (picture.is_favourite or not wanted.is_favourite)
            and all(pattern.search(picture.prompt) for pattern in patterns)
        ):
            found.setdefault(picture.event_id, picture)
    return list(found.values())


def found_text(found: Sequence[DrawnPicture], asked: Message) -> str:
    """The first of them with their links, in the order in which they come: the newest first."""
    if not found:
        return "There is no such picture in this room. Each word must be in its prompt."
    shown = found[:MAX_FOUND]
    heading = f"The {len(shown)} newest of {len(found)}:" if len(found) > len(shown) else f"Found {len(found)}:"
    return "\n".join([heading, *(_told(picture, asked) for picture in shown)])


def nobody_text(name: str) -> str:
    return f"Nobody called {quoted(name)} has drawn in this room."


def _told(picture: DrawnPicture, asked: Message) -> str:
    """Whoever asked is in the room, and so is their homeserver, for those who come from elsewhere."""
    day = datetime.fromtimestamp(picture.received_ms / 1000).date().isoformat()
    star = f"{FAVOURITE} " if picture.is_favourite else ""
    room, event = quote(asked.room_id, safe=""), quote(picture.event_id, safe="")
    link = f"https://matrix.to/#/{room}/{event}?via={quote(asked.sender.partition(':')[2])}"
    return f"{star}{brief(picture.prompt)} · {picture.model} · {picture.sender} · {day}\n{link}"
