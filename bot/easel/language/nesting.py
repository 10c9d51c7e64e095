r"""How far quotes and brackets reach, and splitting text outside of them. Knows nothing of slots, flags or weights.

Only pairs count, and smileys are none: the brackets of ``:-(`` and the inches of ``5"`` are plain characters, and so
is ``\(``. Everything here takes linear time.
"""

import re
from collections import defaultdict
from itertools import accumulate, pairwise

# A quote opens at the start of a word and closes at the end of one, on the same line.
_QUOTED = re.compile(r'(?<![^\s,|=:(\[{])"(?:[^"\\\n]|\\.)*+"(?![^\s,|)\]}+\-.:;!?\d])')
# A word of eyes, a nose if any, and a mouth.
_SMILEY = re.compile(r"(?<![^\s,|(\[])[:;=](?P<face>[-'^]?[()\[\]])(?=[\s,.!?|)\]]|\Z)")
_BRACKET = re.compile(rf"\\.|{_SMILEY.pattern}|[()\[\]{{}}]", re.DOTALL)
_OPENS = {")": "(", "]": "[", "}": "{"}


def quote_spans(text: str) -> list[tuple[int, int]]:
    """Start and end (one past the closing quote) of each quoted piece."""
    return [match.span() for match in _QUOTED.finditer(text)]


def bracket_pairs(text: str) -> list[tuple[int, int]]:
    """Positions of each bracket and its partner, in order of the closing one; quoted brackets are left out."""
    quoted = covered(len(text), quote_spans(text))
    waiting: list[tuple[str, int]] = []
    open_now = dict.fromkeys(_OPENS.values(), 0)
    pairs = []
    for match in _BRACKET.finditer(text):
        bracket, at = match[0], match.start()
        if quoted[at]:
            continue
        if bracket in open_now:
            waiting.append((bracket, at))
            open_now[bracket] += 1
        elif open_now.get(_OPENS.get(bracket, ""), 0):
            # What is still open inside has no partner.
            while True:
                opened, start = waiting.pop()
                open_now[opened] -= 1
                if opened == _OPENS[bracket]:
                    break
            pairs.append((start, at))
    return pairs


def matches_directly_inside(text: str, pattern: re.Pattern[str]) -> dict[tuple[int, int], list[re.Match[str]]]:
    """The matches that start in brackets but outside quotes, by the innermost pair around each."""
    quoted, pairs = covered(len(text), quote_spans(text)), sorted(bracket_pairs(text), reverse=True)
    found: dict[tuple[int, int], list[re.Match[str]]] = defaultdict(list)
    around: list[tuple[int, int]] = []
    for match in pattern.finditer(text):
        while pairs and pairs[-1][0] < match.start():
            around = _still_open(around, pairs[-1][0])
            around.append(pairs.pop())
        around = _still_open(around, match.start())
        if around and not quoted[match.start()]:
            found[around[-1]].append(match)
    return found


def _still_open(pairs: list[tuple[int, int]], at: int) -> list[tuple[int, int]]:
    """``pairs``, each inside the one before, without those that close before ``at``."""
    while pairs and pairs[-1][1] < at:
        pairs.pop()
    return pairs


def matches_outside(text: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The matches that start outside quotes and brackets."""
    inside = covered(len(text), quote_spans(text) + bracket_pairs(text))
    return [match for match in pattern.finditer(text) if not inside[match.start()]]


def split_outside(text: str, separators: re.Pattern[str]) -> list[str]:
    """``text`` split at each separator outside quotes and brackets."""
    cuts = [match.span() for match in matches_outside(text, separators)]
    edges = [(0, 0), *cuts, (len(text), len(text))]
    return [text[left[1] : right[0]] for left, right in pairwise(edges)]


def paired_smileys(text: str) -> list[int]:
    """Positions of the brackets of smileys that a reader without smileys pairs with others."""
    mouths = [match.end() - 1 for match in _SMILEY.finditer(text)]
    if not mouths:
        return []
    paired = {at for pair in bracket_pairs(_SMILEY.sub(r"_\g<face>", text)) for at in pair}
    return [mouth for mouth in mouths if mouth in paired]


def covered(length: int, spans: list[tuple[int, int]]) -> list[int]:
    """How many of the spans (without their ends) cover each position, and the position behind the text."""
    steps = [0] * (length + 1)
    for start, end in spans:
        steps[start] += 1
        steps[end] -= 1
    return list(accumulate(steps))
