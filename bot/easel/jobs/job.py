"""A job: what a person asked for, and what became of it."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..language import Asked
from ..room.messages import Message

# 192 bits of a hash, so that no two events share an id; the generator accepts ids of this length.
JOB_ID_CHARS = 32

# Seeds that the bot chooses are short, so that people can type them again on a phone.
SEED_CHOICES = 10**9

# The request of a message that could not be read.
NOTHING = Asked((), ())


class JobState(StrEnum):
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    # The message that asked for it was deleted, or its sender left the room.
    DELETED = "deleted"
    # A later edit of the same message asked for another job.
    REPLACED = "replaced"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One ``!draw``, as the database keeps it.

    ``asked`` is the request, parsed once; NOTHING if it could not be read. Answers reply to ``message``, the first
    version of an edited message; its ``body`` is the text after the command, for display, and empty for a reaction.
    ``seed`` is used unless the request has one. ``photo`` is the event with the picture to draw from. ``body`` is what
    the generator got: submitting it again must be the same job. ``last_word`` is a sentence for the room, why the job
    ended without a picture. ``received_ms`` orders all jobs. ``replaces`` is the job whose place this one takes after
    an edit of the message.
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
    def image(self) -> str | None:
        """The SHA-256 of the photo that the job was drawn from, if that is known."""
        return self.asked.image or (self.body["recipes"][0].get("image") if self.body else None)

    @property
    def title(self) -> str:
        """A name for an open job: the text that was typed, or the resulting prompt of a reply or a reaction."""
        if self.message.body and self.message.reply_to is None:
            return self.message.body
        return next((request.slots.joined() for request in self.asked.requests), self.message.body)


def job_id(event_id: str) -> str:
    """The id of the job that an event asks for: the same event always asks for the same job."""
    return urlsafe_b64encode(hashlib.sha256(event_id.encode()).digest()).decode()[:JOB_ID_CHARS]
