"""Lists in a command, ``{watercolor | pop art}`` and ``--steps 10,20``: one text for each picture of a sheet.

Works on the text before it is parsed; each text that comes out is parsed like any other. Finds and counts all lists
before it makes a text.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .flags import Kind, flag_named
from .names import folded
from .nesting import covered, matches_directly_inside
from .phones import as_typed
from .sentences import ParseError, brief, quoted
from .typed_flags import dashed, with_flags_apart

# More than any generator takes as one job. All texts are parsed before the generator's limit is known.
MAX_PICTURES = 100

# A deeper list is a typing mistake.
MAX_DEPTH = 3

_BAR = re.compile(r"\|")

# `{2$$otter|owl}` of dynamic prompts, which chooses two of them.
_CHOOSES_SOME = re.compile(r"\{\s*[\d-]{1,5}\$\$")

# Numbers may have spaces behind their commas, as phones put them; a name behind a space could be a term, unless there
# is a model or sampler of that name.
_NUMBERS = re.compile(r"[ \t]*+[=:]?[ \t]*+(?P<list>[\d.]+(?:[ \t]*+,[ \t]*+[\d.]+)+)(?=[\s,|]|$)")
# Whole numbers with spaces alone, and nothing else behind the flag.
_SPACED_NUMBERS = re.compile(r"[ \t]*+[=:]?[ \t]*+(?P<list>\d++(?:[ \t]++\d++)++)(?=[ \t]*+(?:[|\n]|--|$))")
_NAMES = re.compile(r"[ \t]*+[=:]?[ \t]*+(?P<list>[\w.+-]++(?:[ \t]*+,[ \t]*+[\w.+-]++)++)(?=[\s,|]|$)")
# Without known names, what looks like a model's name: sd-1.5.
_MODEL_LIKE = re.compile(r"(?=[^\d]\w*[-.])(?=.*\d)[\w.-]+")
_SPACED_NAME = re.compile(r"(?:(?<![ \t])[ \t]++,[ \t]*+|,[ \t]++)(?P<name>[\w.+-]+)")
# A decimal comma: 7,5 and 0,6. A list of whole numbers is more likely to grow: 5,7 and 7,12.
_DECIMAL = re.compile(r"(?P<whole>\d{1,2}),(?P<tenths>\d|25|75)")

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


def expand(text: str, *, names: Collection[str] = ()) -> Lists:
    """One cell for each combination of options; a text without lists is one cell. Raises ParseError for too many.

    ``names`` are those of models and samplers, by which a list of names with spaces is told from terms.
    """
    found = _read(with_flags_apart(as_typed(text)), depth=0, names=frozenset(map(folded, names)))
    if not found.axes:
        return Lists((Cell(text, ()),), ())
    if found.number > MAX_PICTURES:
        number = brief(str(found.number))
        raise ParseError(f"These lists make {number} pictures, and {MAX_PICTURES} is far too many already.")
    return Lists(tuple(_cells(found)), tuple(axis.number for axis in found.axes))


def _read(text: str, *, depth: int, names: frozenset[str]) -> _Text:
    braces = _braces(text, depth, names)
    inside = covered(len(text), [(axis.start, axis.end) for axis in braces])
    flags = [axis for axis in _flags(text, names) if not inside[axis.start]]
    return _Text(text, tuple(sorted([*braces, *flags], key=lambda axis: axis.start)))


def _braces(text: str, depth: int, names: frozenset[str]) -> list[_Axis]:
    """The outermost braces with a bar directly in them."""
    found: list[_Axis] = []
    if "|" not in text:
        return found
    for (start, end), bars in sorted(matches_directly_inside(text, _BAR).items()):
        if text[start] != "{" or (found and start < found[-1].end):
            continue
        if depth >= MAX_DEPTH:
            raise ParseError(f"Lists go up to {MAX_DEPTH} deep into each other.")
        if others := _CHOOSES_SOME.match(text, start):
            raise ParseError(f"A list draws all of its choices. Leave out {quoted(others[0].strip('{ '))}.")
        starts, ends = [start + 1, *(bar.end() for bar in bars)], [*(bar.start() for bar in bars), end]
        options = tuple(_read(text[s:e], depth=depth + 1, names=names) for s, e in zip(starts, ends, strict=True))
        found.append(_Axis(start, end + 1, options))
    return found


def _flags(text: str, names: frozenset[str]) -> Iterator[_Axis]:
    for match in dashed(text):
        flag = flag_named(match["name"])
        if flag is None or flag.field not in _LISTED:
            continue
        listed = _LISTED[flag.field].match(text, match.end())
        if listed is None and flag.kind in (Kind.SEED, Kind.WHOLE_NUMBER):
            listed = _SPACED_NUMBERS.match(text, match.end())
        if listed is None:
            continue
        end = listed.end("list")
        if _LISTED[flag.field] is _NAMES:
            end = _end_of_names(text, listed, names)
        elif flag.kind in (Kind.NUMBER, Kind.STRENGTH) and _is_decimal(listed["list"]):
            continue
        choices = [choice for choice in re.split(r"[,\s]+", text[listed.start("list") : end]) if choice]
        if len(choices) > 1:
            label = "" if flag.field in ("model", "sampler", "tier") else f"{flag.name} "
            yield _Axis(listed.start("list"), end, tuple(_Text(choice.strip()) for choice in choices), label)


def _end_of_names(text: str, listed: re.Match[str], names: frozenset[str]) -> int:
    """Where a list of names ends: before the first word behind a comma and a space that is no known name."""
    for spaced in _SPACED_NAME.finditer(text, listed.start("list"), listed.end("list")):
        is_name = folded(spaced["name"]) in names if names else _MODEL_LIKE.fullmatch(spaced["name"])
        if not is_name:
            return spaced.start()
    return listed.end("list")


def _is_decimal(text: str) -> bool:
    number = _DECIMAL.fullmatch("".join(text.split()))
    if number is None:
        return False
    whole, tenths = int(number["whole"]), int(number["tenths"])
    return " " not in text and (tenths in (0, 5) or tenths <= whole or whole == 0 or tenths > 9)


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
