"""What ``!easel find`` and ``!easel history`` look for, and how they show what they found. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ..jobs.picture_tables import MAX_WANTED_WORDS, DrawnPicture, Found
from ..language import brief, quoted
from ..language.phones import straight_quotes
from ..room.messages import Message
from ..room.names import shown_name
from ..room.reactions import FAVOURITE, plain_emoji
from ..sending.rich import Rich, Text, blocks, link, numbered

# As many as a person looks at on a phone, each with its link.
MAX_FOUND = 5

TOO_MANY_WORDS = f"That's too many words. I look for up to {MAX_WANTED_WORDS}."
NOTHING_FOUND = "I found none in this room."

_FILTER = re.compile(r'(?<!\S)(?P<what>by|model):[ ]*(?:"(?P<quoted>[^"]*)"|(?P<word>\S+))', re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What a picture must match: words in its prompt, the person who asked for it, its model, being a favourite."""

    words: tuple[str, ...] = ()
    by: str | None = None
    model: str | None = None
    is_favourite: bool = False


def read_wanted(text: str) -> Wanted:
    """Read ``otter watercolor by:ada model:ssd-1b ⭐``, in any order; a name of several words stands in quotes."""
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
    """The senders with that name: a Matrix id, the part of it before the colon, or a display name."""
    wanted = name.removeprefix("@").casefold()

    def names(sender: str) -> set[str]:
        known = sender.removeprefix("@").casefold()
        return {known, known.partition(":")[0], display_names.get(sender, known).casefold()}

    return {sender for sender in senders if wanted in names(sender)}


def found_text(found: Found, asked: Message, names: Mapping[str, str]) -> Text:
    """The pictures as links, the newest first, with their people's display ``names``."""
    if not found.pictures:
        return NOTHING_FOUND
    shown = len(found.pictures)
    heading = f"The {shown} newest of {found.number}:" if found.number > shown else f"Found {shown}:"
    return blocks(heading, numbered(_listed(picture, asked, names) for picture in found.pictures))


def event_url(room_id: str, event_id: str, asker: str) -> str:
    """The link to an event, for people from elsewhere via the asker's homeserver, which is in the room."""
    room, event = quote(room_id, safe=""), quote(event_id, safe="")
    return f"https://matrix.to/#/{room}/{event}?via={quote(asker.partition(':')[2])}"


def nobody_text(name: str) -> str:
    return f"Nobody called {quoted(name)} has drawn here."


def _listed(picture: DrawnPicture, asked: Message, names: Mapping[str, str]) -> Rich:
    """One picture with its link."""
    day = datetime.fromtimestamp(picture.received_ms / 1000)
    star = f"{FAVOURITE} " if picture.is_favourite else ""
    url = event_url(asked.room_id, picture.event_id, asked.sender)
    about = f"{shown_name(picture.sender, names)} · {day.day} {day:%b %Y} · {picture.model}"
    named = link(f"{star}{brief(picture.prompt)}", url)
    plain = f"{star}{brief(picture.prompt)} · {about}\n{url}"
    return Rich(plain, (named + f" · {about}").html)
