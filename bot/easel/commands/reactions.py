"""What reactions and deletions do: on a command, on a picture, on a sheet. Draws nothing: what draws is a job."""

import secrets
from contextlib import suppress

from ..jobs.job import SEED_CHOICES, JobState, job_id
from ..jobs.runner import JobRunner
from ..jobs.store import Posted, Store
from ..language import ParseError, as_command, larger, with_seed
from ..policy.ownership import Ownership
from ..policy.permissions import Permissions
from ..room.messages import Message
from ..room.replies import Replied
from ..sending.content import PICTURE_KINDS, SHEET_KINDS, EventKind, answer_content
from ..sending.send_queue import NotSent
from ..sending.sent_once import SentOnce
from .draw import DrawCommands


class ReactionCommands:
    """One for the whole bot."""

    def __init__(
        self,
        *,
        draw_commands: DrawCommands,
        runner: JobRunner,
        store: Store,
        sent_once: SentOnce,
        ownership: Ownership,
        permissions: Permissions,
    ) -> None:
        self._draw_commands, self._runner, self._store, self._sent_once = draw_commands, runner, store, sent_once
        self._ownership, self._permissions = ownership, permissions

    async def cancel(self, room_id: str, event_id: str, by: str, state: JobState = JobState.CANCELLED) -> None:
        """Cancel what this message or reaction asked for, and what reactions to it did, as far as ``by`` may."""
        for job in await self._store.open_jobs_of(room_id, event_id):
            if await self._ownership.may_change_job(job, by):
                await self._runner.end(job, state)

    async def remove(self, room_id: str, event_id: str, by: str) -> None:
        """Take a picture and its recipe out of the room, if ``by`` may, and have the generator forget its files."""
        posted = await self._posted(room_id, event_id, (*PICTURE_KINDS, *SHEET_KINDS))
        if posted is None:
            return
        job = await self._store.job(posted.job)
        if job is None or not await self._ownership.may_change_job(job, by):
            return
        if posted.kind in SHEET_KINDS:
            await self._sent_once.take_back(job.id, *SHEET_KINDS)
            await self._store.forget_recipes(job.id)
        else:
            await self._sent_once.take_back(job.id, *PICTURE_KINDS, n=posted.n)
            await self._store.forget_recipe(job.id, posted.n)
        if not any(note.kind in (EventKind.PICTURE, EventKind.SHEET) for note in await self._store.all_posted(job.id)):
            await self._store.to_forget(job.id)
            await self._runner.forget_files()

    async def again(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Draw a picture or a sheet anew with another seed."""
        if found := await self._recipe_of(room_id, event_id, PICTURE_KINDS):
            await self._draw_on(Replied(found), room_id, event_id, reaction, by, text="--seed new")
        elif posted := await self._posted(room_id, event_id, SHEET_KINDS):
            await self._sheet_again(posted.job, room_id, event_id, reaction, by)

    async def _sheet_again(self, job: str, room_id: str, event_id: str, reaction: str, by: str) -> None:
        sheet = await self._store.job(job)
        if sheet is None:
            return
        text = sheet.message.body
        try:
            # A seed that the words do not name is another one anyway.
            if sheet.asked.seed is not None:
                text = with_seed(text, secrets.randbelow(SEED_CHOICES))
        except ParseError as error:
            await self._answer(room_id, event_id, reaction, by, str(error))
            return
        await self._draw_on(Replied(sheet.base, sheet.photo, sheet.styles), room_id, event_id, reaction, by, text=text)

    async def favour(self, room_id: str, event_id: str, reaction: str) -> None:
        """Keep a picture or a sheet as a favourite, until the reaction is taken back."""
        if await self._posted(room_id, event_id, (EventKind.PICTURE, EventKind.SHEET)):
            await self._store.keep_favourite(reaction, event_id)

    async def taken_back(self, room_id: str, event_id: str) -> None:
        """An event is gone, whoever took it back: a star of somebody's, or a picture, which is then found no more."""
        await self._store.forget_favourite(event_id)
        posted = await self._posted(room_id, event_id, (EventKind.PICTURE, EventKind.SHEET))
        if posted is not None and posted.kind == EventKind.PICTURE:
            await self._store.forget_recipe(posted.job, posted.n)
        elif posted is not None:
            await self._store.forget_recipes(posted.job)

    async def larger(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Draw the picture larger: lightly once more over itself."""
        if found := await self._recipe_of(room_id, event_id, (EventKind.PICTURE,)):
            await self._draw_on(Replied(found, event_id), room_id, event_id, reaction, by, text=larger(found))

    async def copy(self, room_id: str, event_id: str, reaction: str, by: str) -> None:
        """Answer a picture with the command that draws it."""
        if recipe := await self._recipe_of(room_id, event_id, PICTURE_KINDS):
            await self._answer(room_id, event_id, reaction, by, as_command(recipe))

    async def _answer(self, room_id: str, event_id: str, reaction: str, by: str, text: str) -> None:
        """Say something about what the reaction is on, unless ``by`` may not use the bot."""
        if self._permissions.refusal(by, room_id):
            return
        message = await self._reply(room_id, event_id, by, text)
        with suppress(NotSent):
            await self._sent_once.send(
                job_id(reaction), room_id, EventKind.ANSWER, answer_content(text, message.relation)
            )

    async def pick(self, room_id: str, event_id: str, n: int, reaction: str, by: str) -> None:
        """Draw a sheet's picture of that number, from 0, in full size."""
        if found := await self._recipe_of(room_id, event_id, SHEET_KINDS, n):
            await self._draw_on(Replied(found), room_id, event_id, reaction, by, text="-n 1")

    async def _draw_on(self, on: Replied, room_id: str, event_id: str, reaction: str, by: str, *, text: str) -> None:
        """A reaction that draws is a reply to what it is on."""
        message = await self._reply(room_id, event_id, by, text)
        await self._draw_commands.draw(message, text, asked_by=reaction, on=on)

    async def _reply(self, room_id: str, event_id: str, by: str, text: str) -> Message:
        """As if ``by`` had said that where an event of ours is: its answer comes into the same thread."""
        posted = await self._store.posted_as(event_id)
        job = await self._store.job(posted.job) if posted else None
        thread = job.message.thread if job else None
        return Message(room_id=room_id, event_id=event_id, sender=by, body=text, thread=thread)

    async def _recipe_of(self, room_id: str, event_id: str, kinds: tuple[str, ...], n: int | None = None) -> str | None:
        """The recipe of an event of ours of these kinds; ``n`` is the picture's number on a sheet."""
        posted = await self._posted(room_id, event_id, kinds)
        return await self._store.recipe(posted.job, posted.n if n is None else n) if posted else None

    async def _posted(self, room_id: str, event_id: str, kinds: tuple[str, ...]) -> Posted | None:
        """An event of ours of these kinds. Rooms are walls: what is said in one is about nothing in another."""
        posted = await self._store.posted_as(event_id)
        return posted if posted and posted.room_id == room_id and posted.kind in kinds else None
