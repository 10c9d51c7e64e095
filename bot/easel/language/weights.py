"""Turns A1111's weights into compel's syntax, and text into terms. Knows nothing of slots and flags.

compel's own syntax passes unchanged, so a second pass changes nothing.
"""

import re
from bisect import bisect

from .nesting import bracket_pairs, split_outside
from .sentences import ParseError, listed, quoted, shortened

# A colon between whole numbers is a ratio, as in (16:9); a minus sign matches, to be refused.
_WEIGHT = re.compile(r"(?:(?<!\d):\s*-?\d{1,3}|:\s*-?\d{0,3}\.\d{1,6})\s*$")
_LORA = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*+>", re.IGNORECASE)
_COMMA = re.compile(",")
_BAR = re.compile(r"\|")
_WORD = re.compile(r"\S")

# A weight, its colon and the white space around it.
_MAX_WEIGHT_CHARS = 20


def without_loras(text: str) -> tuple[str, tuple[str, ...]]:
    """``text`` without ``<lora:name:weight>`` and its kin, and a note that names what was left out."""
    names = list(dict.fromkeys(quoted(match[0]) for match in _LORA.finditer(text)))
    if not names:
        return text, ()
    were = "was" if len(names) == 1 else "were"
    return _LORA.sub("", text), (f"There are no LoRAs here: {listed(shortened(names))} {were} left out.",)


def to_compel(text: str, *, bare_brackets_weigh: bool = False) -> str:
    """``(x:1.2)`` becomes ``(x)1.2`` and ``[x]`` becomes ``(x)-``.

    ``bare_brackets_weigh``: ``(x)`` becomes ``(x)+``, as in A1111; in compel and chat it has no weight.
    Raises ParseError for A1111's words that change while drawing, and for a weight below 0, which compel lacks.
    """
    edits: list[tuple[int, int, str]] = []
    bars = [bar.start() for bar in _BAR.finditer(text)]
    for start, end in bracket_pairs(text):
        word = _WORD.search(text, start + 1, end)
        if text[start] == "{" or not word:
            continue
        weight = _WEIGHT.search(text, max(start + 1, end - _MAX_WEIGHT_CHARS), end)
        weighs = weight and word.start() < weight.start()
        if text[start] == "[":
            if weight or bisect(bars, start) < bisect(bars, end):
                raise ParseError(f"Easel cannot change words while it draws: {quoted(text[start : end + 1])}.")
            edits += [(start, start + 1, "("), (end, end + 1, ")-")]
        elif weight and weighs:
            edits.append((weight.start(), end + 1, f"){_number(weight[0])}{_gap(text, end + 1)}"))
        elif bare_brackets_weigh:
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


def _number(weight: str) -> str:
    """``1.2`` from ``: 1.20``, and ``0.5`` from ``:.5``, which compel cannot read."""
    value = float(weight.strip(": \t\r\n"))
    if value < 0:
        raise ParseError(f"A weight cannot be below 0, but one is {value:g}.")
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _gap(text: str, at: int) -> str:
    """A space if the text behind a weight would otherwise become part of it, else ""."""
    return " " if text[at : at + 1].isalnum() or text[at : at + 1] in {".", "+", "-"} else ""
