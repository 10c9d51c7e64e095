"""The chat language: text in, frozen values out.

Pure: knows no Matrix, no network and no generator, and raises nothing but ``ParseError``.
"""

from .chat import has_signs
from .commands import HELP_TOPICS, Command, DrawCommand, EaselCommand, NearMiss, read_command
from .flags import FLAGS, Kind
from .names import folded, same_name, sampler_name
from .parse import check_length, parse_all, parse_draw, parse_recipe
from .redraw import larger, unchanged, with_another_seed, with_other_seeds
from .request import SLOTS, Asked, DrawRequest, EarlierFacts, Slots
from .sentences import ParseError, brief, isolated, listed, nearest, quoted, unused_note
from .shortening import few_weakened, fitting_terms
from .styles import MAX_STYLE_CHARS, read_style, style_names
from .weights import read_terms, within_limits
from .written import as_command

__all__ = [
    "FLAGS",
    "HELP_TOPICS",
    "MAX_STYLE_CHARS",
    "SLOTS",
    "Asked",
    "Command",
    "DrawCommand",
    "DrawRequest",
    "EarlierFacts",
    "EaselCommand",
    "Kind",
    "NearMiss",
    "ParseError",
    "Slots",
    "as_command",
    "brief",
    "check_length",
    "few_weakened",
    "fitting_terms",
    "folded",
    "has_signs",
    "isolated",
    "larger",
    "listed",
    "nearest",
    "parse_all",
    "parse_draw",
    "parse_recipe",
    "quoted",
    "read_command",
    "read_style",
    "read_terms",
    "same_name",
    "sampler_name",
    "style_names",
    "unchanged",
    "unused_note",
    "with_another_seed",
    "with_other_seeds",
    "within_limits",
]
