"""The chat language's one error, and the phrases that its sentences share.

Knows nothing of what is parsed.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

# Long enough to recognise what was typed, short enough for one line on a phone.
MAX_ECHO_CHARS = 40

# As many terms, settings or names as a sentence lists: a caption stays readable, and fits into an event.
MAX_LISTED = 8


class ParseError(Exception):
    """The text cannot be read. ``str()`` is one or two sentences that may be shown to the person who typed it."""


def brief(text: str) -> str:
    """``text`` as a sentence may show it: on one line, cut to ``MAX_ECHO_CHARS``."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_ECHO_CHARS else f"{line[:MAX_ECHO_CHARS].rstrip()}…"


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


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` probably means, or None if no choice is near."""
    return next(iter(get_close_matches(word[:MAX_ECHO_CHARS].lower(), list(choices), n=1)), None)
