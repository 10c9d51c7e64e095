"""A job: what a person asked for, and what has become of it."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from ..language import Asked, parse_all
from ..room.messages import Message

# 192 bits of a hash: enough that no two messages get the same, and within what the generator takes as an id.
JOB_ID_CHARS = 32

# Seeds that the bot chooses are short, so that one can type them again on a phone.
SEED_CHOICES = 10**9


class JobState(StrEnum):
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    # With the message that asked for it.
    DELETED = "deleted"
    # By a later edit of the same message.
    REPLACED = "replaced"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One ``!draw``, as the database keeps it.

    ``message.body`` is what followed the command, and ``message`` what the answers belong to: of an edited message its
    first version. ``seed`` is used unless the words name one. ``pictures`` is how many were asked for. ``body`` is what
    the generator was given, JSON, once it was: asking again must be the same job. ``last_word`` is what the room is
    still to be told, or was, of a job that ended without a picture. ``received_ms`` is its place in the order of all.
    ``base`` is the recipe file that the message replies to, whose words then change it. ``styles`` are the words of the
    ``@names`` in it, as they were when it was said. ``photo`` is the event that brought the picture to draw from.
    """

    id: str
    message: Message
    seed: int
    pictures: int
    received_ms: int
    state: JobState = JobState.OPEN
    last_word: str = ""
    body: dict[str, Any] | None = None
    replaces: str | None = None
    base: str | None = None
    photo: str | None = None
    styles: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def asked(self) -> Asked:
        """What is asked for. Raises ParseError."""
        return parse_all(self.message.body, recipe=self.base, styles=self.styles)

    @property
    def words(self) -> str:
        """What an open job is known by: what was typed, or of a reply what that comes to."""
        return self.message.body if self.base is None else self.asked.requests[0].slots.joined()


def job_id(event_id: str) -> str:
    """The job that a message asks for: the same message is always the same job."""
    return urlsafe_b64encode(hashlib.sha256(event_id.encode()).digest()).decode()[:JOB_ID_CHARS]
