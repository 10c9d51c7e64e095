"""The chat language's one error, and the phrases that its sentences share.

Knows nothing of what is parsed.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from unicodedata import bidirectional

# Long enough to recognise what was typed, short enough for one line on a phone.
MAX_ECHO_CHARS = 40

# As many terms, settings or names as a sentence lists: a caption stays readable, and fits into an event.
MAX_LISTED = 8

# Around words from right to left. The first mark keeps the line from left to right, where they begin it: a client gives
# a message the direction of its first letter. Matrix's HTML has no `dir` and no `<bdi>`.
_LEFT_TO_RIGHT, _ISOLATE, _END = "\u200e", "\u2068", "\u2069"
_RIGHT_TO_LEFT = {"R", "AL"}

# These would end the isolation, or turn the rest of the line around.
_DIRECTIONS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))


class ParseError(Exception):
    """The text cannot be read. ``str()`` is one or two sentences that may be shown to the person who typed it."""


def brief(text: str) -> str:
    """``text`` as a sentence may show it: on one line, cut to ``MAX_ECHO_CHARS``."""
    line = " ".join(text.split())
    return isolated(line if len(line) <= MAX_ECHO_CHARS else f"{line[:MAX_ECHO_CHARS].rstrip()}…")


def isolated(text: str) -> str:
    """What a person typed, as it stands in a sentence of ours: its direction does not turn the sentence around."""
    plain = text.translate(_DIRECTIONS)
    is_plain = plain.isascii() or not any(bidirectional(sign) in _RIGHT_TO_LEFT for sign in plain)
    return plain if is_plain else f"{_LEFT_TO_RIGHT}{_ISOLATE}{plain}{_END}"


def quoted(text: str) -> str:
    """``text``, brief and in quotation marks."""
    return f"“{brief(text)}”"


def listed(items: Iterable[str]) -> str:
    """The items as ``a, b and c``."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def shortened(items: Sequence[str]) -> list[str]:
    """The first ``MAX_LISTED`` items, and an ellipsis in place of the others."""
    return list(items) if len(items) <= MAX_LISTED else [*items[:MAX_LISTED], "…"]


def unused_note(parts: Iterable[str]) -> str | None:
    """The one line that names what was not used, or None."""
    named = list(dict.fromkeys(map(brief, parts)))
    return f"Not used: {', '.join(shortened(named))}." if named else None


def nearest(word: str, choices: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The choice that ``word`` probably means, or None if no choice is near."""
    return next(iter(get_close_matches(word[:MAX_ECHO_CHARS].lower(), list(choices), n=1, cutoff=likeness)), None)
