"""What people are called where a person reads it: their display name, never their Matrix id."""

from collections.abc import Mapping

from ..language import isolated

# Longer ones push everything else off a phone's line.
MAX_NAME_CHARS = 24


def shown_name(user_id: str, display_names: Mapping[str, str]) -> str:
    """The display name, or the first part of the id: on one line, short, and harmless to the text around it."""
    name = " ".join(display_names.get(user_id, "").split())
    name = name or user_id.removeprefix("@").partition(":")[0]
    return isolated(name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS].rstrip()}…")
