"""Shows a person the progress of their picture: one reaction on their message, or one notice that changes.

Progress is sent only if the send queue has room for it. The last sign is always right, also after a restart.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from ..background import cancelled
from ..jobs.job import Job, JobState
from ..jobs.waiting import place_text
from ..settings import CurrentSettings, Progress
from .content import EventKind, answer_content, edit_content, reaction_content
from .send_queue import NotSent, Priority
from .sent_once import SentOnce

# The sign first moves after this time. Each move costs two of the homeserver's few events, so the pauses double, up to
# the longest: more often does not help a person.
AGAIN_AFTER_S = 10.0
LONGEST_PAUSE_S = 80.0

WORKING, FAILED, CANCELLED = "🎨", "❌", "🚫 cancelled"

_LAST_REACTION = {JobState.FAILED: FAILED, JobState.EXPIRED: FAILED, JobState.CANCELLED: CANCELLED}
_LAST_TEXT = {JobState.DONE: "Drawn.", JobState.CANCELLED: "Cancelled."}


def working_text(pictures: int) -> str:
    """The first sign: what acknowledges a command, with the number of pictures on a sheet."""
    return WORKING if pictures == 1 else f"{WORKING} ×{pictures}"


def progress_text(done: float) -> str:
    """The progress as text; ``done`` is 0 to 1. Element shows 100 pixels of it, and a count behind."""
    return f"{WORKING} {done:.0%}"


class ProgressSign:
    """The progress sign on the message of one job."""

    def __init__(self, job: Job, sent_once: SentOnce, settings: CurrentSettings) -> None:
        self._job, self._sent_once, self._settings = job, sent_once, settings
        self._sending: asyncio.Task[None] | None = None
        self._sent_at, self._shown = time.monotonic(), working_text(job.pictures)
        self._pause_s, self._is_waiting = AGAIN_AFTER_S, False
        # What to show as soon as what is being sent has arrived.
        self._next: str | None = None

    def began(self) -> None:
        """Acknowledge the job, without waiting until that is sent."""
        if self._settings().progress is Progress.REACTION:
            self._start(self._begin())

    def waits(self, place: int) -> None:
        """Show the job's place in the queue."""
        if self._show(place_text(place), at_once=not self._is_waiting):
            self._is_waiting = True

    def moved(self, done: float) -> None:
        """Show how far the job is, unless the sign changed a moment ago."""
        if self._show(progress_text(done), at_once=self._is_waiting):
            self._is_waiting = False

    def _show(self, text: str, *, at_once: bool) -> bool:
        """Start to show a text, unless the sign changed a moment ago; return whether it will be shown."""
        is_sending = self._sending is not None and not self._sending.done()
        is_early = not at_once and (is_sending or time.monotonic() - self._sent_at < self._pause_s)
        # A homeserver takes the same reaction only once.
        if self._settings().progress is Progress.OFF or is_early or text == self._shown:
            return False
        if not at_once:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        self._sent_at, self._shown = time.monotonic(), text
        if is_sending:
            self._next = text
        else:
            self._start(self._change(text))
        return True

    async def _change(self, text: str) -> None:
        # Homeservers remember transaction ids over our restarts, so a number is never used again.
        n = int(time.time() * 1000)
        is_reaction = self._settings().progress is Progress.REACTION
        await (self._react(text, n) if is_reaction else self._write(text, n))

    async def arrived(self) -> None:
        """Return when no part of the sign is being sent any more."""
        if self._sending is not None:
            await self._sending

    async def cancel(self) -> None:
        await cancelled(self._sending)
        self._sending = self._next = None

    async def ended(self, state: JobState) -> None:
        """Show how the job ended, also if an earlier process began the sign, as far as the room allows."""
        job = self._job
        # Whoever may not react or redact in a room still brings the recipe.
        with suppress(NotSent):
            await self._sent_once.take_back(job.id, EventKind.REACTION, person=job.message.sender)
        with suppress(NotSent):
            message = await self._sent_once.there(job.id, EventKind.PROGRESS)
            if message is not None:
                content = edit_content(message, _LAST_TEXT.get(state, "Not drawn."))
                await self._sent_once.send_for(job, EventKind.PROGRESS_END, content, priority=Priority.TIDY)
            if (last := _LAST_REACTION.get(state)) and self._settings().progress is Progress.REACTION:
                await self._react(last, 0, kind=EventKind.ENDED, priority=Priority.TIDY)

    async def _begin(self) -> None:
        # A job that continues after a restart may have its sign already.
        if await self._sent_once.there(self._job.id, EventKind.REACTION) is None:
            await self._react(working_text(self._job.pictures), 0)

    async def _react(
        self, key: str, n: int, *, kind: EventKind = EventKind.REACTION, priority: Priority = Priority.PROGRESS
    ) -> None:
        content = reaction_content(self._job.message.event_id, key)
        sent = await self._sent_once.send_for(self._job, kind, content, n=n, priority=priority)
        if sent is not None and kind is EventKind.REACTION:
            await self._sent_once.take_back(self._job.id, kind, person=self._job.message.sender, but=sent)

    async def _write(self, text: str, n: int) -> None:
        first = await self._sent_once.there(self._job.id, EventKind.PROGRESS)
        if first is None:
            kind, content, n = EventKind.PROGRESS, answer_content(text, self._job.message.relation), 0
        else:
            kind, content = EventKind.PROGRESS_EDIT, edit_content(first, text)
        await self._sent_once.send_for(self._job, kind, content, n=n, priority=Priority.PROGRESS)

    def _start(self, sending: Coroutine[Any, Any, None]) -> None:
        async def send() -> None:
            # The send queue has logged the reason; a missing sign is no reason to stop.
            with suppress(NotSent):
                await sending
                while (text := self._next) is not None:
                    self._next = None
                    await self._change(text)

        self._sending = asyncio.create_task(send(), name=f"progress of {self._job.id}")
