"""The reactions that are buttons: on a picture, on a sheet, or on the command that asks for one."""

import re
from dataclasses import dataclass

from mautrix.types import ReactionEvent

CANCEL = "❌"
AGAIN, LARGER, FAVOURITE, COPY, REMOVE = "🎲", "⬆", "⭐", "📋", "🗑"

# Stands in the settings for all of 1 to 9.
NUMBER = "1\u20e3"

# Those that the settings choose from.
REACTIONS = (AGAIN, LARGER, FAVOURITE, COPY, REMOVE, NUMBER)

# What the bot puts on a picture for people to press; what removes it, nobody shall press by chance.
OFFERED = (AGAIN, LARGER, FAVOURITE, COPY)

# Nobody waits any more for what these draw or answer when they are old.
SOON = (AGAIN, LARGER, COPY, NUMBER)

# These wait for the homeserver to take what they send, and the room's other events do not wait for them.
SLOW = (COPY, REMOVE)

# The digits on keys.
_NUMBER = re.compile("([1-9])\u20e3", re.ASCII)

# Keyboards add it to emoji or not, as they like.
_VARIATION_SELECTOR = "\ufe0f"


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """What a person put on an event. ``key`` is a constant of this module where it is a button, NUMBER for any number.

    ``number`` is what stands on the key, from 1, else 0.
    """

    room_id: str
    event_id: str
    sender: str
    target: str
    key: str
    number: int = 0


def plain_emoji(text: str) -> str:
    """The text with its emoji as they stand above."""
    return text.replace(_VARIATION_SELECTOR, "")


def read_reaction(event: ReactionEvent) -> Reaction | None:
    """The reaction of an event; None where it is on nothing."""
    relation = event.content.relates_to
    if not relation.event_id:
        return None
    key = plain_emoji(relation.key or "")
    number = _NUMBER.fullmatch(key)
    return Reaction(
        room_id=event.room_id,
        event_id=event.event_id,
        sender=event.sender,
        target=relation.event_id,
        key=NUMBER if number else key,
        number=int(number[1]) if number else 0,
    )
