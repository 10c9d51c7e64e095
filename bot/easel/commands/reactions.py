"""What reactions and deletions do: on a command, on a picture, on a sheet. Draws nothing: only jobs do."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from logging import Logger

from ..bug_log import log_bug
from ..jobs.event_tables import Posted
from ..jobs.fitting import cannot_enlarge
from ..jobs.job import SEED_CHOICES, JobState, job_id
from ..jobs.runner import UNEXPECTED, JobRunner
from ..jobs.store import Store
from ..jobs.unwanted import Unwanted
from ..language import (
    Asked,
    ParseError,
    larger,
    unchanged,
    with_another_seed,
    with_other_seeds,
)
from ..policy.ownership import Ownership
from ..policy.permissions import Permissions
from ..room.messages import Message
from ..room.reactions import AGAIN, CANCEL, COPY, FAVOURITE, FILE, LARGER, NUMBER, REMOVE, Reaction
from ..sending.content import PICTURE_KINDS, SHEET_KINDS, EventKind, answer_content
from ..sending.rich import Text
from ..sending.send_queue import NotSent
from ..sending.sent_once import SentOnce
from ..side_thread import SideThread
from .draw import DrawCommands
from .recipe_files import RecipeFiles
from .shortest import ShortestCommands


class ReactionCommands:
    """One method for each button under a picture, and one for deletions."""

    def __init__(
        self,
        *,
        draw_commands: DrawCommands,
        runner: JobRunner,
        unwanted: Unwanted,
        store: Store,
        sent_once: SentOnce,
        ownership: Ownership,
        permissions: Permissions,
        recipe_files: RecipeFiles,
        shortest: ShortestCommands,
        side_thread: SideThread,
        log: Logger,
    ) -> None:
        self._unwanted, self._recipe_files, self._shortest = unwanted, recipe_files, shortest
        self._draw_commands, self._runner, self._store, self._sent_once = draw_commands, runner, store, sent_once
        self._ownership, self._permissions = ownership, permissions
        self._side_thread, self._log = side_thread, log
        self._buttons: Mapping[str, Callable[[Reaction], Awaitable[None]]] = {
            CANCEL: self._cancel,
            AGAIN: self._again,
            LARGER: self._larger,
            FAVOURITE: self._favour,
            COPY: self._copy,
            FILE: self._file,
            REMOVE: self._remove,
            NUMBER: self._pick,
        }

    async def react(self, reaction: Reaction) -> None:
        """Do what a button does, or answer why not. Raises NotSent."""
        try:
            await self._buttons[reaction.key](reaction)
        except ParseError as error:
            await self._answer(reaction, str(error))
        except NotSent:
            raise
        except Exception as error:
            log_bug(self._log, reaction.event_id, error)
            await self._answer(reaction, UNEXPECTED)

    async def deleted(self, room_id: str, event_id: str, *, by: str | None) -> None:
        """Handle a deleted event: a message or a reaction that asked for a picture, a star, or a picture itself.

        A deleted picture is no longer found, no matter who deleted it. ``by`` None is the bot, which ends no jobs so.
        """
        if by is not None:
            await self._end(room_id, event_id, by, JobState.DELETED)
        await self._store.forget_favourite(room_id, event_id)
        # Whoever may delete a message in a room may end what it scheduled.
        await self._store.forget_scheduled(room_id, event_id)
        posted = await self._posted(room_id, event_id, (EventKind.PICTURE, EventKind.SHEET))
        if posted is not None:
            await self._forget(posted)

    async def remove(self, room_id: str, event_id: str, *, by: str) -> bool:
        """Take a picture and its recipe out of the room, and have the generator forget its files, if ``by`` may.

        Return whether it was done. Raises NotSent.
        """
        posted = await self._posted(room_id, event_id, (*PICTURE_KINDS, *SHEET_KINDS))
        job = await self._store.job(posted.job) if posted else None
        if posted is None or job is None or not await self._ownership.may_change_job(job, by):
            return False
        kinds = SHEET_KINDS if posted.kind in SHEET_KINDS else PICTURE_KINDS
        await self._sent_once.take_back(job.id, *kinds, EventKind.RECIPE_FILE, person=by, n=posted.n)
        await self._forget(posted)
        if not any(note.kind in (EventKind.PICTURE, EventKind.SHEET) for note in await self._store.all_posted(job.id)):
            await self._store.to_forget(job.id)
            await self._unwanted.forget_files()
        return True

    # ---- the buttons

    async def _cancel(self, reaction: Reaction) -> None:
        await self._end(reaction.room_id, reaction.target, reaction.sender, JobState.CANCELLED)

    async def _again(self, reaction: Reaction) -> None:
        """Draw a picture or a sheet with another seed."""
        if recipe := await self._recipe_of(reaction, PICTURE_KINDS):
            asked = Asked((with_another_seed(await self._side_thread.recipe(recipe)),))
            await self._draw(reaction, asked, photo=await self._photo_of(reaction))
        elif posted := await self._posted(reaction.room_id, reaction.target, SHEET_KINDS):
            sheet = await self._store.job(posted.job)
            if sheet is not None:
                asked = with_other_seeds(sheet.asked, secrets.randbelow(SEED_CHOICES), image=sheet.image)
                await self._draw(reaction, asked, photo=sheet.photo)

    async def _larger(self, reaction: Reaction) -> None:
        """Draw a picture larger: lightly once more over itself."""
        if recipe := await self._recipe_of(reaction, (EventKind.PICTURE,)):
            request = larger(await self._side_thread.recipe(recipe))
            known = await self._store.capabilities()
            if known and (refusal := cannot_enlarge(request, known)):
                raise ParseError(refusal)
            await self._draw(reaction, Asked((request,)), photo=reaction.target)

    async def _pick(self, reaction: Reaction) -> None:
        """Draw the picture with that number on a sheet in full size."""
        if recipe := await self._recipe_of(reaction, SHEET_KINDS, n=reaction.number - 1):
            asked = Asked((unchanged(await self._side_thread.recipe(recipe)),))
            await self._draw(reaction, asked, photo=await self._photo_of(reaction))

    async def _favour(self, reaction: Reaction) -> None:
        """Keep a picture or a sheet as a favourite, until the reaction is taken back."""
        if self._permissions.refusal(reaction.sender, reaction.room_id):
            return
        if await self._posted(reaction.room_id, reaction.target, (EventKind.PICTURE, EventKind.SHEET)):
            await self._store.keep_favourite(reaction.room_id, reaction.event_id, reaction.target)

    async def _copy(self, reaction: Reaction) -> None:
        """Answer a picture with the command that draws it."""
        posted = await self._posted(reaction.room_id, reaction.target, PICTURE_KINDS)
        shortest = await self._shortest.of(posted, reaction.sender) if posted else None
        if shortest is not None:
            await self._answer(reaction, shortest.text)

    async def _file(self, reaction: Reaction) -> None:
        """Answer a picture or a sheet with its recipe as a file."""
        posted = await self._store.posted_in(reaction.room_id, reaction.target)
        if posted is not None and not self._permissions.refusal(reaction.sender, reaction.room_id):
            with suppress(NotSent):
                await self._recipe_files.bring(await self._as_reply(reaction), posted, asked_by=reaction.event_id)

    async def _remove(self, reaction: Reaction) -> None:
        await self.remove(reaction.room_id, reaction.target, by=reaction.sender)

    # ---- what they share

    async def _forget(self, posted: Posted) -> None:
        """Forget what finds a picture or a sheet."""
        if posted.kind in SHEET_KINDS:
            await self._store.forget_recipes(posted.job)
        else:
            await self._store.forget_recipe(posted.job, posted.n)
        await self._store.forget_picture(posted.job, posted.n)

    async def _end(self, room_id: str, event_id: str, by: str, state: JobState) -> None:
        """End the jobs that an event and the reactions to it asked for, as far as ``by`` may."""
        for job in await self._store.open_jobs_of(room_id, event_id):
            if await self._ownership.may_change_job(job, by):
                await self._runner.end(job, state)

    async def _draw(self, reaction: Reaction, asked: Asked, *, photo: str | None = None) -> None:
        message = await self._as_reply(reaction)
        await self._draw_commands.draw_request(message, asked, asked_by=reaction.event_id, photo=photo)

    async def _photo_of(self, reaction: Reaction) -> str | None:
        posted = await self._posted(reaction.room_id, reaction.target, (*PICTURE_KINDS, *SHEET_KINDS))
        return await self._store.photo_of_job(posted.job) if posted else None

    async def _answer(self, reaction: Reaction, text: Text) -> None:
        """Answer a reaction, in reply to its target, if its sender may use the bot."""
        if self._permissions.refusal(reaction.sender, reaction.room_id):
            return
        content = answer_content(text, (await self._as_reply(reaction)).relation)
        with suppress(NotSent):
            await self._sent_once.send(
                job_id(reaction.event_id), reaction.room_id, EventKind.ANSWER, content, person=reaction.sender
            )

    async def _as_reply(self, reaction: Reaction) -> Message:
        """A message without text in place of the reaction's target, so that the answer goes into the same thread."""
        posted = await self._store.posted_in(reaction.room_id, reaction.target)
        job = await self._store.job(posted.job) if posted else None
        thread = job.message.thread if job else None
        return Message(
            room_id=reaction.room_id, event_id=reaction.target, sender=reaction.sender, body="", thread=thread
        )

    async def _recipe_of(self, reaction: Reaction, kinds: tuple[EventKind, ...], *, n: int | None = None) -> str | None:
        """The recipe of the reaction's target, if it is of these kinds; ``n`` is a picture's number on a sheet."""
        posted = await self._posted(reaction.room_id, reaction.target, kinds)
        return await self._store.recipe(posted.job, posted.n if n is None else n) if posted else None

    async def _posted(self, room_id: str, event_id: str, kinds: tuple[EventKind, ...]) -> Posted | None:
        """An event of ours of these kinds in that room, or None."""
        posted = await self._store.posted_in(room_id, event_id)
        return posted if posted and posted.kind in kinds else None
