"""A room's event as a person's client sees it. Knows no client and no bot."""

from dataclasses import dataclass
from typing import Any

import nio


@dataclass(frozen=True)
class Heard:
    """An event of a room, decrypted if the person's client has the key."""

    room_id: str
    event_id: str
    sender: str
    type: str
    content: dict[str, Any]
    was_encrypted: bool
    sent_at_ms: int

    @property
    def body(self) -> str:
        return str(self.content.get("body", ""))

    @property
    def reply_to(self) -> str | None:
        """The event that this one answers. A recipe of the bot's says so in its mark only, so that it has no quote."""
        if to := self.mark.get("to"):
            return str(to)
        relation = self.content.get("m.relates_to", {})
        event_id: str | None = relation.get("m.in_reply_to", {}).get("event_id")
        return event_id

    @property
    def mark(self) -> dict[str, Any]:
        """The bot's mark on its own event: ``kind``, ``job``, and a picture's ``n``."""
        mark: dict[str, Any] = self.content.get("household.easel", {})
        return mark


def as_heard(room_id: str, event: nio.Event) -> Heard:
    return Heard(
        room_id=room_id,
        event_id=event.event_id,
        sender=event.sender,
        type=event.source["type"],
        content=event.source["content"],
        was_encrypted=getattr(event, "decrypted", False) or isinstance(event, nio.MegolmEvent),
        sent_at_ms=event.server_timestamp,
    )
