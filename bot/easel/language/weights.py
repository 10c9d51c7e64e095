"""Turns A1111's weights into compel's syntax, and text into terms. Knows nothing of slots and flags.

compel's own syntax passes unchanged, so a second pass changes nothing.
"""

import re
from bisect import bisect

from .nesting import bracket_pairs, paired_smileys, split_outside
from .sentences import ParseError, brief, quoted

# A colon between whole numbers is a ratio, as in (16:9); a minus sign matches, to be refused.
_WEIGHT = re.compile(r"(?:(?<!\d):\s*-?\d{1,3}|:\s*-?\d{0,3}[.,]\d{1,6})\s*$")
_LORA = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*+>|\(?\bembedding:[\w.-]++(?::[\d.]++\))?", re.IGNORECASE)
_COMMA = re.compile(",")
_BAR = re.compile(r"\|")
_WORD = re.compile(r"\S")

_LAST_WEIGHT = re.compile(r"[\w)](?P<weight>\++|-+|(?<=\))\d*\.?\d+)\Z")

# What compel takes behind a bracket.
_COMPEL_WEIGHT = re.compile(r"\++|-+|\d+\.?\d*|\.\d+")

# A weight, its colon and the white space around it.
_MAX_WEIGHT_CHARS = 20


def without_loras(text: str) -> tuple[str, tuple[str, ...]]:
    """``text`` without ``<lora:name:weight>``, ``embedding:name`` and their kin, and what was left out."""
    names = tuple(dict.fromkeys(brief(match[0]) for match in _LORA.finditer(text)))
    return (_LORA.sub("", text), names) if names else (text, ())


def to_compel(text: str, *, bare_brackets_weigh: bool = False) -> str:
    """``(x:1.2)`` becomes ``(x)1.2`` and ``[x]`` becomes ``(x)-``.

    ``bare_brackets_weigh``: ``(x)`` becomes ``(x)+``, as in A1111; in compel and chat it has no weight. ``(x)1.2``,
    which is compel's, stays.
    Raises ParseError for A1111's words that change while drawing, and for a weight below 0, which compel lacks.
    """
    # The generator reads compel's syntax alone, in which a bracket is a bracket.
    edits = [(mouth, mouth, "\\") for mouth in paired_smileys(text)]
    bars = [bar.start() for bar in _BAR.finditer(text)]
    for start, end in bracket_pairs(text):
        word = _WORD.search(text, start + 1, end)
        if text[start] == "{" or not word:
            continue
        weight = _WEIGHT.search(text, max(start + 1, end - _MAX_WEIGHT_CHARS), end)
        weighs = weight and word.start() < weight.start()
        if text[start] == "[":
            if weight or bisect(bars, start) < bisect(bars, end):
                hint = "" if weight else " For a list, write {red | blue}."
                raise ParseError(f"I can't change words while I draw: {quoted(text[start : end + 1])}.{hint}")
            edits += [(start, start + 1, "("), (end, end + 1, ")-")]
        elif weight and weighs:
            edits.append((weight.start(), end + 1, f"){_number(weight[0])}{_gap(text, end + 1)}"))
        elif bare_brackets_weigh and not _COMPEL_WEIGHT.match(text, end + 1):
            edits.append((end, end + 1, ")+"))
    pieces, done = [], 0
    for start, end, new in sorted(edits):
        pieces += [text[done:start], new]
        done = end
    return "".join(pieces) + text[done:]


def read_terms(text: str) -> tuple[str, ...]:
    """The comma-separated terms of ``text``, in compel's syntax; white space within them is one space."""
    terms = (" ".join(term.split()) for term in split_outside(to_compel(text), _COMMA))
    return tuple(term for term in terms if term)


def next_weight(term: str, sign: str) -> str:
    """The weight that "more" (``+``) or "less" (``-``) gives a term, from the one that it has."""
    behind = _LAST_WEIGHT.search(term)
    value = behind["weight"] if behind else ""
    if value.strip("+-"):
        return written_weight(round(float(value) * 1.1 ** (2 if sign == "+" else -2), 2))
    had = len(value) if value.startswith(sign) else -len(value)
    signs = max(had + 1, 2) if had >= 0 else had + 2
    opposite = {"+": "-", "-": "+"}[sign]
    return sign * signs if signs > 0 else opposite * -signs


def within_limits(text: str, low: float, high: float, *, max_nesting: int) -> str:
    """``text`` with every weight in brackets from ``low`` to ``high``, and with fewer brackets if there are many."""
    opened: list[tuple[int, float]] = []
    weight_at = {}
    pairs = {start: end for start, end in bracket_pairs(text) if text[start] == "("}
    for end in pairs.values():
        weight_at[end] = _COMPEL_WEIGHT.match(text, end + 1)
    ends = {end: start for start, end in pairs.items()}
    pieces: list[tuple[str, float]] = []
    at, weight, is_within = 0, 1.0, True
    for position in sorted([*pairs, *ends]):
        if position > at:
            pieces.append((text[at:position], weight))
        at = max(at, position + 1)
        if position in pairs:
            opened.append((position, weight))
            weight *= _value(weight_at[pairs[position]])
            is_within = is_within and low <= weight <= high and len(opened) <= max_nesting
        else:
            weight = opened.pop()[1]
            behind = weight_at[position]
            at = behind.end() if behind else at
    if is_within:
        return text
    pieces.append((text[at:], weight))
    return "".join(_weighted(piece, min(max(weight, low), high)) for piece, weight in pieces)


def _value(weight: re.Match[str] | None) -> float:
    if weight is None:
        return 1.0
    sign = weight[0][0]
    # compel's factors for one + and one -.
    return {"+": 1.1, "-": 0.9}[sign] ** len(weight[0]) if sign in "+-" else float(weight[0])


def _weighted(piece: str, weight: float) -> str:
    """A piece of text with a weight around its words."""
    words = piece.strip(", \t\n")
    if not words or weight == 1:
        return piece
    start = piece.index(words)
    behind = piece[start + len(words) :]
    return f"{piece[:start]}({words}){written_weight(weight)}{behind}"


def written_weight(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _number(weight: str) -> str:
    """``1.2`` from ``: 1.20`` and ``: 1,2``, and ``0.5`` from ``:.5``, which compel cannot read."""
    value = float(weight.strip(": \t\r\n").replace(",", "."))
    if value < 0:
        raise ParseError(f"Weights start at 0, and one is {value:g}.")
    return written_weight(value)


def _gap(text: str, at: int) -> str:
    """A space if the text behind a weight would otherwise become part of it, else ""."""
    return " " if text[at : at + 1].isalnum() or text[at : at + 1] in {".", "+", "-"} else ""
