"""Takes what people ask for: keeps each ``!draw`` as a job, answers ``!easel``, obeys gestures. Draws nothing."""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from logging import Logger
from math import ceil

from . import help_texts
from .database import Posted, Store
from .delivery import Delivery
from .drawing import UNEXPECTED, Draughtsman
from .finding import found_text, matching, nobody_text, people_called, read_wanted
from .generator_client import GeneratorClient
from .generator_errors import GeneratorError
from .generator_watch import GeneratorWatch
from .homeserver import Homeserver
from .house_rules import HouseRules
from .incoming import Message
from .job import SEED_CHOICES, Job, JobState, job_id
from .job_body import CannotAsk
from .language import (
    Command,
    DrawCommand,
    EaselCommand,
    ParseError,
    as_command,
    brief,
    larger,
    nearest,
    quoted,
    style_names,
    with_seed,
)
from .outbox import NotSent, Priority
from .photos import NOT_HERE
from .picture_post import PICTURE_KINDS, SHEET_KINDS, answer_content, reaction_content
from .queue_words import queue_text
from .replied_recipes import Replied, RepliedRecipes
from .status import models_text, read_capabilities, status_text
from .styles import Styles

DAY_MS = 24 * 60 * 60 * 1000

# What a column of either database holds; a longer number is no seed.
MAX_SEED_KEPT = 2**63 - 1

# What a generator that was never met is taken to draw as one job.
MAX_ON_A_SHEET = 9

UNREAD_RECIPE = "I could not read what you replied to. Try again in a moment."

# Who looks at a picture and wants another word in it says so soon; older messages are edited for other reasons.
DRAWN_ANEW_WITHIN_MS = DAY_MS


class Desk:
    """One for the whole bot."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        watch: GeneratorWatch,
        draughtsman: Draughtsman,
        store: Store,
        homeserver: Homeserver,
        delivery: Delivery,
        replied: RepliedRecipes,
        rules: HouseRules,
        version: str,
        log: Logger,
    ) -> None:
        self._generator, self._watch, self._draughtsman = generator, watch, draughtsman
        self._store, self._homeserver, self._delivery = store, homeserver, delivery
        self._replied, self._rules, self._version, self._log = replied, rules, version, log
        self._styles = Styles(store)
        self._last_received_ms = 0
        self._easel: dict[str, Callable[[Message, tuple[str, ...]], Awaitable[str]]] = {
            "help": self._help,
            "queue": self._queue,
            "cancel": self._cancel,
            "models": self._models,
            "status": self._status,
            "style": self._style,
            "find": self._find,
            "history": self._history,
        }

    # ---- words

    async def draw(
        self, message: Message, text: str, *, asked_by: str, earlier: Job | None = None, on: Replied | None = None
    ) -> None:
        """Keep what was asked as a job.

        ``asked_by`` is the event that says it: the message, or an edit of it. Then ``earlier`` is what the message said
        before, whose place and seed the job takes. ``on`` is what the words are about, else what is replied to.
        """
        identifier = job_id(asked_by)
        if await self._store.job(identifier) is not None:
            return
        refusal = ""
        if earlier is not None:
            on = Replied(earlier.base, earlier.photo)
        elif on is None:
            on, refusal = await self._replied_to(message)
        job = Job(
            id=identifier,
            message=message.saying(text),
            seed=_seed_of(earlier) if earlier else secrets.randbelow(SEED_CHOICES),
            pictures=1,
            received_ms=self._now_ms(),
            base=on.recipe,
            photo=message.event_id if message.is_caption else on.photo,
            styles=await self._styles_in(text, message.room_id),
        )
        is_waiting = earlier and not self._draughtsman.is_drawing(earlier.id)
        if earlier and is_waiting and await self._draughtsman.end(earlier, JobState.REPLACED):
            job = replace(job, received_ms=earlier.received_ms, replaces=earlier.id)
        job = replace(job, state=JobState.FAILED, last_word=refusal) if refusal else await self._judged(job)
        await self._store.add_job(job)
        if job.replaces and job.state is not JobState.OPEN and not self._watch.away:
            # Nothing comes in its place.
            with suppress(GeneratorError):
                await self._generator.cancel(job.replaces)
        taken = "accepted" if job.state is JobState.OPEN else "refused"
        self._log.info(f"{job.id}: {taken} from {message.sender} in {message.room_id}")
        self._draughtsman.start(job)

    async def answer(self, message: Message, command: Command) -> None:
        """Answer everything else. Raises nothing: the room gets a sentence, the log the rest."""
        try:
            words = command.words if isinstance(command, EaselCommand) else ("help", "draw")
            refusal = self._rules.permissions.refusal(message.sender, message.room_id)
            text = refusal or await self._answer_to(message, words)
        except Exception:
            self._log.exception(f"{message.event_id}: unexpected")
            text = UNEXPECTED
        try:
            content = answer_content(text, message.relation)
            await self._delivery.send(job_id(message.event_id), message.room_id, "answer", content)
        except NotSent as error:
            self._log.error(f"{message.event_id} in {message.room_id} was not answered: {error}")

    async def hello(self, room_id: str, joined: str) -> None:
        """Introduce the bot to a room; ``joined`` is the event with which it came."""
        try:
            await self._delivery.send(job_id(joined), room_id, "hello", answer_content(help_texts.HELLO))
        except NotSent as error:
            self._log.warning(f"No hello in {room_id}: {error}")

    # ---- gestures

    async def cancel(self, room_id: str, command: str, by: str, state: JobState = JobState.CANCELLED) -> None:
        """Cancel the job that this message asked for, if ``by`` may."""
        job = await self._store.job_of_command(command)
        if job is not None and job.message.room_id == room_id and await self._may_change_job(job, by):
            await self._draughtsman.end(job, state)

    async def remove(self, room_id: str, event_id: str, by: str) -> None:
        """Take a picture and its recipe out of the room, if ``by`` may, and have the generator forget its files."""
        posted = await self._posted(room_id, event_id, (*PICTURE_KINDS, *SHEET_KINDS))
        if posted is None:
            return
        job = await self._store.job(posted.job)
        if job is None or not await self._may_change_job(job, by):
            return
        if posted.kind in SHEET_KINDS:
            await self._delivery.take_back(job.id, *SHEET_KINDS)
            await self._store.forget_recipes(job.id)
        else:
            await self._delivery.take_back(job.id, *PICTURE_KINDS, n=posted.n)
            await self._store.forget_recipe(job.id, posted.n)
        if not any(note.kind in ("picture", "sheet") for note in await self._store.all_posted(job.id)):
            await self._store.to_forget(job.id)
            await self._draughtsman.forget_files()

    async def again(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Draw a picture or a sheet anew with another seed."""
        if found := await self._recipe_of(room_id, event_id, PICTURE_KINDS):
            await self._draw_on(Replied(found), room_id, event_id, reaction, by, text="--seed new")
        elif posted := await self._posted(room_id, event_id, SHEET_KINDS):
            sheet = await self._store.job(posted.job)
            if sheet is not None:
                text = with_seed(sheet.message.body, secrets.randbelow(SEED_CHOICES))
                await self._draw_on(Replied(sheet.base, sheet.photo), room_id, event_id, reaction, by, text=text)

    async def favour(self, room_id: str, event_id: str, reaction: str) -> None:
        """Keep a picture or a sheet as a favourite, until the reaction is taken back."""
        if await self._posted(room_id, event_id, ("picture", "sheet")):
            await self._store.keep_favourite(reaction, event_id)

    async def taken_back(self, room_id: str, event_id: str) -> None:
        """An event is gone, whoever took it back: a star of somebody's, or a picture, which is then found no more."""
        await self._store.forget_favourite(event_id)
        posted = await self._posted(room_id, event_id, ("picture", "sheet"))
        if posted is not None and posted.kind == "picture":
            await self._store.forget_recipe(posted.job, posted.n)
        elif posted is not None:
            await self._store.forget_recipes(posted.job)

    async def larger(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Draw the picture larger: lightly once more over itself."""
        if found := await self._recipe_of(room_id, event_id, ("picture",)):
            await self._draw_on(Replied(found, event_id), room_id, event_id, reaction, by, text=larger(found))

    async def copy(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Answer a picture with the command that draws it."""
        recipe = await self._recipe_of(room_id, event_id, PICTURE_KINDS)
        if recipe and not self._rules.permissions.refusal(by, room_id):
            content = answer_content(as_command(recipe), {"m.in_reply_to": {"event_id": event_id}})
            with suppress(NotSent):
                await self._delivery.send(job_id(reaction), room_id, "answer", content)

    async def pick(self, room_id: str, event_id: str, n: int, reaction: str, by: str) -> None:
        """Draw a sheet's picture of that number, from 0, in full size."""
        if found := await self._recipe_of(room_id, event_id, SHEET_KINDS, n):
            await self._draw_on(Replied(found), room_id, event_id, reaction, by, text="-n 1")

    async def _draw_on(self, on: Replied, room_id: str, event_id: str, reaction: str, by: str, *, text: str) -> None:
        """A reaction that draws is a reply to what it is on."""
        message = Message(room_id=room_id, event_id=event_id, sender=by, body=text)
        await self.draw(message, text, asked_by=reaction, on=on)

    async def _recipe_of(self, room_id: str, event_id: str, kinds: tuple[str, ...], n: int | None = None) -> str | None:
        """The recipe of an event of ours of these kinds; ``n`` is the picture's number on a sheet."""
        posted = await self._posted(room_id, event_id, kinds)
        return await self._store.recipe(posted.job, posted.n if n is None else n) if posted else None

    async def _posted(self, room_id: str, event_id: str, kinds: tuple[str, ...]) -> Posted | None:
        """An event of ours of these kinds. Rooms are walls: what is said in one is about nothing in another."""
        posted = await self._store.posted_as(event_id)
        return posted if posted and posted.room_id == room_id and posted.kind in kinds else None

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
            await self._draughtsman.end(earlier, JobState.CANCELLED)

    async def could_not_read(self, room_id: str, event_id: str) -> None:
        """A message's key is lost. Whoever said it sees that, and may ask what it means."""
        content = reaction_content(event_id, help_texts.UNREADABLE)
        with suppress(NotSent):
            await self._delivery.send(
                job_id(event_id),
                room_id,
                "unreadable",
                content,
                event_type="m.reaction",
                priority=Priority.TIDY,
            )

    async def left(self, room_id: str, user_id: str | None) -> None:
        """Somebody, or with None the bot itself, is no longer in the room."""
        for job in await self._store.open_jobs():
            if job.message.room_id == room_id and user_id in (None, job.message.sender):
                await self._draughtsman.end(job, JobState.DELETED)

    # ---- !easel

    async def _answer_to(self, message: Message, words: tuple[str, ...]) -> str:
        word, *others = words
        if word in self._easel:
            return await self._easel[word](message, tuple(others))
        near = nearest(word, self._easel)
        hint = f"Did you mean !easel {near}?" if near else f"There is: {', '.join(self._easel)}."
        return f"I do not know {quoted(word)}. {hint}"

    async def _help(self, message: Message, words: tuple[str, ...]) -> str:
        return help_texts.help_text(" ".join(words).lower())

    async def _queue(self, message: Message, words: tuple[str, ...]) -> str:
        away = str(self._watch.away) if self._watch.away else None
        jobs = await self._store.open_jobs()
        return queue_text(jobs, self._draughtsman.outlooks, room_id=message.room_id, away=away)

    async def _cancel(self, message: Message, words: tuple[str, ...]) -> str:
        """The job that the message replies to; else the newest of this person's in this room, or all of them."""
        if message.reply_to:
            replied = await self._store.job_of_command(message.reply_to)
            is_here = replied is not None and replied.message.room_id == message.room_id
            jobs = [replied] if replied and is_here and await self._may_change_job(replied, message.sender) else []
        else:
            own = [job for job in await self._store.open_jobs() if job.message.sender == message.sender]
            jobs = [job for job in own if job.message.room_id == message.room_id]
            jobs = jobs if words == ("all",) else jobs[-1:]
        cancelled = [job for job in jobs if await self._draughtsman.end(job, JobState.CANCELLED)]
        if not cancelled:
            return "There is nothing of yours here to cancel."
        return f"Cancelled: {'; '.join(brief(job.words) for job in cancelled)}"

    async def _models(self, message: Message, words: tuple[str, ...]) -> str:
        return models_text(await self._store.last_capabilities())

    async def _status(self, message: Message, words: tuple[str, ...]) -> str:
        today = await self._store.jobs_since(int(time.time() * 1000) - DAY_MS)
        try:
            health = await self._generator.health()
            _, answer = await self._generator.capabilities()
        except GeneratorError as error:
            self._log.info(f"The generator gave no status: {error!r}, {error.__cause__!r}")
            return status_text(str(error), await self._store.last_capabilities(), today, self._version)
        await self._store.keep_capabilities(answer)
        return status_text(health, answer, today, self._version)

    async def _style(self, message: Message, words: tuple[str, ...]) -> str:
        match words:
            case ():
                return await self._styles.listed(message.room_id)
            case ("add", *rest):
                return await self._styles.add(message, " ".join(rest), self._may_change)
            case ("remove", name):
                return await self._styles.remove(message, name, self._may_change)
            case ("sheet", *rest) if rest:
                return await self._style_sheets(message, " ".join(rest))
        return help_texts.STYLE

    async def _find(self, message: Message, words: tuple[str, ...]) -> str:
        if not words:
            return help_texts.FIND
        wanted, people = read_wanted(" ".join(words)), None
        pictures = await self._store.drawn_in(message.room_id)
        if wanted.by is not None:
            names = await self._homeserver.display_names(message.room_id)
            people = people_called(wanted.by, {picture.sender for picture in pictures}, names)
            if not people:
                return nobody_text(wanted.by)
        return found_text(matching(pictures, wanted, people), message)

    async def _history(self, message: Message, words: tuple[str, ...]) -> str:
        pictures = await self._store.drawn_in(message.room_id)
        return found_text(matching(pictures, read_wanted(" ".join(words)), {message.sender}), message)

    async def _style_sheets(self, message: Message, subject: str) -> str:
        """One subject in all of the room's styles, on as many sheets as they need."""
        names = sorted(await self._styles.of_room(message.room_id))
        known = read_capabilities(await self._store.last_capabilities())
        sheets = ceil(len(names) / (known.limits.max_recipes_per_job if known else MAX_ON_A_SHEET))
        for number in range(sheets):
            # As many on each, and on a last one never a single picture.
            choices = " | ".join(f"@{name}" for name in names[number::sheets])
            text = f"{subject} | style: {{{choices}}}"
            await self.draw(message, text, asked_by=f"{message.event_id} {number}")
        return f"I am drawing {brief(subject)} in {len(names)} styles, on {sheets} sheet{'s' * (sheets > 1)}."

    # ---- inside

    async def _replied_to(self, message: Message) -> tuple[Replied, str]:
        """The recipe or photo that a message replies to, if it does; and why that cannot be drawn from, or ""."""
        try:
            return await self._replied.find(message), ""
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
            refusal = self._rules.permissions.refusal(job.message.sender, job.message.room_id)
            refusal = refusal or await self._too_many(job)
            # What the generator last said of itself is enough to refuse at once, also while it is asleep.
            if not refusal and (known := read_capabilities(await self._store.last_capabilities())):
                self._rules.body(job, known)
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
        return self._rules.permissions.too_many(
            sender,
            pictures=job.pictures,
            open_jobs=len(open_jobs),
            pictures_in_24_h=await self._store.pictures_since(sender, job.received_ms - DAY_MS),
        )

    async def _may_change_job(self, job: Job, user_id: str) -> bool:
        return await self._may_change(job.message.room_id, job.message.sender, user_id)

    async def _may_change(self, room_id: str, owner: str, user_id: str) -> bool:
        """Whether what ``owner`` asked for or made is somebody's own, or they are an admin."""
        permissions = self._rules.permissions
        if user_id == owner or permissions.is_admin(user_id):
            return True
        try:
            level = await self._homeserver.power_level(room_id, user_id)
        except NotSent as error:
            self._log.warning(f"The power level of {user_id} in {room_id} is unknown: {error}")
            return False
        return permissions.is_admin(user_id, power_level=level)

    def _now_ms(self) -> int:
        """Never the same twice: it is the order of all jobs."""
        self._last_received_ms = max(self._last_received_ms + 1, int(time.time() * 1000))
        return self._last_received_ms


def _seed_of(job: Job) -> int:
    """The seed of a job's first picture: what was said, if it can be one, else the bot's choice."""
    said = None
    with suppress(ParseError):
        said = job.asked.seed
    return job.seed if said is None or not 0 <= said <= MAX_SEED_KEPT else said
