"""Which events in a room are text to read, and where an answer belongs. Knows no commands."""

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from mautrix.types import (
    BaseRoomEvent,
    EncryptedMegolmEventContent,
    MediaMessageEventContent,
    MessageEvent,
    MessageType,
    RelationType,
    TextMessageEventContent,
)

from .envelope import Malformed, is_id, storable

# Events are decrypted within milliseconds of being seen; there are never this many in between.
MAX_SEEN_ENCRYPTED = 1000

# Where a mention before a command ends.
MAX_ADDRESS_CHARS = 500

# What older clients put before a reply: the lines of the message replied to.
_QUOTED_LINES = re.compile(r"(?:> [^\n]*+(?:\n|\Z))*+")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A text message from a person.

    ``thread`` is the thread's first event. ``is_caption``: it came with a photo; ``is_on_file``: with another file.
    ``is_mention``: it mentions the bot. ``edited_by`` is the edit that has the text, if one does.
    """

    room_id: str
    event_id: str
    sender: str
    body: str
    thread: str | None = None
    is_caption: bool = False
    reply_to: str | None = None
    is_on_file: bool = False
    is_mention: bool = False
    edited_by: str | None = None

    @property
    def asked_by(self) -> str:
        """The event with the text: the message, or an edit of it."""
        return self.edited_by or self.event_id

    def with_body(self, body: str) -> "Message":
        """A copy of this message with another text."""
        return replace(self, body=body)

    @property
    def relation(self) -> dict[str, Any]:
        """The ``m.relates_to`` of an answer: a reply, in the thread if there is one."""
        reply: dict[str, Any] = {"m.in_reply_to": {"event_id": self.event_id}}
        if self.thread is None:
            return reply
        # A true reply inside the thread, not a fallback for old clients.
        return {"rel_type": "m.thread", "event_id": self.thread, "is_falling_back": False, **reply}

    @property
    def place(self) -> dict[str, Any] | None:
        """The ``m.relates_to`` of an event that answers nothing: the thread if there is one, without a quote."""
        if self.thread is None:
            return None
        return in_thread(self.thread)


def in_thread(first: str) -> dict[str, Any]:
    """The ``m.relates_to`` of an event in the thread below that one. Clients without threads see a reply to it."""
    return {"rel_type": "m.thread", "event_id": first, "is_falling_back": True, "m.in_reply_to": {"event_id": first}}


def read_message(event: MessageEvent, *, own_id: str) -> Message | None:
    """The message of an event, with the new text of an edit; None for an event that a bot should not read.

    Left out: the bot's own messages, notices (other bots'), and files and pictures without a caption. Raises Malformed.
    """
    content = event.content
    if event.sender == own_id or not isinstance(content, TextMessageEventContent) or content.body is None:
        return None
    if not isinstance(content.body, str):
        raise Malformed("the body is no text")
    content.body = storable(content.body)
    body = _without_quoted_lines(content)
    has_file = is_caption = False
    if isinstance(content, MediaMessageEventContent):
        has_file, is_caption = True, is_picture_file(str(content.msgtype), _mimetype(content), content.filename)
        # Without a caption the body is the file's name, and a file may be called "!draw.png".
        if content.filename in (None, content.body):
            return None
    elif content.msgtype != MessageType.TEXT:
        return None
    if not body.strip():
        return None
    reply_to, thread = reply_and_thread(content.relates_to.serialize())
    return Message(
        room_id=event.room_id,
        event_id=event.event_id,
        sender=event.sender,
        body=body,
        thread=thread,
        is_caption=is_caption,
        reply_to=reply_to,
        is_on_file=has_file and not is_caption,
        is_mention=_mentions(content, own_id),
    )


def is_picture_file(msgtype: str, mimetype: str, filename: Any) -> bool:
    """Whether a file is a picture to draw from: sent as one, or as a file of that kind."""
    return msgtype == "m.image" or (
        msgtype == "m.file"
        and (mimetype.startswith("image/") or str(filename).lower().endswith((".jpg", ".jpeg", ".png", ".webp")))
    )


def _mimetype(content: MediaMessageEventContent) -> str:
    mimetype = getattr(content.info, "mimetype", None)
    return mimetype if isinstance(mimetype, str) else ""


def _mentions(content: TextMessageEventContent, own_id: str) -> bool:
    """Whether a message mentions somebody: by its list of mentions, or by a link or an id in older clients' texts."""
    mentions = (getattr(content, "unrecognized_", None) or {}).get("m.mentions")
    users = mentions.get("user_ids") if isinstance(mentions, dict) else None
    if isinstance(users, list):
        return own_id in users
    html = content.formatted_body
    return own_id in content.body[:MAX_ADDRESS_CHARS] or (isinstance(html, str) and own_id in html[:MAX_ADDRESS_CHARS])


def _without_quoted_lines(content: TextMessageEventContent) -> str:
    """The text of a reply without the quoted lines before it. mautrix's own reading of them is quadratic.

    Element Android repeats them in an edit, which does not say that its message is a reply.
    """
    body = content.body
    if not (content.get_reply_to() or content.get_edit()) or not body.startswith(("> <", "> * <")) or "\n" not in body:
        return body
    return _QUOTED_LINES.sub("", body, count=1).strip()


def reply_and_thread(relation: Any) -> tuple[str | None, str | None]:
    """The event that an ``m.relates_to`` replies to, and the start of its thread. Anybody may fill it with anything.

    In a thread, clients name the last event for older clients; only what a person chose to reply to counts.
    """
    relation = relation if isinstance(relation, dict) else {}
    reply, start = relation.get("m.in_reply_to"), relation.get("event_id")
    replied = reply.get("event_id") if isinstance(reply, dict) and not relation.get("is_falling_back") else None
    thread = start if relation.get("rel_type") == "m.thread" else None
    return (replied if is_id(replied) else None), (thread if is_id(thread) else None)


def edited_event(event: BaseRoomEvent) -> str | None:
    """The event that a message edits, or None. An encrypted one says so outside of what is encrypted."""
    if not isinstance(event.content, TextMessageEventContent | EncryptedMegolmEventContent):
        return None
    relation = event.content.relates_to
    return str(relation.event_id) if relation.rel_type == RelationType.REPLACE and is_id(relation.event_id) else None


class SeenEncrypted:
    """Which messages came encrypted.

    mautrix marks what it decrypted, but maubot copies the event and loses the mark. So the bot notes every encrypted
    event when it comes, which is always before it is decrypted.
    """

    def __init__(self) -> None:
        self._events: deque[tuple[str, str]] = deque(maxlen=MAX_SEEN_ENCRYPTED)

    def note(self, room_id: str, event_id: str) -> None:
        self._events.append((room_id, event_id))

    def __contains__(self, room_and_event: tuple[str, str]) -> bool:
        return room_and_event in self._events
