"""Which of the events in a room are words to read, and where an answer to them belongs. Knows no commands."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from mautrix.types import MediaMessageEventContent, MessageEvent, MessageType, TextMessageEventContent

# Whoever typed has given up by then. Long enough for two machines whose clocks differ by minutes.
MAX_AGE_MS = 60 * 60 * 1000

# Events are decrypted within milliseconds of being seen; so many are never between the two at once.
MAX_SEEN_ENCRYPTED = 1000


@dataclass(frozen=True, kw_only=True)
class Message:
    """Words that a person said in a room. ``thread`` is the thread's first event; ``is_caption`` that of a photo."""

    room_id: str
    event_id: str
    sender: str
    body: str
    thread: str | None = None
    is_caption: bool = False

    @property
    def relation(self) -> dict[str, Any]:
        """The ``m.relates_to`` of an answer: a reply, in the thread if there is one."""
        reply: dict[str, Any] = {"m.in_reply_to": {"event_id": self.event_id}}
        if self.thread is None:
            return reply
        # A true reply inside the thread, not one that only old clients shall see.
        return {"rel_type": "m.thread", "event_id": self.thread, "is_falling_back": False, **reply}


def read_message(event: MessageEvent, *, own_id: str, now_ms: int) -> Message | None:
    """The words in an event; None for what is not for a bot to read.

    Left out: the bot's own words, notices (other bots'), edits (their text reads like a command said twice), files and
    pictures without a caption, and what is old.
    """
    content = event.content
    if event.sender == own_id or now_ms - event.timestamp > MAX_AGE_MS:
        return None
    if not isinstance(content, TextMessageEventContent) or not isinstance(content.body, str) or content.get_edit():
        return None
    content.trim_reply_fallback()
    is_caption = isinstance(content, MediaMessageEventContent)
    if isinstance(content, MediaMessageEventContent):
        # Without a caption the body is the file's name, and a file may be called "!draw.png".
        if content.msgtype != MessageType.IMAGE or content.filename in (None, content.body):
            return None
    elif content.msgtype != MessageType.TEXT:
        return None
    if not content.body.strip():
        return None
    return Message(
        room_id=event.room_id,
        event_id=event.event_id,
        sender=event.sender,
        body=content.body,
        thread=content.get_thread_parent(),
        is_caption=is_caption,
    )


class SeenEncrypted:
    """Which messages came encrypted.

    mautrix marks what it decrypted, but maubot copies the event and loses the mark. So the bot notes every encrypted
    event when it comes, which is always before it is decrypted.
    """

    def __init__(self) -> None:
        self._event_ids: deque[str] = deque(maxlen=MAX_SEEN_ENCRYPTED)

    def note(self, event_id: str) -> None:
        self._event_ids.append(event_id)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._event_ids
