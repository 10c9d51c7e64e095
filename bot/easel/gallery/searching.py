"""From an address to the pictures it asks for. Pure."""

import re
from collections.abc import Collection
from dataclasses import fields
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import unquote

from ..jobs.gallery_table import Place, Tag, Wanted
from ..policy.blocked_words import as_words
from ..room.envelope import storable
from .views import Search

# As long as a Matrix id.
MAX_FIELD_CHARS = 255

# A person searches for some words; anybody can write an address.
MAX_WORDS = 20

# Until the year 5138. The database's numbers end somewhere.
MAX_MS_DIGITS = 14

# maubot reads an address and writes it anew, which leaves these signs in a value quoted: & + ; =
_QUOTED = re.compile("%(?:26|2B|3B|3D)")


def read_search(query: Any) -> Search:
    """The search of an address, each field cut to what is sensible."""
    return Search(**{field.name: _field(query.get(field.name, "")) for field in fields(Search)})


def wanted_by(search: Search, rooms: Collection[str], zone: tzinfo | None) -> Wanted | None:
    """The pictures that a search asks for, of those rooms; None if no picture can match."""
    words = as_words(search.words).split()
    tags = {Tag.THEME: search.theme, Tag.MODEL: search.model, Tag.STYLE: search.style}
    day = _day(search.day)
    if (search.words.strip() and not words) or len(words) > MAX_WORDS or (search.day and day is None):
        return None
    if search.room and search.room not in rooms:
        return None
    since, until = (None, None) if day is None else (start_ms(day, zone), start_ms(day + timedelta(days=1), zone))
    return Wanted(
        rooms=(search.room,) if search.room else tuple(rooms),
        words=tuple(dict.fromkeys(words)),
        sender=search.person,
        tags=tuple((tag, value) for tag, value in tags.items() if value),
        is_favourite=bool(search.star),
        since_ms=since,
        until_ms=until,
    )


def start_ms(day: date, zone: tzinfo | None) -> int:
    """When a day begins by that clock, in milliseconds; None is the machine's own."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def place_text(place: Place) -> str:
    return f"{place.drawn_ms}.{place.id}"


def read_place(text: str) -> Place | None:
    """The place in an address; None for anything else."""
    ms, _, picture_id = text.partition(".")
    if not (ms.isascii() and ms.isdecimal()) or len(ms) > MAX_MS_DIGITS:
        return None
    return Place(int(ms), storable(picture_id)[:MAX_FIELD_CHARS])


def _field(text: str) -> str:
    return storable(_QUOTED.sub(lambda sign: unquote(sign[0]), text))[:MAX_FIELD_CHARS]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # Years that every machine can count in seconds.
    return day if 1970 < day.year < 3000 else None
