"""Keeps each picture for the gallery when it is posted. Knows no web."""

from collections.abc import Sequence
from typing import Any

from ..generator.types import Picture
from ..jobs.gallery_table import NewPicture, Tag
from ..jobs.job import Job
from ..jobs.store import Store
from ..language import has_signs
from ..policy.blocked_words import as_words
from ..sending.content import PICTURE_KINDS, SHEET_KINDS, EventKind
from ..sending.sent_once import txn_id_of

# The way to the files of a picture's event, with their keys and sizes.
_KEPT = ("url", "file", "info", "filename")

# A longer one is no name that somebody chooses from a list.
MAX_TAG_CHARS = 100


class Keeping:
    """Keeps pictures. Rooms are walls: a picture came from one in the same room, or from none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(
        self, job: Job, kind: EventKind, n: int, pictures: Sequence[Picture], content: dict[str, Any]
    ) -> None:
        """Keep a picture, or a sheet of several, that is posted with that content."""
        new = NewPicture(
            txn_id=txn_id_of(job.id, kind, n),
            job=job.id,
            n=n,
            is_sheet=kind is EventKind.SHEET,
            room_id=job.message.room_id,
            sender=job.message.sender,
            prompts=tuple(picture.prompt for picture in pictures),
            tags=frozenset(tag for picture in pictures for tag in _tags(picture)),
            origin=await self._origin(job),
            content={key: content[key] for key in _KEPT if key in content},
        )
        await self._store.keep_picture(new)

    async def _origin(self, job: Job) -> str | None:
        """The picture that a job changes: of a reply, of a reaction, of a thread, or the one it is drawn over."""
        message = job.message
        thread = message.thread if message.reply_to is None and has_signs(message.body) else None
        for event_id in filter(None, (message.reply_to, thread, message.event_id, job.photo)):
            posted = await self._store.posted_in(message.room_id, event_id)
            if posted is not None and posted.kind in _IMAGES:
                return await self._store.picture_id(txn_id_of(posted.job, _IMAGES[posted.kind], posted.n))
        command = await self._store.job_of_command(message.room_id, message.reply_to) if message.reply_to else None
        return await self._store.picture_id(txn_id_of(command.id, EventKind.PICTURE, 0)) if command else None


# The picture of a recipe that somebody replies to.
_IMAGES = {kind: kinds[0] for kinds in (PICTURE_KINDS, SHEET_KINDS) for kind in kinds}


def _tags(picture: Picture) -> set[tuple[Tag, str]]:
    """The theme, the model and the styles of a picture, the latter without weights."""
    recipe = picture.recipe
    tags = [(Tag.THEME, recipe.theme), (Tag.MODEL, recipe.model)]
    tags += [(Tag.STYLE, as_words(term)) for term in recipe.slots.style]
    return {(kind, value[:MAX_TAG_CHARS]) for kind, value in tags if value}
