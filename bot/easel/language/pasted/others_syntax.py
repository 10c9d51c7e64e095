"""What other programs write between words: the weights of NovelAI and Midjourney, A1111's BREAK and AND."""

import re
from bisect import bisect

from ..nesting import bracket_pairs
from ..weights import written_weight

# NovelAI's factor for one pair of braces.
_BRACE = 1.05

# `1.3::red scarf::`, NovelAI's.
_NOVELAI = re.compile(r"(?<![\w:.])(?P<weight>\d{0,3}\.?\d{1,4})::(?P<words>[^:\n]{1,2000}?)::(?![\w.-])")
# `otter::2 hat::1`, Midjourney's. Without a number it only separates.
_MIDJOURNEY = re.compile(r"::(?P<weight>-?\d{0,3}\.?\d{1,4}(?![\w.]))?,?[ \t]*+")

_BAR = re.compile(r"\|")

# compel's greatest weight.
_MOST = 2.0

# A word in capitals among others that are not.
_BREAKS = re.compile(
    r"(?<=\s)[,]?[ \t]*+\b(?:BREAK|AND|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b[ \t]*+,?|^(?:BREAK|AND)\b", re.MULTILINE
)


def in_our_syntax(text: str) -> str:
    """The text with weights that compel reads, and commas for words that separate."""
    if "{{" in text or _NOVELAI.search(text):
        text = _NOVELAI.sub(_novelai_weight, _without_braces(text))
    if "::" in text:
        text = _without_colons(text)
    if "BREAK" in text or "AND" in text:
        text = _without_breaks(text)
    return text


def _novelai_weight(match: re.Match[str]) -> str:
    return f"({match['words'].strip()}){written_weight(float(match['weight']))}"


def _without_braces(text: str) -> str:
    """NovelAI's braces as compel's weights. Braces with a bar in them are a list, and stay."""
    pieces, done = [], 0
    marks, bars = [], [bar.start() for bar in _BAR.finditer(text)]
    for start, end in bracket_pairs(text):
        if text[start] == "{" and bisect(bars, start) == bisect(bars, end):
            marks += [(start, "("), (end, f"){written_weight(_BRACE)}")]
    for at, mark in sorted(marks):
        pieces += [text[done:at], mark]
        done = at + 1
    return "".join(pieces) + text[done:]


def _without_colons(text: str) -> str:
    """Each part of a Midjourney prompt with its share of the weight, so that they are 1 in the middle."""
    lines = []
    for line in text.split("\n"):
        found = list(_MIDJOURNEY.finditer(line))
        if not found or "://" in line:
            lines.append(line)
            continue
        lines.append(_with_shares(line, found))
    return "\n".join(lines)


def _with_shares(line: str, colons: list[re.Match[str]]) -> str:
    weights = [float(one["weight"]) if one["weight"] else 1.0 for one in colons]
    middle = sum(map(abs, weights)) / len(weights) or 1.0
    parts, unwanted, done = [], [], 0
    for one, weight in zip(colons, weights, strict=True):
        words = line[done : one.start()].strip(" ,")
        done = one.end()
        if words and weight < 0:
            unwanted.append(words)
        elif words:
            share = round(min(weight / middle, _MOST), 3)
            parts.append(words if share == 1 else f"({words}){written_weight(share)}")
    behind = line[done:].strip()
    if behind and not behind.startswith(("--", "—", "–", "|")):
        parts.append(behind)
        behind = ""
    # Below 0 means that it should not be there.
    no = f" --no {', '.join(unwanted)}" if unwanted else ""
    return f"{', '.join(parts)}{no} {behind}".rstrip()


def _without_breaks(text: str) -> str:
    has_small_letters = any(letter.islower() for letter in text.replace("BREAK", "").replace("AND", "")[:2000])
    return _BREAKS.sub(", ", text) if has_small_letters else text
