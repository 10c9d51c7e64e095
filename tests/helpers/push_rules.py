"""Matrix's default push rules, and what they do with an event: whether it rings a phone.

From the client-server specification 1.16, "Predefined rules", in their order; the deprecated ones on names in bodies,
and those on invitations, calls and polls, which the bot never sends, are left out. A homeserver evaluates them on what
it can read, which of an encrypted event is its type and relation; a client evaluates them again on what it decrypts.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

Event = dict[str, Any]
Condition = Callable[[Event, str, int], bool]


def _value(event: Event, *path: str) -> Any:
    value: Any = event
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _matches(pattern: str, *path: str) -> Condition:
    """``event_match``: a glob, whatever the capitals."""
    return lambda event, user, members: (
        isinstance(value := _value(event, *path), str) and fnmatchcase(value.lower(), pattern.lower())
    )


def _is(expected: object, *path: str) -> Condition:
    """``event_property_is``."""
    return lambda event, user, members: _value(event, *path) == expected


def _mentions(event: Event, user: str, members: int) -> bool:
    """``event_property_contains``."""
    mentioned = _value(event, "content", "m.mentions", "user_ids")
    return isinstance(mentioned, list) and user in mentioned


def _is_one_to_one(event: Event, user: str, members: int) -> bool:
    """``room_member_count``."""
    return members == 2


# By name: the conditions, all of which must hold, and whether the rule notifies. The first that matches decides.
RULES: dict[str, tuple[tuple[Condition, ...], bool]] = {
    ".m.rule.suppress_notices": ((_matches("m.notice", "content", "msgtype"),), False),
    ".m.rule.member_event": ((_matches("m.room.member", "type"),), False),
    ".m.rule.is_user_mention": ((_mentions,), True),
    ".m.rule.is_room_mention": ((_is(True, "content", "m.mentions", "room"),), True),
    ".m.rule.reaction": ((_matches("m.reaction", "type"),), False),
    ".m.rule.suppress_edits": ((_is("m.replace", "content", "m.relates_to", "rel_type"),), False),
    ".m.rule.encrypted_room_one_to_one": ((_is_one_to_one, _matches("m.room.encrypted", "type")), True),
    ".m.rule.room_one_to_one": ((_is_one_to_one, _matches("m.room.message", "type")), True),
    ".m.rule.message": ((_matches("m.room.message", "type"),), True),
    ".m.rule.encrypted": ((_matches("m.room.encrypted", "type"),), True),
}


def notifies(event: Event, user: str, *, members: int) -> bool:
    """Whether an event, with ``type`` and ``content``, notifies that person in a room of so many."""
    for conditions, does_notify in RULES.values():
        if all(condition(event, user, members) for condition in conditions):
            return does_notify
    return False
