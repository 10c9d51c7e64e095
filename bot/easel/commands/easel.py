"""Answers ``!easel`` and a bare ``!draw``, greets rooms, and marks messages that could not be read."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from logging import Logger

from ..bug_log import log_bug
from ..doctor import Doctor, findings_text
from ..generator.client import GeneratorClient
from ..generator.errors import GeneratorError
from ..generator.types import Capabilities
from ..generator.watch import GeneratorWatch
from ..jobs.job import Job, JobState, job_id
from ..jobs.picture_tables import MAX_WANTED_WORDS
from ..jobs.runner import UNEXPECTED, JobRunner
from ..jobs.store import Store
from ..jobs.waiting import Outlooks
from ..language import HELP_TOPICS, Command, EaselCommand, NearMiss, ParseError, brief, check_length, nearest, quoted
from ..policy.ownership import Ownership
from ..policy.permissions import Permissions
from ..room.messages import Message
from ..sending.content import EventKind, answer_content, reaction_content
from ..sending.homeserver import Homeserver
from ..sending.rich import Text, written
from ..sending.send_queue import NotSent, Priority
from ..sending.sent_once import SentOnce
from ..settings_in_force import SettingsInForce
from . import help
from .defaults import OwnDefaults
from .draw import DAY_MS
from .every import EveryDay
from .find import MAX_FOUND, TOO_MANY_WORDS, Wanted, found_text, nobody_text, people_called, read_wanted
from .gallery import GalleryCommands
from .hints import Hints
from .queue import queue_text
from .recipe_files import RecipeFiles
from .status import models_text, status_text
from .styles import Styles

FOR_ADMINS = "That's for my admins. Ask whoever runs me."

# What people say for the words after !easel.
_WORDS = {
    "styles": "style",
    "model": "models",
    "default": "defaults",
    "recipes": "recipe",
    "frames": "frame",
    **dict.fromkeys(("stop", "abort"), "cancel"),
    "search": "find",
    **dict.fromkeys(("jobs", "line", "waiting"), "queue"),
    "pictures": "gallery",
    **dict.fromkeys(("version", "info", "about", "ping"), "status"),
    **dict.fromkeys(("everyday", "daily"), "every"),
    **dict.fromkeys(("?", "h"), "help"),
    "reactions": "gestures",
    "tiers": "flags",
}


class EaselCommands:
    """One method for each word after ``!easel``; each returns the answer, "" if something else answers."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        watch: GeneratorWatch,
        runner: JobRunner,
        outlooks: Outlooks,
        store: Store,
        homeserver: Homeserver,
        sent_once: SentOnce,
        ownership: Ownership,
        permissions: Permissions,
        styles: Styles,
        recipe_files: RecipeFiles,
        own_defaults: OwnDefaults,
        every_day: EveryDay,
        gallery_commands: GalleryCommands,
        settings: SettingsInForce,
        hints: Hints,
        doctor: Doctor,
        version: str,
        log: Logger,
    ) -> None:
        self._generator, self._watch, self._runner, self._outlooks = generator, watch, runner, outlooks
        self._store, self._homeserver, self._sent_once = store, homeserver, sent_once
        self._ownership, self._permissions, self._version, self._log = ownership, permissions, version, log
        self._recipe_files, self._settings, self._hints = recipe_files, settings, hints
        self._own_defaults, self._every_day, self._doctor = own_defaults, every_day, doctor
        self._styles = styles
        self._answers: dict[str, Callable[[Message, tuple[str, ...]], Awaitable[Text]]] = {
            "help": self._help,
            "queue": self._queue,
            "cancel": self._cancel,
            "models": self._models,
            "status": self._status,
            "doctor": self._examine,
            "style": styles.answer,
            "defaults": self._defaults,
            "every": self._every,
            "find": self._find,
            "history": self._history,
            "gallery": gallery_commands.gallery,
            "frame": gallery_commands.frame,
            "recipe": self._recipe,
        }

    async def answer(self, message: Message, command: Command) -> None:
        """Answer a command in its room. Raises nothing: the room gets a sentence, the log the rest."""
        await self.say_done(message, await self.done(message, command))

    async def done(self, message: Message, command: Command) -> Text:
        """Do what a command asks for; return the answer, "" if something else answers. Raises nothing."""
        with suppress(NotSent):
            if await self._sent_once.there(job_id(message.asked_by), EventKind.ANSWER):
                # It is read again after a restart.
                return ""
        try:
            # What must not be done twice has its answer noted.
            if answered := await self._store.answer_done(message.asked_by):
                return answered
            words = command.words if isinstance(command, EaselCommand) else ("help", "draw")
            refusal = self._permissions.refusal(message.sender, message.room_id)
            check_length(message.body)
            text: Text
            if isinstance(command, NearMiss):
                # Whoever may not use the bot did not mean it.
                text = "" if refusal else f"Did you mean {command.meant}? Edit your message, and I'll do it."
            else:
                text = refusal or await self._answer_to(message, words)
        except ParseError as error:
            text = str(error)
        except Exception as error:
            log_bug(self._log, message.event_id, error)
            text = UNEXPECTED
        return text

    async def say_done(self, message: Message, text: Text) -> None:
        """Say what came of a command, unless it is "". Raises nothing."""
        if not text:
            return
        try:
            await self._say(EventKind.ANSWER, text, message)
        except NotSent as error:
            self._log.error(f"{message.event_id} in {message.room_id} was not answered: {error}")

    @staticmethod
    def changes(command: Command) -> bool:
        """Whether a command changes something, so that what comes after it in the room must find that done."""
        word = command.words[0] if isinstance(command, EaselCommand) else ""
        return _WORDS.get(word, word) in ("cancel", "every", "style", "defaults")

    async def hint(self, message: Message) -> None:
        """Answer what is said to the bot but is no command, at most once in a while. Raises NotSent."""
        if not self._permissions.refusal(message.sender, message.room_id) and (
            text := await self._hints.hint_for(message)
        ):
            await self._say(EventKind.ANSWER, text, message)

    async def take_back(self, message: Message, asked_by: Iterable[str]) -> None:
        """Take the answers to these events out of the room: a message that was corrected, or edits of it."""
        with suppress(NotSent):
            for event_id in asked_by:
                await self._sent_once.take_back(job_id(event_id), EventKind.ANSWER, person=message.sender)

    async def end_schedule(self, edit: Message, edited: str) -> bool:
        """End what an edited message of the same person scheduled; return whether it had."""
        # An edit is read again after a restart in between, and must not end what came of it.
        if await self._store.answer_done(edit.event_id):
            return False
        here = await self._store.scheduled_in(edit.room_id)
        own = [one for one in here if (one.event_id, one.sender) == (edited, edit.sender)]
        for one in own:
            await self._store.forget_scheduled(edit.room_id, one.event_id)
        return bool(own)

    async def failed(self, message: Message) -> None:
        """Answer a command that could not be handled. Raises NotSent."""
        await self._say(EventKind.ANSWER, UNEXPECTED, message)

    async def report_settings(self, message: Message) -> None:
        """Say to an admin what is wrong with the settings, if anything is. Raises NotSent."""
        if self._settings.problem and self._permissions.is_admin(message.sender):
            await self._say(EventKind.SETTINGS, f"My settings have a mistake. {self._settings.problem}.", message)

    async def _say(self, kind: EventKind, text: Text, message: Message) -> None:
        content, job = answer_content(text, message.relation), job_id(message.asked_by)
        await self._sent_once.send(job, message.room_id, kind, content, person=message.sender)

    async def hello(self, room_id: str, joined: str, invited_by: str) -> None:
        """Bring a room the styles that it had before an upgrade, and introduce the bot, unless it is alone there.

        ``joined`` is its join event.
        """
        with suppress(NotSent):
            await self._styles.bring(room_id)
        try:
            if len(await self._homeserver.members(room_id)) == 1:
                return
            await self._sent_once.send(
                job_id(joined), room_id, EventKind.HELLO, answer_content(written(help.HELLO)), person=invited_by
            )
        except NotSent as error:
            self._log.warning(f"No hello in {room_id}: {error}")

    async def could_not_read(self, room_id: str, event_id: str, sender: str) -> None:
        """React to a message whose key is lost. ``!easel help gestures`` explains the ❓ to its sender."""
        content = reaction_content(event_id, help.UNREADABLE)
        with suppress(NotSent):
            await self._sent_once.send(
                job_id(event_id), room_id, EventKind.UNREADABLE, content, person=sender, priority=Priority.TIDY
            )

    async def _answer_to(self, message: Message, words: tuple[str, ...]) -> Text:
        """The answer; "" if a job answers."""
        word, *others = words
        word = _WORDS.get(word, word)
        if word in self._answers:
            return await self._answers[word](message, tuple(others))
        if word in HELP_TOPICS:
            return help.help_text(word)
        near = nearest(word, self._answers)
        hint = f"Did you mean !easel {near}?" if near else "!easel help shows what I know."
        return f"I don't know {quoted(word)}. {hint}"

    async def _help(self, message: Message, words: tuple[str, ...]) -> Text:
        topic = " ".join(words).lower()
        return help.help_text(_WORDS.get(topic, topic))

    async def _queue(self, message: Message, words: tuple[str, ...]) -> Text:
        away = str(self._watch.away) if self._watch.away else None
        jobs = await self._store.open_jobs()
        names = await self._homeserver.display_names(message.room_id) if jobs else {}
        return queue_text(jobs, self._outlooks, room_id=message.room_id, away=away, names=names, asker=message.sender)

    async def _cancel(self, message: Message, words: tuple[str, ...]) -> str:
        """Cancel the jobs of the event replied to; else the person's newest job in this room, or all of them there."""
        # A command is read again after a restart in between, and must not cancel another job then.
        cancelled = await self._store.jobs_ended_by(message.asked_by)
        if not cancelled:
            jobs = await self._jobs_to_cancel(message, words)
            cancelled = [job for job in jobs if await self._runner.end(job, JobState.CANCELLED, by=message.asked_by)]
        if not cancelled:
            return "Nothing of yours is waiting here."
        return f"Cancelled: {'; '.join(brief(job.title) for job in cancelled)}"

    async def _jobs_to_cancel(self, message: Message, words: tuple[str, ...]) -> list[Job]:
        if message.reply_to:
            asked = await self._store.open_jobs_of(message.room_id, message.reply_to)
            return [job for job in asked if await self._ownership.may_change_job(job, message.sender)]
        own = await self._store.open_jobs_in(message.room_id, message.sender)
        return own if words == ("all",) else own[-1:]

    async def _models(self, message: Message, words: tuple[str, ...]) -> Text:
        is_admin = self._permissions.is_admin(message.sender)
        return models_text(await self._store.capabilities(), is_admin=is_admin)

    async def _status(self, message: Message, words: tuple[str, ...]) -> Text:
        is_admin = self._permissions.is_admin(message.sender)
        today = await self._store.jobs_since(int(time.time() * 1000) - DAY_MS)
        known: Capabilities | None
        try:
            health = await self._generator.health()
            known, answer = await self._generator.capabilities()
        except GeneratorError as error:
            self._log.info(f"The generator gave no status: {error!r}, {error.__cause__!r}")
            known = await self._store.capabilities()
            return status_text(str(error), known, today, self._version, is_admin=is_admin)
        await self._store.keep_capabilities(answer)
        return status_text(health, known, today, self._version, is_admin=is_admin)

    async def _examine(self, message: Message, words: tuple[str, ...]) -> Text:
        if not self._permissions.is_admin(message.sender):
            return FOR_ADMINS
        return findings_text(await self._doctor.examine())

    async def _find(self, message: Message, words: tuple[str, ...]) -> Text:
        if not words:
            return help.help_text("find")
        wanted, people = read_wanted(" ".join(words)), None
        if wanted.by is not None:
            names = await self._homeserver.display_names(message.room_id)
            people = people_called(wanted.by, await self._store.people_with_pictures(message.room_id), names)
            if not people:
                return nobody_text(wanted.by)
        return await self._found(message, wanted, people)

    async def _history(self, message: Message, words: tuple[str, ...]) -> Text:
        return await self._found(message, read_wanted(" ".join(words)), {message.sender})

    async def _defaults(self, message: Message, words: tuple[str, ...]) -> Text:
        return await self._own_defaults.answer(message, _behind_the_word(message))

    async def _every(self, message: Message, words: tuple[str, ...]) -> Text:
        return await self._every_day.answer(message, _behind_the_word(message))

    async def _recipe(self, message: Message, words: tuple[str, ...]) -> str:
        return await self._recipe_files.of_message(message)

    async def _found(self, message: Message, wanted: Wanted, senders: Collection[str] | None) -> Text:
        if len(wanted.words) > MAX_WANTED_WORDS:
            return TOO_MANY_WORDS
        found = await self._store.find_pictures(
            message.room_id,
            words=wanted.words,
            model=wanted.model or "",
            is_favourite=wanted.is_favourite,
            senders=senders,
            limit=MAX_FOUND,
        )
        names = await self._homeserver.display_names(message.room_id) if found.pictures else {}
        return found_text(found, message, names)


def _behind_the_word(message: Message) -> str:
    """What stands behind ``!easel word``, on its own lines."""
    return "".join(message.body.split(None, 2)[2:]).strip()
