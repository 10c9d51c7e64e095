"""What other programs write between words: the weights of NovelAI and Midjourney, A1111's BREAK and AND."""

import re
from bisect import bisect
from functools import partial

from ..flags import flag_named
from ..labels import field_called
from ..nesting import bracket_pairs
from ..typed_flags import first_flag
from ..weights import written_weight

# NovelAI's factor for one pair of braces.
_BRACE = 1.05

# `1.3::red scarf::`, NovelAI's.
_NOVELAI = re.compile(r"(?<![\w:.])(?P<weight>-?\d{0,3}\.?\d{1,4})::(?P<words>[^:\n]{1,2000}?)::(?![\w.-])")
# `otter::2 hat::1`, Midjourney's. Without a number it only separates.
_MIDJOURNEY = re.compile(r"::(?P<weight>-?\d{0,3}\.?\d{1,4}(?![\w.]))?,?[ \t]*+")
# Behind a flag it says nothing.
_WEIGHT_BEHIND = re.compile(r"(?<=\w)::-?[\d.]*+")

_BAR = re.compile(r"\|")

# compel's greatest weight.
_MOST = 2.0

# `otter:1.3`, A1111's without its brackets.
_BARE = re.compile(
    r"(?:^|(?<=[,|]))[ \t]*+(?P<words>[^\W\d][^,|\n:()\[\]{}\"]{0,80}):(?P<weight>\d\.\d{1,3})[ \t]*+(?=$|[,|])",
    re.MULTILINE,
)

# `(otter:1.2, hat`, without its second bracket.
_OPEN = re.compile(r"\([^\W\d][^,|\n:()\[\]{}\"]{0,80}:\d\.\d{1,3}[ \t]*+(?=$|[,|])", re.MULTILINE)

# `| ugly, deformed:-1.0`, of Discord's first bots: all behind the bar; behind a comma, the term alone.
_BELOW_0 = re.compile(
    r"(?:\|[ \t]*+(?P<part>[^\W\d][^|\n:()\[\]{}\"]{0,300})"
    r"|(?:^|(?<=,))[ \t]*+(?P<term>[^\W\d][^,|\n:()\[\]{}\"]{0,80}))"
    r":-\d(?:\.\d{1,3})?[ \t]*+(?=$|[,|])",
    re.MULTILINE,
)

# Where other programs' settings are, each has a colon and a number.
_SETTINGS = re.compile("steps|seed", re.IGNORECASE)

# A word in capitals among others that are not.
_BREAKS = re.compile(
    r"(?<=\s)[,]?[ \t]*+\b(?:BREAK|AND|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b[ \t]*+,?|^(?:BREAK|AND)\b", re.MULTILINE
)


def in_our_syntax(text: str) -> str:
    """The text with weights that compel reads, and commas for words that separate."""
    if "{{" in text or _NOVELAI.search(text):
        unwanted = list[str]()
        text = _NOVELAI.sub(partial(_novelai_weight, unwanted), _without_braces(text))
        text += _no(unwanted)
    if "::" in text:
        text = _without_colons(text)
    if "BREAK" in text or "AND" in text:
        text = _without_breaks(text)
    if _OPEN.search(text):
        closed = {start for start, _ in bracket_pairs(text)}
        text = _OPEN.sub(lambda match: match[0] if match.start() in closed else f"{match[0].rstrip()})", text)
    if _SETTINGS.search(text):
        return text
    if ":-" in text and "negative" not in text.lower():
        below = list[str]()
        text = _BELOW_0.sub(partial(_below_0, below), text)
        text += _no(below)
    return _BARE.sub(_bare_weight, text)


def _novelai_weight(unwanted: list[str], match: re.Match[str]) -> str:
    words, weight = match["words"].strip(), float(match["weight"])
    if weight < 0:
        unwanted.append(words)
        return ""
    return f"({words}){written_weight(weight)}"


def _below_0(unwanted: list[str], match: re.Match[str]) -> str:
    words = (match["part"] or match["term"]).strip()
    if flag_named(words) or field_called(words):
        return match[0]
    unwanted.append(words)
    return ""


def _no(unwanted: list[str]) -> str:
    """The flag for what has a weight below 0, which means that it should not be there."""
    return f" --no {', '.join(unwanted)}" if unwanted else ""


def _bare_weight(match: re.Match[str]) -> str:
    """A term with a weight behind a colon. A setting's name keeps its number."""
    if flag_named(match["words"]) or field_called(match["words"]) or first_flag(match["words"]) is not None:
        return match[0]
    return f" ({match['words'].strip()}){match['weight']}"


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
        end = _end_of_parts(line)
        words, behind = line[:end], line[end:]
        found = list(_MIDJOURNEY.finditer(words))
        if not found or "://" in line:
            lines.append(line)
            continue
        lines.append(f"{_with_shares(words, found)} {_WEIGHT_BEHIND.sub('', behind)}".rstrip())
    return "\n".join(lines)


def _end_of_parts(line: str) -> int:
    """Where a line's flags begin, or the slots behind its last weight."""
    flag, bar = first_flag(line), line.find("|", line.rindex("::") if "::" in line else 0)
    return min((at for at in (flag, bar) if at is not None and at >= 0), default=len(line))


def _with_shares(line: str, colons: list[re.Match[str]]) -> str:
    weights = [float(one["weight"]) if one["weight"] else 1.0 for one in colons]
    last = line[colons[-1].end() :].strip()
    if last:
        weights.append(1.0)
    middle = sum(map(abs, weights)) / len(weights) or 1.0
    parts, unwanted, done = [], [], 0
    ends = [(one.start(), one.end()) for one in colons] + [(len(line), len(line))] * (len(weights) - len(colons))
    for (end, behind), weight in zip(ends, weights, strict=True):
        words = line[done:end].strip(" ,")
        done = behind
        if words and weight < 0:
            unwanted.append(words)
        elif words:
            share = round(min(weight / middle, _MOST), 3)
            parts.append(words if share == 1 else f"({words}){written_weight(share)}")
    return f"{', '.join(parts)}{_no(unwanted)} {line[done:].strip()}".rstrip()


def _without_breaks(text: str) -> str:
    has_small_letters = any(letter.islower() for letter in text.replace("BREAK", "").replace("AND", "")[:2000])
    return _BREAKS.sub(", ", text) if has_small_letters else text
