"""What an event must have before anything reads it: mautrix passes on a number where an id or a text should be."""

import re
from types import SimpleNamespace
from typing import Any

from mautrix.types import Event, GenericEvent, RedactionEvent, StateEvent

# Matrix's limit for ids of events, rooms and people.
MAX_ID_CHARS = 255

# What the databases hold, and 292 million years.
MAX_TIMESTAMP_MS = 2**63 - 1

# NUL and halves of characters: JSON can write them, and the databases or the homeserver refuse them.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Malformed(Exception):
    """An event is not as Matrix describes events. ``str()`` says in which way, without its text."""


def read_event(raw: dict[str, Any], room_id: str) -> Event:
    """The event of a room as mautrix reads it. Raises Malformed."""
    try:
        event: Event = Event.deserialize({**raw, "room_id": room_id})
    except Exception as error:
        # mautrix raises whatever comes of a number where a text should be.
        raise Malformed(f"mautrix cannot read it ({type(error).__name__})") from error
    check_envelope(event)
    return event


def outline(raw: dict[str, Any], room_id: object) -> Any:
    """What an answer to an event needs, as far as it is there: the same attributes as those of a message."""
    content = raw.get("content")
    body = content.get("body") if isinstance(content, dict) else None
    return SimpleNamespace(
        type=raw.get("type"),
        room_id=room_id,
        event_id=raw.get("event_id"),
        sender=raw.get("sender"),
        content=SimpleNamespace(body=body),
    )


def check_envelope(event: Any) -> None:
    """Check the ids and the time of a room's event. Raises Malformed."""
    if isinstance(event, GenericEvent):
        raise Malformed("mautrix knows no such event")
    # An invitation has no id.
    is_invitation = isinstance(event, StateEvent) and event.event_id is None
    names = ["room_id", "sender"] if is_invitation else ["room_id", "sender", "event_id"]
    if isinstance(event, RedactionEvent):
        names.append("redacts")
    for name in names:
        if not is_id(getattr(event, name)):
            raise Malformed(f"{name} is no id")
    if not isinstance(event.timestamp, int) or abs(event.timestamp) > MAX_TIMESTAMP_MS:
        raise Malformed("origin_server_ts is no time")


def is_encrypted(event: Any) -> bool:
    """Whether an event or an outline came encrypted, whatever it holds."""
    return _type(event) == "m.room.encrypted"


def is_message(event: Any) -> bool:
    """Whether an event or an outline is a message, or what may be one when it is decrypted."""
    return is_encrypted(event) or _type(event) == "m.room.message"


def _type(event: Any) -> object:
    return getattr(event.type, "t", event.type)


def is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and not _UNSTORABLE.search(value)


def storable(text: str) -> str:
    """The text with a replacement character for each that cannot be kept or sent."""
    return _UNSTORABLE.sub("\ufffd", text)
