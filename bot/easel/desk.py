"""Takes commands and sees to it that each gets an answer, whatever happens. Knows what to say, not how to draw."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from logging import Logger

from . import help_texts
from .acknowledgement import Acknowledgement, TypingNotices
from .database import Store
from .drawing import Draughtsman
from .generator_client import GeneratorClient
from .generator_errors import GeneratorError
from .incoming import Message
from .job import SEED_CHOICES, CannotAsk, job_id
from .language import Command, DrawCommand, ParseError, nearest, parse_draw, quoted
from .outbox import NotSent, Outbox, Outgoing
from .picture_post import answer_content, mark
from .status import status_text

NOT_BROUGHT = "I could not bring the picture here. maubot's log says why."
UNEXPECTED = "Something went wrong on my side, and maubot's log says what. It may work if you ask again."
WORDS_OF_A_PHOTO = "I cannot draw from a photo yet, so only your words were used."


class Desk:
    """One for the whole bot; each command is one call of ``serve``."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        draughtsman: Draughtsman,
        store: Store,
        outbox: Outbox,
        typing: TypingNotices,
        version: str,
        log: Logger,
    ) -> None:
        self._generator, self._draughtsman, self._store = generator, draughtsman, store
        self._outbox, self._typing, self._version, self._log = outbox, typing, version, log
        self._easel: dict[str, Callable[[tuple[str, ...]], Awaitable[str]]] = {
            "help": self._help,
            "status": self._status,
        }

    async def serve(self, message: Message, command: Command) -> None:
        """Do what a message asks. Raises nothing: the room gets a sentence, the log the rest."""
        acknowledgement = Acknowledgement(message, self._outbox)
        try:
            if not isinstance(command, DrawCommand):
                await self._answer(message, await self._answer_to(command.words))
            elif not command.text:
                await self._answer(message, help_texts.DRAW)
            else:
                await self._draw(message, command.text, acknowledgement)
        except Exception as error:
            await self._apologise(message, self._sentence(message, error))
            await acknowledgement.failed()

    async def _draw(self, message: Message, text: str, acknowledgement: Acknowledgement) -> None:
        request = parse_draw(text)
        if message.is_caption:
            request = replace(request, notes=(*request.notes, WORDS_OF_A_PHOTO))
        async with acknowledgement.working(), self._typing.shown_in(message.room_id):
            await self._draughtsman.draw(message, request, seed=secrets.randbelow(SEED_CHOICES))

    async def _answer_to(self, words: tuple[str, ...]) -> str:
        word, *others = words
        if word in self._easel:
            return await self._easel[word](tuple(others))
        near = nearest(word, self._easel)
        hint = f"Did you mean !easel {near}?" if near else f"There is: {', '.join(self._easel)}."
        return f"I do not know {quoted(word)}. {hint}"

    async def _help(self, words: tuple[str, ...]) -> str:
        return help_texts.help_text(" ".join(words).lower())

    async def _status(self, words: tuple[str, ...]) -> str:
        try:
            health = await self._generator.health()
            _, answer = await self._generator.capabilities()
        except GeneratorError as error:
            self._log.info(f"The generator gave no status: {error!r}, {error.__cause__!r}")
            return status_text(str(error), await self._store.last_capabilities(), self._version)
        await self._store.keep_capabilities(answer)
        return status_text(health, answer, self._version)

    def _sentence(self, message: Message, error: Exception) -> str:
        """What the room hears of an error."""
        match error:
            case ParseError() | CannotAsk():
                return str(error)
            case GeneratorError():
                self._log.warning(f"{job_id(message.event_id)}: {error!r}, {error.__cause__!r}")
                return str(error)
            case NotSent():
                self._log.error(f"{job_id(message.event_id)}: not brought: {error}")
                return NOT_BROUGHT
        self._log.error(f"{job_id(message.event_id)}: unexpected", exc_info=error)
        return UNEXPECTED

    async def _answer(self, message: Message, text: str) -> None:
        job = job_id(message.event_id)
        content = {**answer_content(text, message.relation), **mark(job, "answer")}
        await self._outbox.send(Outgoing(room_id=message.room_id, txn_id=f"{job}-answer", content=content))

    async def _apologise(self, message: Message, sentence: str) -> None:
        try:
            await self._answer(message, sentence)
        except NotSent as error:
            self._log.error(f"Nobody in {message.room_id} was told “{sentence}”: {error}")
