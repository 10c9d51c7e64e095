"""The reactions that are buttons: on a picture, on a sheet, or on the command that asks for one."""

import re
from dataclasses import dataclass

from mautrix.types import ReactionEvent

from .envelope import Malformed, is_id

CANCEL = "❌"
AGAIN, LARGER, FAVOURITE, COPY, FILE, REMOVE = "🎲", "⬆", "⭐", "📋", "📄", "🗑"

# In the settings it stands for all of 1 to 9.
NUMBER = "1\u20e3"

# The settings choose from these.
REACTIONS = (AGAIN, LARGER, FAVOURITE, COPY, FILE, REMOVE, NUMBER)

# The bot puts these on a picture for people to press; nobody should press REMOVE by chance.
OFFERED = (AGAIN, LARGER, FAVOURITE, COPY)

# Where pictures come without a file of their own, this is offered too.
OFFERED_EMBEDDED = (*OFFERED, FILE)

# When these are old, nobody waits for their picture or answer any more.
SOON = (AGAIN, LARGER, COPY, FILE, NUMBER)

# These wait until the homeserver takes what they send; the room's other events do not wait for them.
SLOW = (COPY, FILE, REMOVE)

# Keycap digits.
_NUMBER = re.compile("([1-9])\u20e3", re.ASCII)

# Some keyboards add it to emoji.
_VARIATION_SELECTOR = "\ufe0f"


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """A person's reaction to an event. ``key`` is a constant of this module for a button, NUMBER for any number.

    ``number`` is the digit on the key, from 1, else 0.
    """

    room_id: str
    event_id: str
    sender: str
    target: str
    key: str
    number: int = 0


def plain_emoji(text: str) -> str:
    """The text without variation selectors: its emoji equal the constants above."""
    return text.replace(_VARIATION_SELECTOR, "")


def as_clients_send(key: str) -> str:
    """A button's key as clients send it: with a variation selector, where they would else count two of them."""
    return key + _VARIATION_SELECTOR if key in (LARGER, REMOVE) else key


def number_key(number: int) -> str:
    """The keycap of a digit, as clients send it."""
    return f"{number}{_VARIATION_SELECTOR}\u20e3"


def read_reaction(event: ReactionEvent) -> Reaction | None:
    """The reaction of an event; None if it was taken back, which leaves nothing of it. Raises Malformed."""
    relation = event.content.relates_to
    if relation.event_id is None and relation.key is None:
        return None
    if relation.event_id is None or not is_id(relation.event_id) or not isinstance(relation.key, str):
        raise Malformed("the reaction has no target or no key")
    key = plain_emoji(relation.key)
    number = _NUMBER.fullmatch(key)
    return Reaction(
        room_id=event.room_id,
        event_id=event.event_id,
        sender=event.sender,
        target=relation.event_id,
        key=NUMBER if number else key,
        number=int(number[1]) if number else 0,
    )
