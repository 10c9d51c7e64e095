"""A job: what a person asked for, and what has become of it."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..language import Asked
from ..room.messages import Message

# 192 bits of a hash, so that no two events share one, and within what the generator takes as an id.
JOB_ID_CHARS = 32

# Seeds that the bot chooses are short, so that one can type them again on a phone.
SEED_CHOICES = 10**9

# What could not be read.
NOTHING = Asked((), ())


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

    ``asked`` is the request, read once; NOTHING where it could not be read. ``message`` is what answers belong to, of
    an edited message its first version; its ``body`` is what was typed after the command, for display, and empty where
    a reaction asks. ``seed`` is used unless the request has one. ``photo`` is the event that brought the picture to
    draw from. ``body`` is what the generator was given, once it was: asking again must be the same job. ``last_word``
    is why a job ended without a picture, for the room. ``received_ms`` is its place in the order of all jobs.
    ``replaces`` is the job that an edit of the message puts this one in the place of.
    """

    id: str
    message: Message
    asked: Asked = NOTHING
    seed: int
    received_ms: int
    state: JobState = JobState.OPEN
    last_word: str = ""
    body: dict[str, Any] | None = None
    replaces: str | None = None
    photo: str | None = None

    @property
    def pictures(self) -> int:
        return self.asked.pictures

    @property
    def title(self) -> str:
        """What an open job is known by: what was typed; of a reply or a reaction the prompt that it comes to."""
        if self.message.body and self.message.reply_to is None:
            return self.message.body
        return next((request.slots.joined() for request in self.asked.requests), self.message.body)


def job_id(event_id: str) -> str:
    """The job that a message asks for: the same message is always the same job."""
    return urlsafe_b64encode(hashlib.sha256(event_id.encode()).digest()).decode()[:JOB_ID_CHARS]
