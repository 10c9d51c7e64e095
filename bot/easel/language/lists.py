"""Lists in a command, ``{watercolor | pop art}`` and ``--steps 10,20``: one text for each picture of a sheet.

Works on the text before it is parsed; each text that comes out is parsed like any other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .chat import dashed
from .flags import flag_named
from .nesting import bracket_pairs, split_outside
from .phones import as_typed
from .sentences import ParseError

# More than any generator takes as one job. All texts are parsed before the generator's limit is known.
MAX_PICTURES = 100

# A deeper list is a typing mistake.
MAX_DEPTH = 3

_BAR = re.compile(r"\|")

# Numbers may have spaces behind their commas, as phones put them; a name behind a space could be a term.
_NUMBERS = re.compile(r"[ \t]*[=:]?[ \t]*(?P<list>[\d.]+(?:[ \t]*,[ \t]*[\d.]+)+)(?=[\s,|]|$)")
_NAMES = re.compile(r"[ \t]*[=:]?[ \t]*(?P<list>[\w.-]+(?:,[\w.-]+)+)(?=[\s,|]|$)")

# The fields that can be compared, and how a list of each is written.
_LISTED = {
    "model": _NAMES,
    "sampler": _NAMES,
    "tier": _NAMES,
    "steps": _NUMBERS,
    "guidance_scale": _NUMBERS,
    "seed": _NUMBERS,
    "strength": _NUMBERS,
}


@dataclass(frozen=True)
class Axis:
    """One list: its place in the text, its options and their headings."""

    start: int
    end: int
    options: tuple[str, ...]
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """The text of one picture, and its heading in each list."""

    text: str
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Lists:
    """The cells of a sheet, the last list varying fastest, and each list's size. Without lists there is one cell."""

    cells: tuple[Cell, ...]
    sizes: tuple[int, ...]


def expand(text: str) -> Lists:
    """One cell for each combination of options; a text without lists is one cell. Raises ParseError for too many."""
    return _expanded(text, depth=0)


def _expanded(text: str, *, depth: int) -> Lists:
    typed = as_typed(text)
    axes = sorted([*_braces(typed, depth), *_flags(typed)], key=lambda axis: axis.start)
    if not axes:
        return Lists((Cell(text, ()),), ())
    number = prod(len(axis.options) for axis in axes)
    if number > MAX_PICTURES:
        raise ParseError(f"These lists make {number} pictures, and {MAX_PICTURES} is far too many already.")
    text = typed
    cells = [
        Cell(_chosen(text, axes, choice), tuple(axis.headings[n] for axis, n in zip(axes, choice, strict=True)))
        for choice in product(*(range(len(axis.options)) for axis in axes))
    ]
    return Lists(tuple(cells), tuple(len(axis.options) for axis in axes))


def _braces(text: str, depth: int) -> list[Axis]:
    """The outermost braces with a bar in them."""
    found: list[Axis] = []
    for start, end in sorted(bracket_pairs(text)):
        if text[start] != "{" or (found and start < found[-1].end):
            continue
        inside = split_outside(text[start + 1 : end], _BAR)
        if len(inside) == 1:
            continue
        if depth >= MAX_DEPTH:
            raise ParseError(f"Lists stand within each other at most {MAX_DEPTH} deep.")
        # The options of an inner list join those of the outer one.
        options = tuple(cell.text.strip() for option in inside for cell in _expanded(option, depth=depth + 1).cells)
        found.append(Axis(start, end + 1, options, tuple(option or "without" for option in options)))
    return found


def _flags(text: str) -> list[Axis]:
    found = []
    for match in dashed(text):
        flag = flag_named(match["name"])
        if flag is None or flag.field not in _LISTED:
            continue
        listed = _LISTED[flag.field].match(text, match.end())
        if listed is None:
            continue
        options = tuple(option.strip() for option in listed["list"].split(","))
        names = options if flag.field in ("model", "sampler", "tier") else tuple(f"{flag.name} {o}" for o in options)
        found.append(Axis(listed.start("list"), listed.end("list"), options, names))
    return found


def _chosen(text: str, axes: Sequence[Axis], choice: Sequence[int]) -> str:
    pieces, done = [], 0
    for axis, number in zip(axes, choice, strict=True):
        pieces += [text[done : axis.start], axis.options[number]]
        done = axis.end
    return "".join(pieces) + text[done:]
