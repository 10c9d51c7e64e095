"""The events of a job in its room: its pictures with their recipes, and its last word; each once.

Only the picture rings a phone: its recipe comes as a notice, which the last edit makes a file (see `content`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ..gallery.keeping import Keeping
from ..generator.client import GeneratorClient
from ..generator.types import ImageData, ImageFile, Picture
from ..jobs.job import Job, JobState
from ..jobs.store import Store
from ..language import Asked
from ..room.messages import in_thread
from ..settings import CurrentSettings, RecipeAs
from .answers import TooLarge
from .captions import caption, sheet_caption, smaller_note
from .content import (
    EASEL_KEY,
    PICTURE_KINDS,
    SHEET_KINDS,
    EventKind,
    answer_content,
    as_file,
    as_notice,
    mark,
    picture_content,
    recipe_content,
)
from .file_names import base_name
from .media import Media
from .send_queue import Debt, NotSent, Priority
from .sent_once import Content, SentOnce
from .upload_limit import USUAL_LIMITS

# A picture and its recipe.
EVENTS_PER_PICTURE = 2

# How a job ends whose pictures nobody wants any more.
UNWANTED = (JobState.CANCELLED, JobState.DELETED, JobState.REPLACED)

# A longer recipe does not fit into its picture's event, and comes as a file.
MAX_EMBEDDED_CHARS = 10_000

# The content of an event of a room, {} if it has none. Raises NotSent.
ContentOf = Callable[[str, str], Awaitable[dict[str, Any]]]


# How often a smaller copy is tried before a proxy that refuses without a reason: each of the usual limits.
SMALLER_COPIES = len(USUAL_LIMITS) + 1


class FetchImage(Protocol):
    async def __call__(self, *, max_bytes: int | None) -> ImageData:
        """Fetch an image of at most so many bytes. Raises GeneratorError."""


@dataclass(frozen=True)
class _Files:
    """The generator's files of a picture or a sheet, and their name in the room."""

    name: str
    image: ImageData
    thumbnail: bytes
    recipe: bytes
    # Fetches the image again, smaller.
    fetch_image: FetchImage


class JobPosts:
    """Sends what belongs to a job, in reply to the message that asked for it. Every method raises NotSent."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        media: Media,
        store: Store,
        sent_once: SentOnce,
        content_of: ContentOf,
        keeping: Keeping,
        settings: CurrentSettings,
    ) -> None:
        self._generator, self._media, self._store, self._sent_once = generator, media, store, sent_once
        self._content_of, self._keeping, self._settings = content_of, keeping, settings
        # The files of recipes that came as notices, by job and number; the room has those of earlier processes.
        self._recipe_files: dict[tuple[str, int], dict[str, Any]] = {}

    async def picture(self, job: Job, picture: Picture, notes: tuple[str, ...], debt: Debt) -> None:
        """Send the recipe, then the picture. ``notes`` go into the caption. Also raises GeneratorError."""
        if await self._is_posted(job, PICTURE_KINDS, picture.n):
            return
        # All at once: a generator that is stopping does not stay for long.
        fetch_image = partial(self._generator.picture, job.id, picture.n)
        image = await fetch_image(max_bytes=await self._media.upload_limit())
        thumbnail = await self._generator.thumbnail(job.id, picture.n)
        recipe = await self._generator.recipe(job.id, picture.n)
        await self._keep(job, picture, recipe)
        files = _Files(base_name(picture.prompt, picture.recipe.seed), image, thumbnail, recipe, fetch_image)
        is_ours = await self._store.posted_in(job.message.room_id, job.photo) is not None
        text = caption(picture, notes, drawn_from="the picture" if is_ours else "a photo")
        await self._post(job, picture, (picture,), files, text, debt, kinds=PICTURE_KINDS, n=picture.n)

    async def sheet(
        self, job: Job, asked: Asked, pictures: Sequence[Picture], notes: tuple[str, ...], debt: Debt
    ) -> None:
        """Send the recipes of all pictures in one file, then their sheet. Also raises GeneratorError."""
        if await self._is_posted(job, SHEET_KINDS, 0):
            return
        sheet = await self._generator.sheet(job.id)
        fetch_image = partial(self._generator.sheet_image, job.id)
        files = _Files(
            base_name(pictures[0].prompt, "sheet"),
            await fetch_image(max_bytes=await self._media.upload_limit()),
            await self._generator.sheet_thumbnail(job.id),
            await self._generator.sheet_recipes(job.id),
            fetch_image,
        )
        for picture in pictures:
            await self._keep(job, picture, await self._generator.recipe(job.id, picture.n))
        text = sheet_caption(asked, pictures, notes)
        await self._post(job, sheet, pictures, files, text, debt, kinds=SHEET_KINDS, n=0)

    async def last_word(self, job: Job) -> None:
        """Say why there is no picture, if the job has a last word."""
        if job.last_word:
            content = answer_content(job.last_word, job.message.relation)
            await self._sent_once.send_for(job, EventKind.ANSWER, content)

    async def settle(self, job: Job) -> None:
        """Make each recipe of the job, which came as a notice, a file, or take it back if its picture comes no more."""
        for note in await self._store.all_posted(job.id):
            if note.kind in (EventKind.PICTURE, EventKind.SHEET):
                # It may have been on its way when the job was ended, and is known from here on.
                await self._sent_once.there(job.id, note.kind, note.n)
            if note.kind not in (EventKind.RECIPE, EventKind.RECIPES):
                continue
            event_id = await self._sent_once.there(job.id, note.kind, note.n)
            if event_id is None:
                continue
            picture = EventKind.PICTURE if note.kind is EventKind.RECIPE else EventKind.SHEET
            if job.state in UNWANTED and await self._sent_once.there(job.id, picture, note.n) is None:
                await self._sent_once.take_back(job.id, note.kind, person=job.message.sender, n=note.n)
                continue
            known = self._recipe_files.pop((job.id, note.n), None)
            file = known or await self._file_in_room(note.room_id, event_id)
            if not file:
                continue
            content = as_file(event_id, {**file, **mark(job.id, note.kind, n=note.n)})
            await self._sent_once.send_for(job, EventKind.RECIPE_FILE, content, n=note.n, priority=Priority.TIDY)
            if await self._sent_once.there(job.id, note.kind, note.n) is None:
                # Somebody removed it meanwhile.
                await self._sent_once.take_back(job.id, EventKind.RECIPE_FILE, person=job.message.sender, n=note.n)

    async def _file_in_room(self, room_id: str, event_id: str) -> dict[str, Any]:
        """The file that an earlier process sent as a notice; {} if it is gone."""
        content = await self._content_of(room_id, event_id)
        left_out = ("m.relates_to", EASEL_KEY)
        return {key: value for key, value in content.items() if key not in left_out} | (
            {"msgtype": "m.file"} if content else {}
        )

    async def _uploaded(
        self, room_id: str, file: ImageFile, files: _Files
    ) -> tuple[ImageFile, dict[str, Any], tuple[str, ...]]:
        """Upload an image, or the largest copy that the homeserver takes.

        Return what was sent, the result of the upload, and a note if it is a copy. Also raises GeneratorError.
        """
        image = files.image
        for _ in range(SMALLER_COPIES):
            sent = image.described(file)
            try:
                uploaded = await self._media.upload(room_id, image.data, sent.mimetype)
            except TooLarge:
                # A proxy took less than the homeserver says.
                image = await files.fetch_image(max_bytes=await self._media.upload_limit())
                continue
            max_bytes = await self._media.upload_limit() if image.size else None
            return sent, uploaded, () if max_bytes is None else (smaller_note(sent, file, max_bytes),)
        raise NotSent(f"the homeserver takes no file of {len(image.data):,} bytes")

    def _recipe_as(self, job: Job) -> RecipeAs:
        """How the recipe comes; a thread has no threads in it."""
        way = self._settings().recipe
        return RecipeAs.FILE if way is RecipeAs.THREAD and job.message.thread else way

    async def _is_posted(self, job: Job, kinds: tuple[EventKind, EventKind], n: int) -> bool:
        image, recipe = kinds
        if await self._sent_once.there(job.id, image, n) is None:
            return False
        return self._recipe_as(job) is RecipeAs.EMBEDDED or bool(await self._sent_once.there(job.id, recipe, n))

    async def _keep(self, job: Job, picture: Picture, recipe: bytes) -> None:
        await self._store.keep_recipe(
            job.id, picture.n, recipe.decode(), prompt=picture.prompt, model=picture.recipe.model
        )

    async def _post(
        self,
        job: Job,
        picture: ImageFile,
        pictures: Sequence[Picture],
        files: _Files,
        text: str,
        debt: Debt,
        *,
        kinds: tuple[EventKind, EventKind],
        n: int,
    ) -> None:
        room_id, way = job.message.room_id, self._recipe_as(job)
        if way is RecipeAs.EMBEDDED and (len(files.recipe) > MAX_EMBEDDED_CHARS):
            way = RecipeAs.FILE
        more: dict[str, int | str] = {"count": job.pictures, "to": job.message.event_id}
        if job.photo is not None:
            more["photo"] = job.photo

        async def image_event() -> dict[str, Any]:
            sent, image, note = await self._uploaded(room_id, picture, files)
            content = picture_content(
                sent,
                filename=f"{files.name}.{sent.filename.rpartition('.')[2]}",
                text="\n".join((text, *note)),
                image=image,
                thumbnail=await self._media.upload(room_id, files.thumbnail, picture.thumbnail_mimetype),
                relation=job.message.relation,
            )
            await self._keeping.keep(job, kinds[0], n, pictures, content)
            return content

        async def recipe_event() -> dict[str, Any]:
            uploaded = await self._media.upload(room_id, files.recipe, "application/yaml")
            file = recipe_content(f"{files.name}.yml", size=len(files.recipe), recipe=uploaded)
            self._recipe_files[job.id, n] = file
            image_id = await self._sent_once.there(job.id, kinds[0], n) if way is RecipeAs.THREAD else None
            return as_notice(file, in_thread(image_id) if image_id else job.message.place)

        async def send(kind: EventKind, content: Content, **marked: str) -> None:
            marks = {**more, **marked}
            await self._sent_once.send_for(job, kind, content, n=n, priority=Priority.PICTURE, more=marks)
            debt.pay()

        image, recipe = kinds
        if way is RecipeAs.FILE:
            await send(recipe, recipe_event)
        embedded = {"recipe": files.recipe.decode()} if way is RecipeAs.EMBEDDED else {}
        await send(image, image_event, **embedded)
        if way is RecipeAs.THREAD:
            await send(recipe, recipe_event)
