"""Room profiles: what a room's pictures are like, and what it does not draw. Pure: knows no Matrix.

The final prompt's words are all that is checked; nobody looks at the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Any

from .language import DrawRequest, ParseError
from .language.chat import parse_chat
from .language.weights import read_terms
from .setting_rules import InvalidSettings, glob, number, read_settings, text, texts

# The flags whose defaults a room may set, as one types them. The model has a key of its own.
DEFAULT_FLAGS = ("steps", "cfg", "size", "ar", "sampler", "tier")

NOTHING_SAID = DrawRequest()


def _default_flags(key: str, value: Any) -> DrawRequest:
    """What the flags of a mapping say, read as if somebody typed them."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(f"{key} must be a mapping of {', '.join(DEFAULT_FLAGS)}")
    if unknown := [flag for flag in value if flag not in DEFAULT_FLAGS]:
        raise InvalidSettings(f"{key}: {unknown[0]} is no default; there is {', '.join(DEFAULT_FLAGS)}")
    try:
        said = parse_chat("\n".join(f"--{flag} {typed}" for flag, typed in value.items()))
    except ParseError as error:
        raise InvalidSettings(f"{key}: {error}".rstrip(".")) from error
    if len(_said(said)) != len(value):
        raise InvalidSettings(f"{key} must be one value for each flag, such as steps: 30")
    return said


def _said(request: DrawRequest) -> list[str]:
    """The fields that are not as if nothing had been said."""
    return [f.name for f in fields(DrawRequest) if getattr(request, f.name) != getattr(NOTHING_SAID, f.name)]


def _terms(key: str, value: Any) -> tuple[str, ...]:
    try:
        return read_terms(", ".join(texts(key, value)))
    except ParseError as error:
        raise InvalidSettings(f"{key}: {error}".rstrip(".")) from error


@dataclass(frozen=True, kw_only=True)
class RoomProfile:
    """One room's rules. ``style`` and ``no`` are always added; a limit of None and an empty list are no limit."""

    model: Annotated[str | None, text] = None
    defaults: Annotated[DrawRequest, _default_flags] = NOTHING_SAID
    style: Annotated[tuple[str, ...], _terms] = ()
    no: Annotated[tuple[str, ...], _terms] = ()
    models: Annotated[tuple[str, ...], texts] = ()
    max_megapixels: Annotated[float | None, number(above=0)] = None
    blocked_words: Annotated[tuple[str, ...], texts] = ()


Rooms = Mapping[str, RoomProfile]


def room_profiles(key: str, value: Any) -> Rooms:
    """A rule for settings: profiles by room id or glob, in the order in which they are tried; ``*`` comes last."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(f"{key} must be a mapping from room ids to profiles")
    profiles = {}
    for room in sorted(value, key=lambda room: room == "*"):
        within = f"{key}: {glob('!')(key, room)}: "
        keys = {} if value[room] is None else value[room]
        if not isinstance(keys, Mapping):
            raise InvalidSettings(f"{within}must be a mapping of {', '.join(f.name for f in fields(RoomProfile))}")
        profiles[str(room)] = read_settings(RoomProfile, keys, within=within)
    return MappingProxyType(profiles)


def profile_for(room_id: str, rooms: Rooms) -> RoomProfile:
    """The first profile whose key matches; one without rules where none does."""
    return next((profile for room, profile in rooms.items() if fnmatchcase(room_id, room)), RoomProfile())
