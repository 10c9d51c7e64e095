"""Lists in a command, ``{watercolor | pop art}`` and ``--steps 10,20``: one text for each picture of a sheet.

Works on the text before it is parsed; each text that comes out is parsed like any other. Finds and counts all lists
before it makes a text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .chat import dashed
from .flags import flag_named
from .nesting import covered, matches_directly_inside
from .phones import as_typed
from .sentences import ParseError, brief

# More than any generator takes as one job. All texts are parsed before the generator's limit is known.
MAX_PICTURES = 100

# A deeper list is a typing mistake.
MAX_DEPTH = 3

_BAR = re.compile(r"\|")

# Numbers may have spaces behind their commas, as phones put them; a name behind a space could be a term.
_NUMBERS = re.compile(r"[ \t]*+[=:]?[ \t]*+(?P<list>[\d.]+(?:[ \t]*+,[ \t]*+[\d.]+)+)(?=[\s,|]|$)")
_NAMES = re.compile(r"[ \t]*+[=:]?[ \t]*+(?P<list>[\w.-]+(?:,[\w.-]+)+)(?=[\s,|]|$)")

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
class Cell:
    """The text of one picture, and its heading in each list."""

    text: str
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Lists:
    """The cells of a sheet, the last list varying fastest, and each list's size. Without lists there is one cell."""

    cells: tuple[Cell, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class _Axis:
    """One list: its place in the text, its options, and the flag's name that stands before each in headings."""

    start: int
    end: int
    options: tuple["_Text", ...]
    label: str = ""

    @property
    def number(self) -> int:
        return sum(option.number for option in self.options)


@dataclass(frozen=True)
class _Text:
    """A text with the lists in it, in their order."""

    text: str
    axes: tuple[_Axis, ...] = ()

    @property
    def number(self) -> int:
        """How many texts it stands for."""
        return prod(axis.number for axis in self.axes)


def expand(text: str) -> Lists:
    """One cell for each combination of options; a text without lists is one cell. Raises ParseError for too many."""
    found = _read(as_typed(text), depth=0)
    if not found.axes:
        return Lists((Cell(text, ()),), ())
    if found.number > MAX_PICTURES:
        number = brief(str(found.number))
        raise ParseError(f"These lists make {number} pictures, and {MAX_PICTURES} is far too many already.")
    return Lists(tuple(_cells(found)), tuple(axis.number for axis in found.axes))


def _read(text: str, *, depth: int) -> _Text:
    braces = _braces(text, depth)
    inside = covered(len(text), [(axis.start, axis.end) for axis in braces])
    flags = [axis for axis in _flags(text) if not inside[axis.start]]
    return _Text(text, tuple(sorted([*braces, *flags], key=lambda axis: axis.start)))


def _braces(text: str, depth: int) -> list[_Axis]:
    """The outermost braces with a bar directly in them."""
    found: list[_Axis] = []
    if "|" not in text:
        return found
    for (start, end), bars in sorted(matches_directly_inside(text, _BAR).items()):
        if text[start] != "{" or (found and start < found[-1].end):
            continue
        if depth >= MAX_DEPTH:
            raise ParseError(f"Lists stand within each other at most {MAX_DEPTH} deep.")
        starts, ends = [start + 1, *(bar.end() for bar in bars)], [*(bar.start() for bar in bars), end]
        options = tuple(_read(text[s:e], depth=depth + 1) for s, e in zip(starts, ends, strict=True))
        found.append(_Axis(start, end + 1, options))
    return found


def _flags(text: str) -> Iterator[_Axis]:
    for match in dashed(text):
        flag = flag_named(match["name"])
        if flag is None or flag.field not in _LISTED:
            continue
        listed = _LISTED[flag.field].match(text, match.end())
        if listed is None:
            continue
        options = tuple(_Text(option.strip()) for option in listed["list"].split(","))
        label = "" if flag.field in ("model", "sampler", "tier") else f"{flag.name} "
        yield _Axis(listed.start("list"), listed.end("list"), options, label)


def _cells(text: _Text) -> Iterator[Cell]:
    for chosen in product(*map(_choices, text.axes)):
        headings = (f"{axis.label}{choice}" or "without" for axis, choice in zip(text.axes, chosen, strict=True))
        yield Cell(_with(text, chosen), tuple(headings))


def _choices(axis: _Axis) -> list[str]:
    """The choices of a list. Those of a list within it are among them."""
    return [cell.text.strip() for option in axis.options for cell in _cells(option)]


def _with(text: _Text, chosen: Sequence[str]) -> str:
    """The text with a choice in place of each list."""
    pieces, done = [], 0
    for axis, choice in zip(text.axes, chosen, strict=True):
        pieces += [text.text[done : axis.start], choice]
        done = axis.end
    return "".join(pieces) + text.text[done:]
