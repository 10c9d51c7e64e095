"""What people are called where a person reads it: their display name, never their Matrix id."""

from collections.abc import Mapping

# Longer ones push everything else off a phone's line.
MAX_NAME_CHARS = 24

# Around a name that may be written from right to left, so that what follows it stays in its order.
_ISOLATE, _END = "\u2068", "\u2069"

# These would end the isolation, or turn the rest of the line around.
_DIRECTIONS = {ord(mark): None for mark in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def shown_name(user_id: str, display_names: Mapping[str, str]) -> str:
    """The display name, or the first part of the id: on one line, short, and harmless to the text around it."""
    name = " ".join(display_names.get(user_id, "").translate(_DIRECTIONS).split())
    name = name or user_id.removeprefix("@").partition(":")[0]
    short = name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS].rstrip()}…"
    return short if short.isascii() else f"{_ISOLATE}{short}{_END}"
