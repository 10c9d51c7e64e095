"""The chat language: text in, frozen values out. Knows no Matrix, no network and no generator; raises only ParseError."""

from .commands import Command, DrawCommand, EaselCommand, read_command
from .flags import FLAGS, Flag, Kind
from .request import SLOTS, DrawRequest, EarlierFacts, Slots
from .sentences import ParseError, nearest

__all__ = [
    "FLAGS",
    "SLOTS",
    "Command",
    "DrawCommand",
    "DrawRequest",
    "EarlierFacts",
    "EaselCommand",
    "Flag",
    "Kind",
    "ParseError",
    "Slots",
    "nearest",
    "read_command",
]
