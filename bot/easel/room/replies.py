"""Finds what a message replies to: a recipe, in the database or among the events of its own room, or a photo there."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..jobs.job import Job, JobState
from ..jobs.store import Store
from ..language import DrawRequest, ParseError, has_signs, quoted
from ..sending.content import EASEL_KEY, PICTURE_KINDS, SHEET_KINDS, EventKind
from ..sending.media import Media
from ..sending.send_queue import NotSent
from .envelope import is_id, storable
from .history import RoomHistory
from .messages import Message
from .photos import is_photo

T = TypeVar("T")

# The longest recipe that Easel writes is below 16 KB.
MAX_RECIPE_BYTES = 64 * 1024

# The room's other events wait meanwhile. A file that is gone from another homeserver is asked for again and again.
READ_WITHIN_S = 30.0

SHEET = "That's a sheet of several pictures. React to it with a number, then reply to that picture."
UNSEEN = (
    "I can't see what you replied to. It's gone, or from before I came. "
    "Say it without the reply, or send it here again."
)
NO_RECIPE = "I can't find that picture's recipe any more. Reply to its recipe file instead."
UNREADABLE = f"I can't read that recipe. It's damaged, no text, or larger than {MAX_RECIPE_BYTES // 1024} KB."

NOT_DRAWN_YET = "That one isn't drawn yet. Reply to its picture when it comes."
NO_STILL = "I draw from photos, not from {}."
NEITHER = "I draw from photos and recipes, and {} is neither."

# Phones and chats add endings of their own.
_SUFFIXES = (".yml", ".yaml", ".txt", ".json")

_NOT_STILL = {"m.video": "videos", "m.audio": "sounds"}


class Unseen(ParseError):
    """The bot cannot see what a message replies to."""

    def __init__(self) -> None:
        super().__init__(UNSEEN)


@dataclass(frozen=True)
class Replied:
    """The text of a recipe file, a request that is not drawn yet, or the event of a photo; None for anything else."""

    recipe: str | None = None
    photo: str | None = None
    request: DrawRequest | None = None


class Replies:
    """Finds the recipe or photo that a message replies to. Rooms are walls: it looks in the message's room only."""

    def __init__(self, store: Store, history: RoomHistory, media: Media) -> None:
        self._store, self._history, self._media = store, history, media

    async def find(self, message: Message) -> Replied:
        """The recipe or photo that a message comes with, replies to, or has as its thread's start.

        Raises NotSent; ParseError for what cannot be drawn from.
        """
        if message.is_caption:
            return Replied(photo=message.event_id)
        if message.is_on_file:
            return await self._within_time(self._in_room(message.room_id, message.event_id))
        if message.reply_to is None:
            return await self._thread_start(message)
        posted = await self._store.posted_in(message.room_id, message.reply_to)
        if posted and posted.kind in SHEET_KINDS:
            raise ParseError(SHEET)
        if posted and posted.kind in PICTURE_KINDS and (kept := await self._store.recipe(posted.job, posted.n)):
            return Replied(recipe=kept, photo=await self._store.photo_of_job(posted.job))
        command = await self._store.job_of_command(message.room_id, message.reply_to)
        if command is not None and has_signs(message.body):
            return await self._of_command(command)
        return await self._within_time(self._in_room(message.room_id, message.reply_to))

    async def _of_command(self, job: Job) -> Replied:
        """The recipe of a command's picture, or its request while it waits or is drawn. Raises ParseError."""
        if recipe := await self._store.recipe(job.id, 0):
            if job.pictures != 1:
                raise ParseError(SHEET)
            return Replied(recipe=recipe, photo=job.photo)
        if job.state is not JobState.OPEN or job.pictures != 1:
            raise ParseError(NOT_DRAWN_YET)
        (request,) = job.asked.requests
        seed = job.seed if request.seed is None else request.seed
        return Replied(photo=job.photo, request=replace(request, seed=seed, notes=(), unused=()))

    async def is_about_picture(self, message: Message) -> bool:
        """Whether a message replies to a picture or recipe of ours in its room."""
        posted = await self._store.posted_in(message.room_id, message.reply_to)
        return posted is not None and posted.kind in PICTURE_KINDS

    async def _thread_start(self, message: Message) -> Replied:
        """The photo with which the message's thread starts; anything else there is not asked about."""
        if message.thread is None:
            return Replied()
        posted = await self._store.posted_in(message.room_id, message.thread)
        if posted is not None:
            is_changed = posted.kind in PICTURE_KINDS and has_signs(message.body)
            kept = await self._store.recipe(posted.job, posted.n) if is_changed else None
            return Replied(recipe=kept, photo=await self._store.photo_of_job(posted.job)) if kept else Replied()
        content = await self._within_time(self._history.content_of(message.room_id, message.thread))
        return Replied(photo=message.thread) if is_photo(content) else Replied()

    async def _within_time(self, reading: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                return await reading
        except TimeoutError as error:
            raise NotSent(f"it did not come within {READ_WITHIN_S:g} s") from error

    async def _in_room(self, room_id: str, event_id: str) -> Replied:
        """Anybody's recipe file, the recipe file of a picture of ours that the database does not know, or a photo."""
        content = await self._history.content_of(room_id, event_id)
        if not content:
            raise Unseen
        if is_photo(content):
            return Replied(photo=event_id)
        if (kind := str(content.get("msgtype"))) in _NOT_STILL:
            raise ParseError(NO_STILL.format(_NOT_STILL[kind]))
        mark = content.get(EASEL_KEY)
        mark = mark if isinstance(mark, dict) else {}
        if mark.get("kind") in SHEET_KINDS:
            raise ParseError(SHEET)
        if mark.get("kind") == EventKind.PICTURE and isinstance(recipe := mark.get("recipe"), str):
            return Replied(storable(recipe), _photo(mark))
        is_file = content.get("msgtype") == "m.file"
        if mark.get("kind") == EventKind.PICTURE:
            wanted = {EASEL_KEY: {"job": mark.get("job"), "kind": EventKind.RECIPE, "n": mark.get("n")}}
            content = await self._history.own_content_near(room_id, event_id, wanted)
            if not content:
                raise ParseError(NO_RECIPE)
        name = storable(str(content.get("filename") or content.get("body") or ""))
        # Easel's own come as notices with a file, so that they ring no phone.
        if not is_file and mark.get("kind") not in PICTURE_KINDS:
            return Replied()
        if not name.lower().endswith(_SUFFIXES):
            raise ParseError(NEITHER.format(quoted(name)))
        data = await self._media.download(content, MAX_RECIPE_BYTES)
        if data is None:
            raise ParseError(UNREADABLE)
        try:
            recipe = data.decode()
        except UnicodeDecodeError as error:
            raise ParseError(UNREADABLE) from error
        return Replied(recipe, _photo(mark))


def _photo(mark: dict[str, Any]) -> str | None:
    """The event of the photo that a picture of ours was drawn from."""
    photo = mark.get("photo")
    return str(photo) if is_id(photo) else None
