"""The reactions that are buttons: on a picture, on a sheet, or on the command that asks for one."""

import re

CANCEL = "❌"
AGAIN, LARGER, FAVOURITE, COPY, REMOVE = "🎲", "⬆", "⭐", "📋", "🗑"

# Stands in the settings for all of 1 to 9.
NUMBER = "1\u20e3"

# Those that the settings choose from.
REACTIONS = (AGAIN, LARGER, FAVOURITE, COPY, REMOVE, NUMBER)

# What the bot puts on a picture for people to press; what removes it, nobody shall press by chance.
OFFERED = (AGAIN, LARGER, FAVOURITE, COPY)

# The digits on keys.
_NUMBER = re.compile("([1-9])\u20e3", re.ASCII)

# Keyboards add it to emoji or not, as they like.
_VARIATION_SELECTOR = "\ufe0f"


def plain_emoji(text: str) -> str:
    """The text with its emoji as they stand above."""
    return text.replace(_VARIATION_SELECTOR, "")


def read_reaction(key: str | None) -> tuple[str, int]:
    """The button that a reaction's key is, as it stands above, and the number on it, else 0."""
    plain = plain_emoji(key or "")
    number = _NUMBER.fullmatch(plain)
    return (NUMBER, int(number[1])) if number else (plain, 0)
