"""The chat language: text in, frozen values out.

Pure: knows no Matrix, no network and no generator, and raises nothing but ``ParseError``.
"""

from .commands import Command, DrawCommand, EaselCommand, read_command
from .flags import FLAGS, Flag, Kind
from .parse import check_length, parse_all, parse_draw, parse_recipe
from .redraw import larger, larger_size, unchanged, with_another_seed, with_other_seeds
from .request import SLOTS, Asked, DrawRequest, EarlierFacts, Slots
from .sentences import ParseError, brief, nearest, quoted
from .styles import read_style, style_names
from .written import as_command

__all__ = [
    "FLAGS",
    "SLOTS",
    "Asked",
    "Command",
    "DrawCommand",
    "DrawRequest",
    "EarlierFacts",
    "EaselCommand",
    "Flag",
    "Kind",
    "ParseError",
    "Slots",
    "as_command",
    "brief",
    "check_length",
    "larger",
    "larger_size",
    "nearest",
    "parse_all",
    "parse_draw",
    "parse_recipe",
    "quoted",
    "read_command",
    "read_style",
    "style_names",
    "unchanged",
    "with_another_seed",
    "with_other_seeds",
]
