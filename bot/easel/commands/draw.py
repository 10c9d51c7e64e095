"""Keeps each ``!draw`` as a job, and follows the edits of its message. Draws nothing."""

import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from logging import Logger

from ..bug_log import log_bug
from ..generator.client import GeneratorClient
from ..generator.errors import GeneratorError
from ..generator.watch import GeneratorWatch
from ..jobs.body import CannotAsk, Draft
from ..jobs.job import NOTHING, SEED_CHOICES, Job, JobState, job_id
from ..jobs.runner import OTHER_VERSION, UNEXPECTED, JobRunner
from ..jobs.store import Store
from ..language import (
    MAX_STYLE_CHARS,
    Asked,
    Command,
    DrawCommand,
    ParseError,
    has_signs,
    parse_all,
    style_names,
)
from ..policy.permissions import Permissions
from ..policy.policy import Policy
from ..room.messages import Message
from ..room.photos import NOT_HERE
from ..room.replies import Replied, Replies, Unseen
from ..sending.send_queue import NotSent
from ..side_thread import SideThread
from .help import DRAW, DRAW_FROM_PHOTO
from .starter_styles import with_starter_styles

DAY_MS = 24 * 60 * 60 * 1000

# A column of either database holds this; a larger number is not a seed.
MAX_SEED_KEPT = 2**63 - 1

UNREAD_RECIPE = "I couldn't read what you replied to. Try again in a moment."

# People who want another picture edit their message soon; older messages are edited for other reasons.
REDRAWN_WITHIN_MS = DAY_MS


# A part of accepting a job. Raises ParseError, CannotAsk or NotSent with the reason for the person who asks.
Step = Callable[[Job], Awaitable[tuple[Job, Draft | None]]]


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
        side_thread: SideThread,
        log: Logger,
    ) -> None:
        self._generator, self._watch, self._runner = generator, watch, runner
        self._store, self._replies, self._policy, self._permissions = store, replies, policy, permissions
        self._side_thread, self._log = side_thread, log
        self._last_received_ms = 0

    async def draw(
        self, message: Message, text: str, *, asked_by: str, earlier: Job | None = None, seed: int | None = None
    ) -> bool:
        """Keep the request in a text as a job; return whether it will be drawn.

        ``asked_by`` is the event with the text: the message, or an edit of it. Then ``earlier`` is the message's job
        before the edit, whose place and seed the job takes. ``seed`` is used unless the text has one.
        """
        if known := await self._store.job(job_id(asked_by)):
            return known.state is not JobState.FAILED
        if earlier is not None:
            seed = _seed_of(earlier)
        job, _ = await self._or_refused(self._new_job(message.with_body(text), asked_by, seed), self._read)
        return await self._accept(job, earlier)

    async def draw_request(self, message: Message, asked: Asked, *, asked_by: str, photo: str | None = None) -> bool:
        """Keep a request as a job; return whether it will be drawn. Its answers reply to ``message``."""
        if known := await self._store.job(job_id(asked_by)):
            return known.state is not JobState.FAILED
        return await self._accept(replace(self._new_job(message, asked_by), asked=asked, photo=photo))

    async def edit(self, message: Message, command: Command | None, edited: str, *, is_old: bool) -> bool:
        """Follow the edit of a message that asked for a picture; return whether it is done with.

        ``message`` has the new text, and the room and the event id of the edit. Rooms are walls: only an edit in the
        same room counts, and there only members can write. An open job always follows its message; an ended one is
        drawn again, unless edit or message ``is_old``.
        """
        earlier = await self._store.job_of_command(message.room_id, edited)
        if earlier is None:
            return False
        if earlier.message.sender != message.sender:
            return True
        about = earlier.message
        if command is None and about.reply_to and has_signs(message.body):
            command = DrawCommand(message.body.strip())
        text = command.text if isinstance(command, DrawCommand) else ""
        is_draw = isinstance(command, DrawCommand) and bool(text or about.reply_to or about.is_caption)
        # What was cancelled and is written once more is wanted again.
        if is_draw and about.body == text and earlier.state is not JobState.CANCELLED:
            return True
        is_old = is_old or self._now_ms() - earlier.received_ms > REDRAWN_WITHIN_MS
        # A job is REPLACED without a successor if the process ended in between.
        if is_old and earlier.state not in (JobState.OPEN, JobState.REPLACED):
            return command is None or is_draw
        # Sheets of all styles are several jobs of one message.
        same = await self._store.open_jobs_of(message.room_id, edited)
        others = [job for job in same if job.id != earlier.id and job.message.sender == message.sender]
        if is_draw:
            for job in others:
                if not self._runner.is_drawing(job.id):
                    await self._runner.end(job, JobState.DELETED)
            ended = await self._store.ended_without_picture(message.room_id, edited)
            if await self.draw(about, text, asked_by=message.event_id, earlier=earlier):
                await self._take_back(job for job in ended if job.id != job_id(message.event_id))
            return True
        # An edit is read again after a restart in between, and must not end what came of a later one.
        if not await self._store.jobs_ended_by(message.event_id):
            for job in (earlier, *others):
                await self._runner.end(job, JobState.CANCELLED, by=message.event_id)
        if command is not None:
            # It has an answer of its own.
            await self._take_back(await self._store.ended_without_picture(message.room_id, edited))
        return command is None

    async def _take_back(self, ended: Iterable[Job]) -> None:
        for job in ended:
            await self._runner.take_back_end(job)

    async def check(self, message: Message, text: str) -> None:
        """Raise ParseError if the text cannot be read as a command that stands alone."""
        await self._read(self._new_job(replace(message, body=text, reply_to=None, is_caption=False), message.event_id))

    async def left(self, room_id: str, user_id: str | None) -> None:
        """End the open jobs and the schedule of a person who left; ``user_id`` None means that the bot left."""
        await self._store.forget_scheduled_of(room_id, user_id)
        for job in await self._store.open_jobs_in(room_id, user_id):
            await self._runner.end(job, JobState.DELETED)

    def _new_job(self, message: Message, asked_by: str, seed: int | None = None) -> Job:
        seed = secrets.randbelow(SEED_CHOICES) if seed is None else seed
        return Job(id=job_id(asked_by), message=message, seed=seed, received_ms=self._now_ms())

    async def _accept(self, job: Job, earlier: Job | None = None) -> bool:
        """Keep a job, in the place of ``earlier`` if that is not drawn yet; return whether it will be drawn."""
        is_waiting = earlier and not self._runner.is_drawing(earlier.id)
        if earlier and is_waiting and await self._runner.end(earlier, JobState.REPLACED):
            job = replace(job, received_ms=earlier.received_ms, replaces=earlier.id)
        draft = None
        if job.state is JobState.OPEN:
            job, draft = await self._or_refused(job, self._judged)
        await self._store.add_job(job)
        if job.replaces and job.state is not JobState.OPEN and not self._watch.away:
            # Nothing comes in its place.
            with suppress(GeneratorError):
                await self._generator.cancel(job.replaces)
        taken = "accepted" if job.state is JobState.OPEN else "refused"
        self._log.info(f"{job.id}: {taken} from {job.message.sender} in {job.message.room_id}")
        self._runner.start(job, draft)
        return job.state is JobState.OPEN

    async def _or_refused(self, job: Job, step: Step) -> tuple[Job, Draft | None]:
        """The job after a step, or ended with the reason why it cannot be drawn."""
        try:
            return await step(job)
        except (ParseError, CannotAsk) as error:
            refusal = str(error)
        except NotSent as error:
            self._log.warning(f"What {job.message.event_id} replies to could not be read: {error}")
            refusal = UNREAD_RECIPE
        except Exception as error:
            log_bug(self._log, job.id, error)
            refusal = UNEXPECTED
        return replace(job, state=JobState.FAILED, last_word=refusal), None

    async def _read(self, job: Job) -> tuple[Job, None]:
        """The job with the request of its message. Raises ParseError, NotSent."""
        message = job.message
        try:
            replied = await self._replies.find(message)
        except Unseen:
            if message.body:
                raise
            replied = Replied()
        if not message.body and replied.recipe is None:
            raise ParseError(DRAW_FROM_PHOTO if replied.photo else DRAW)
        own_styles = await self._store.styles(message.room_id) if style_names(message.body) else []
        styles = with_starter_styles(own_styles)
        known = await self._store.capabilities()
        names = [*(card.name for card in known.models), *known.samplers, *known.tiers] if known else []
        chars = len(message.body) + len(replied.recipe or "") + message.body.count("@") * MAX_STYLE_CHARS
        read = partial(parse_all, message.body, recipe=replied.recipe or replied.request, styles=styles, names=names)
        asked = await self._side_thread.run(read, chars=chars)
        own = None if replied.recipe or replied.request else await self._store.own_defaults(message.sender)
        if own is not None:
            asked = self._policy.with_own_defaults(asked, own, message.room_id, known)
        # A recipe in the message takes the place of the one that it replies to, with another photo or none.
        is_its_photo = replied.recipe is None or (asked.image is not None and asked.image in replied.recipe)
        return replace(job, asked=asked, photo=replied.photo if is_its_photo else None), None

    async def _judged(self, job: Job) -> tuple[Job, Draft | None]:
        """The job as accepted, with its body if the capabilities are known. Raises CannotAsk, ParseError."""
        if job.asked == NOTHING:
            raise CannotAsk(OTHER_VERSION)
        job = replace(job, photo=job.photo or await self._photo_of_recipe(job))
        sender, room_id = job.message.sender, job.message.room_id
        if refusal := self._permissions.refusal(sender, room_id) or await self._too_many(job):
            raise CannotAsk(refusal)
        # The generator's last capabilities are enough to refuse at once, also while it is asleep.
        known = await self._store.capabilities()
        if known is None:
            return job, None
        body = await self._side_thread.run(partial(self._policy.body, job, known), chars=job.asked.chars)
        return job, Draft(body, known)

    async def _photo_of_recipe(self, job: Job) -> str | None:
        """The event of the photo that a recipe was drawn from. Raises ParseError if it is not in this room."""
        if job.asked.image is None:
            return None
        photo = await self._store.image_event(job.message.room_id, job.asked.image)
        if photo is None:
            raise ParseError(NOT_HERE)
        return photo

    async def _too_many(self, job: Job) -> str | None:
        sender = job.message.sender
        return self._permissions.too_many(
            sender,
            pictures=job.pictures,
            open_jobs=await self._store.number_of_open_jobs(sender),
            pictures_in_24_h=await self._store.pictures_since(sender, job.received_ms - DAY_MS),
        )

    def _now_ms(self) -> int:
        """The time, always later than the last one of this process, since it orders the jobs."""
        self._last_received_ms = max(self._last_received_ms + 1, int(time.time() * 1000))
        return self._last_received_ms


def _seed_of(job: Job) -> int:
    """The seed of a job's first picture: the request's, if the database can hold it, else the bot's choice."""
    seed = job.asked.seed
    return job.seed if seed is None or not 0 <= seed <= MAX_SEED_KEPT else seed
