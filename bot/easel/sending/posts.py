"""The events of a job in its room: pictures with their recipes, sentences, and reactions to press; each once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..generator.client import GeneratorClient
from ..generator.errors import NotYet
from ..generator.types import ImageFile, JobStatus, Picture, Position
from ..jobs.job import Job
from ..jobs.store import Store
from ..jobs.waiting import away_text, in_turns, waiting_text
from ..language import Asked, ParseError, larger_size, parse_recipe
from ..room.reactions import LARGER, OFFERED
from ..settings import CurrentSettings, Offer
from ..side_thread import SideThread
from .captions import caption, sheet_caption
from .content import (
    PICTURE_KINDS,
    SHEET_KINDS,
    EventKind,
    answer_content,
    picture_content,
    reaction_content,
    recipe_content,
)
from .homeserver import Homeserver
from .send_queue import Debt, Priority
from .sent_once import SentOnce

# A picture and its recipe.
EVENTS_PER_PICTURE = 2


@dataclass(frozen=True)
class _Files:
    """The generator's files of a picture or a sheet."""

    image: bytes
    thumbnail: bytes
    recipe: bytes


class JobPosts:
    """Sends what belongs to a job, in reply to the message that asked for it. Every method raises NotSent."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        homeserver: Homeserver,
        store: Store,
        sent_once: SentOnce,
        settings: CurrentSettings,
        side_thread: SideThread,
    ) -> None:
        self._generator, self._homeserver, self._store, self._sent_once = generator, homeserver, store, sent_once
        self._settings, self._side_thread = settings, side_thread

    async def picture(self, job: Job, picture: Picture, notes: tuple[str, ...], debt: Debt) -> None:
        """Send the picture, then its recipe. ``notes`` go into the caption. Also raises GeneratorError."""
        if await self._sent_once.there(job.id, EventKind.RECIPE, picture.n):
            return
        # All at once: a generator that is stopping does not stay for long.
        data = await self._generator.picture(job.id, picture.n)
        thumbnail = await self._generator.thumbnail(job.id, picture.n)
        recipe = await self._generator.recipe(job.id, picture.n)
        await self._keep(job, picture, recipe)
        files = _Files(data, thumbnail, recipe)
        await self._post(job, picture, files, caption(picture, notes), debt, kinds=PICTURE_KINDS, n=picture.n)

    async def sheet(
        self, job: Job, asked: Asked, pictures: Sequence[Picture], notes: tuple[str, ...], debt: Debt
    ) -> None:
        """Send the sheet of all pictures, then their recipes in one file. Also raises GeneratorError."""
        if await self._sent_once.there(job.id, EventKind.RECIPES):
            return
        sheet = await self._generator.sheet(job.id)
        files = _Files(
            await self._generator.sheet_image(job.id),
            await self._generator.sheet_thumbnail(job.id),
            await self._generator.sheet_recipes(job.id),
        )
        for picture in pictures:
            await self._keep(job, picture, await self._generator.recipe(job.id, picture.n))
        text = sheet_caption(asked, pictures, notes)
        await self._post(job, sheet, files, text, debt, kinds=SHEET_KINDS, n=0)

    async def offer(self, job: Job) -> None:
        """Put reactions to press on a person's first picture in a room, or on all, depending on the settings."""
        settings = self._settings()
        is_offered = settings.offer_reactions is Offer.ALWAYS or (
            settings.offer_reactions is Offer.FIRST and await self._store.is_first_picture(job)
        )
        picture = await self._sent_once.there(job.id, EventKind.PICTURE, 0) if is_offered else None
        if picture is None:
            return
        keys = [
            key for key in OFFERED if key in settings.reactions and (key != LARGER or await self._can_be_larger(job))
        ]
        for n, key in enumerate(keys):
            await self._sent_once.send(
                job.id,
                job.message.room_id,
                EventKind.OFFER,
                reaction_content(picture, key),
                person=job.message.sender,
                n=n,
                event_type="m.reaction",
                priority=Priority.TIDY,
            )

    async def _can_be_larger(self, job: Job) -> bool:
        """Whether the model of the job's picture can draw it larger."""
        known, recipe = await self._store.capabilities(), await self._store.recipe(job.id, 0)
        if known is None or recipe is None:
            return False
        try:
            request = await self._side_thread.run(partial(parse_recipe, recipe), chars=len(recipe))
            width, height = larger_size(request)
        except ParseError:
            return False
        card = known.card(request.model)
        return (
            card is not None
            and max(width, height) <= card.limits.max_side_from_image
            and width * height <= card.limits.max_pixels_from_image
        )

    async def _keep(self, job: Job, picture: Picture, recipe: bytes) -> None:
        await self._store.keep_recipe(
            job.id, picture.n, recipe.decode(), prompt=picture.prompt, model=picture.recipe.model
        )

    async def _post(
        self,
        job: Job,
        picture: ImageFile,
        files: "_Files",
        text: str,
        debt: Debt,
        *,
        kinds: tuple[EventKind, EventKind],
        n: int,
    ) -> None:
        room_id, person, relation = job.message.room_id, job.message.sender, job.message.relation
        more: dict[str, int | str] = {"count": job.pictures}
        if job.photo is not None:
            more["photo"] = job.photo

        async def image_event() -> dict[str, Any]:
            return picture_content(
                picture,
                text=text,
                image=await self._homeserver.upload(room_id, files.image, picture.mimetype),
                thumbnail=await self._homeserver.upload(room_id, files.thumbnail, picture.thumbnail_mimetype),
                relation=relation,
            )

        async def recipe_event() -> dict[str, Any]:
            uploaded = await self._homeserver.upload(room_id, files.recipe, "application/yaml")
            return recipe_content(picture, size=len(files.recipe), recipe=uploaded, relation=relation)

        for kind, content, priority in zip(
            kinds, (image_event, recipe_event), (Priority.PICTURE, Priority.ANSWER), strict=True
        ):
            await self._sent_once.send(job.id, room_id, kind, content, person=person, n=n, priority=priority, more=more)
            debt.pay()

    async def count(self, job: Job) -> None:
        """Say how many pictures come on one sheet."""
        await self._say(
            job, EventKind.COUNT, f"I am drawing {job.pictures} pictures. They come together, on one sheet."
        )

    async def reason(self, job: Job, reason: str, number: int) -> None:
        """Say why nothing moves: the job's ``number``-th reason."""
        await self._say(job, EventKind.REASON, reason, n=number)

    async def place(self, job: Job, event: JobStatus | Position) -> None:
        """Say the job's place in the queue, if it has to wait for long."""
        if event.position is None:
            return
        is_long = event.position > 1 if event.eta_s is None else event.eta_s > self._settings().tell_waiting_after_s
        if is_long:
            await self._say(job, EventKind.WAITING, waiting_text(event.position, event.eta_s))

    async def away(self, job: Job, error: NotYet) -> None:
        """Say that the job waits until the generator takes it."""
        order = [waiting.id for waiting in in_turns(await self._store.open_jobs())]
        place = order.index(job.id) + 1 if job.id in order else 1
        await self._say(job, EventKind.WAITING, away_text(str(error), error.until, place))

    async def last_word(self, job: Job) -> None:
        """Say why there is no picture, if the job has a last word."""
        if job.last_word:
            await self._say(job, EventKind.ANSWER, job.last_word)

    async def _say(self, job: Job, kind: EventKind, text: str, *, n: int = 0) -> None:
        content = answer_content(text, job.message.relation)
        await self._sent_once.send(job.id, job.message.room_id, kind, content, person=job.message.sender, n=n)
