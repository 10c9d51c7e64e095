"""Takes what people ask for: keeps each ``!draw`` as a job, and follows its message's edits. Draws nothing."""

import secrets
import time
from contextlib import suppress
from dataclasses import replace
from logging import Logger

from ..generator.client import GeneratorClient
from ..generator.errors import GeneratorError
from ..generator.types import read_capabilities
from ..generator.watch import GeneratorWatch
from ..jobs.body import CannotAsk
from ..jobs.job import SEED_CHOICES, Job, JobState, job_id
from ..jobs.runner import UNEXPECTED, JobRunner
from ..jobs.store import Store
from ..language import Command, DrawCommand, ParseError, style_names
from ..policy.permissions import Permissions
from ..policy.policy import Policy
from ..room.messages import Message
from ..room.photos import NOT_HERE
from ..room.replies import Replied, Replies
from ..sending.send_queue import NotSent
from .styles import Styles

DAY_MS = 24 * 60 * 60 * 1000

# What a column of either database holds; a longer number is no seed.
MAX_SEED_KEPT = 2**63 - 1

UNREAD_RECIPE = "I could not read what you replied to. Try again in a moment."

# Who looks at a picture and wants another word in it says so soon; older messages are edited for other reasons.
DRAWN_ANEW_WITHIN_MS = DAY_MS


class DrawCommands:
    """Turns ``!draw`` and edits of it into jobs, and drops the jobs of people who left."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        watch: GeneratorWatch,
        runner: JobRunner,
        store: Store,
        replies: Replies,
        policy: Policy,
        permissions: Permissions,
        styles: Styles,
        log: Logger,
    ) -> None:
        self._generator, self._watch, self._runner = generator, watch, runner
        self._store, self._replies, self._policy, self._permissions = store, replies, policy, permissions
        self._styles, self._log = styles, log
        self._last_received_ms = 0

    async def draw(
        self,
        message: Message,
        text: str,
        *,
        asked_by: str,
        earlier: Job | None = None,
        on: Replied | None = None,
        seed: int | None = None,
    ) -> bool:
        """Keep what was asked as a job; whether it is to be drawn.

        ``asked_by`` is the event that says it: the message, or an edit of it. Then ``earlier`` is what the message said
        before, whose place and seed the job takes. ``on`` is what the words are about, else what is replied to.
        ``seed`` is used unless the words say one, in place of one chosen here.
        """
        identifier = job_id(asked_by)
        if known := await self._store.job(identifier):
            return known.state is not JobState.FAILED
        refusal = ""
        if earlier is not None and (earlier.base or earlier.photo):
            on = Replied(earlier.base, earlier.photo)
        elif on is None:
            on, refusal = await self._replied_to(message)
        if earlier is not None:
            seed = _seed_of(earlier)
        elif seed is None:
            seed = secrets.randbelow(SEED_CHOICES)
        job = Job(
            id=identifier,
            message=message.saying(text),
            seed=seed,
            pictures=1,
            received_ms=self._now_ms(),
            base=on.recipe,
            photo=message.event_id if message.is_caption else on.photo,
            styles={**await self._styles_in(text, message.room_id), **on.styles},
        )
        is_waiting = earlier and not self._runner.is_drawing(earlier.id)
        if earlier and is_waiting and await self._runner.end(earlier, JobState.REPLACED):
            job = replace(job, received_ms=earlier.received_ms, replaces=earlier.id)
        job = replace(job, state=JobState.FAILED, last_word=refusal) if refusal else await self._judged(job)
        await self._store.add_job(job)
        if job.replaces and job.state is not JobState.OPEN and not self._watch.away:
            # Nothing comes in its place.
            with suppress(GeneratorError):
                await self._generator.cancel(job.replaces)
        taken = "accepted" if job.state is JobState.OPEN else "refused"
        self._log.info(f"{job.id}: {taken} from {message.sender} in {message.room_id}")
        self._runner.start(job)
        return job.state is JobState.OPEN

    async def edit(self, message: Message, command: Command | None, edited: str, *, is_old: bool) -> None:
        """A message, here with its new words, was edited. ``message.event_id`` is that of the edit.

        An open job always follows its message; what has ended is drawn anew, unless edit or message ``is_old``.
        """
        earlier = await self._store.job_of_command(edited)
        text = command.text if isinstance(command, DrawCommand) else ""
        if earlier is None or earlier.message.sender != message.sender or earlier.message.body == text:
            return
        is_old = is_old or self._now_ms() - earlier.received_ms > DRAWN_ANEW_WITHIN_MS
        # Replaced, and by nothing: the process ended in this very moment.
        if is_old and earlier.state not in (JobState.OPEN, JobState.REPLACED):
            return
        if text:
            await self.draw(earlier.message, text, asked_by=message.event_id, earlier=earlier)
        else:
            await self._runner.end(earlier, JobState.CANCELLED)

    async def left(self, room_id: str, user_id: str | None) -> None:
        """Somebody, or with None the bot itself, is no longer in the room."""
        for job in await self._store.open_jobs():
            if job.message.room_id == room_id and user_id in (None, job.message.sender):
                await self._runner.end(job, JobState.DELETED)

    async def _replied_to(self, message: Message) -> tuple[Replied, str]:
        """The recipe or photo that a message replies to, if it does; and why that cannot be drawn from, or ""."""
        try:
            return await self._replies.find(message), ""
        except ParseError as error:
            return Replied(), str(error)
        except NotSent as error:
            self._log.warning(f"What {message.event_id} replies to could not be read: {error}")
            return Replied(), UNREAD_RECIPE

    async def _styles_in(self, text: str, room_id: str) -> dict[str, str]:
        """The room's words for the names that a text uses."""
        if not (names := style_names(text)):
            return {}
        known = await self._styles.of_room(room_id)
        return {name: known[name] for name in names if name in known}

    async def _judged(self, job: Job) -> Job:
        """The job with what its words say of it; one that is not drawn has ended already, with the reason."""
        try:
            job = replace(job, pictures=job.asked.pictures, photo=job.photo or await self._photo_of_recipe(job))
            refusal = self._permissions.refusal(job.message.sender, job.message.room_id)
            refusal = refusal or await self._too_many(job)
            # The generator's last capabilities are enough to refuse at once, also while it is asleep.
            if not refusal and (known := read_capabilities(await self._store.last_capabilities())):
                self._policy.body(job, known)
        except (ParseError, CannotAsk) as error:
            refusal = str(error)
        except Exception:
            self._log.exception(f"{job.id}: unexpected")
            refusal = UNEXPECTED
        return replace(job, state=JobState.FAILED, last_word=refusal) if refusal else job

    async def _photo_of_recipe(self, job: Job) -> str | None:
        """The event of the photo that a recipe was drawn from. Raises ParseError where this room has none."""
        if job.asked.image is None:
            return None
        photo = await self._store.image_event(job.message.room_id, job.asked.image)
        if photo is None:
            raise ParseError(NOT_HERE)
        return photo

    async def _too_many(self, job: Job) -> str | None:
        sender = job.message.sender
        open_jobs = [other for other in await self._store.open_jobs() if other.message.sender == sender]
        return self._permissions.too_many(
            sender,
            pictures=job.pictures,
            open_jobs=len(open_jobs),
            pictures_in_24_h=await self._store.pictures_since(sender, job.received_ms - DAY_MS),
        )

    def _now_ms(self) -> int:
        """The time, always later than the last one of this process: jobs are ordered by it."""
        self._last_received_ms = max(self._last_received_ms + 1, int(time.time() * 1000))
        return self._last_received_ms


def _seed_of(job: Job) -> int:
    """The seed of a job's first picture: what was said, if it can be one, else the bot's choice."""
    said = None
    with suppress(ParseError):
        said = job.asked.seed
    return job.seed if said is None or not 0 <= said <= MAX_SEED_KEPT else said
