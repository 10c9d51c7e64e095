"""Keeps the bot's promise: each job that is not closed has a task here, which ends with its picture or a sentence.

A task may end with the process at any moment; the next process starts it again and does what is left.
"""

import asyncio
import time
from dataclasses import replace
from itertools import repeat
from logging import Logger

from ..background import Background, cancelled
from ..bug_log import log_bug
from ..generator.errors import GeneratorError, NotYet, QueueFull
from ..generator.watch import PAUSE_S, GeneratorWatch
from ..language import ParseError
from ..patience import patiently
from ..sending.answers import NotAllowed
from ..sending.content import EventKind
from ..sending.offers import Offers
from ..sending.posts import EVENTS_PER_PICTURE, JobPosts
from ..sending.progress import ProgressSign
from ..sending.send_queue import NotSent, SendQueue
from ..sending.sent_once import SentOnce
from ..sending.typing_notices import TypingNotices
from ..sending.waits import Waits
from ..settings import CurrentSettings
from .body import CannotAsk, Draft
from .delivery import Delivery, RunningJob
from .job import NOTHING, Job, JobState
from .line import Line
from .store import Store
from .submission import Submission
from .unwanted import Unwanted
from .waiting import Outlook, Outlooks, away_text, duration, in_turns

# After the database's own patience.
RESUMED_AGAIN_S = 5.0

# The homeserver refused the picture.
NOT_BROUGHT = "I couldn't bring the picture here. My log says why."
# A request in the database that this version cannot read.
OTHER_VERSION = "You asked another version of me, and I can't read its notes. Please ask again."
# A bug.
UNEXPECTED = "Something went wrong on my side. Try again; my log says more."


class Expired(Exception):
    """The generator was away for longer than a job waits."""


class JobRunner:
    """Takes each job from the database to the generator, and its pictures into the room."""

    def __init__(
        self,
        *,
        watch: GeneratorWatch,
        submission: Submission,
        delivery: Delivery,
        outlooks: Outlooks,
        unwanted: Unwanted,
        store: Store,
        posts: JobPosts,
        offers: Offers,
        waits: Waits,
        send_queue: SendQueue,
        sent_once: SentOnce,
        typing: TypingNotices,
        settings: CurrentSettings,
        log: Logger,
    ) -> None:
        self._watch, self._submission, self._delivery, self._unwanted = watch, submission, delivery, unwanted
        self._store, self._posts, self._offers, self._waits, self._typing = store, posts, offers, waits, typing
        self._send_queue, self._sent_once, self._settings, self._log = send_queue, sent_once, settings, log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._signs: dict[str, ProgressSign] = {}
        # What the next process does again if this one ends before.
        self._tidying = Background(log)
        self._line, self._outlooks = Line(), outlooks

    async def resume(self) -> None:
        """Continue every job that is not closed, in their order, and end the notes of rooms where none waits."""
        # In this order, a note of a job that comes meanwhile is not among them.
        notes, unclosed = await self._store.open_notes(), await self._store.unclosed_jobs()
        for job in unclosed:
            self.start(job)
            if job.state in (JobState.CANCELLED, JobState.DELETED):
                # The process may have ended before the generator heard of it.
                self._tidying.start(self._unwanted.end(job), f"ending {job.id} at the generator")
        waiting = {job.message.room_id for job in unclosed if job.state is not JobState.REPLACED}
        for note in notes:
            if note.room_id not in waiting and (noted := await self._store.job(note.job)):
                self._tidying.start(self._waits.end(noted), f"ending the note in {note.room_id}")

    async def restart(self) -> None:
        """Start every job again, so that each uses the generator and the limits of the settings in force."""

        def passes(error: Exception) -> bool:
            log_bug(self._log, "starting the jobs again", error)
            return True

        await self.stop()
        await patiently(self.resume, pauses_s=repeat(RESUMED_AGAIN_S), passes=passes)

    def start(self, job: Job, draft: Draft | None = None) -> None:
        """Start a job that is in the database, unless it is under way; ``draft`` is its body, if it is built."""
        if (task := self._tasks.get(job.id)) and not task.done():
            return
        sign = self._signs.setdefault(job.id, ProgressSign(job, self._sent_once, self._settings))
        self._tasks[job.id] = asyncio.create_task(self._work(job, draft, sign), name=f"job {job.id}")

    async def end(self, job: Job, state: JobState, *, by: str | None = None) -> bool:
        """End a job from outside, within one step of the generator; return whether it was open.

        ``by`` is the event that asked for it.
        """
        if not await self._store.end_job(job.id, state, by=by):
            return False
        await cancelled(self._tasks.pop(job.id, None))
        self._log.info(f"{job.id}: {state} for {job.message.sender} in {job.message.room_id}")
        # A replaced job is cancelled by the job in its place, which must be submitted first.
        if state is not JobState.REPLACED:
            await self._unwanted.end(job)
        # A restart of all jobs may have started it again, as it read the job before.
        await cancelled(self._tasks.pop(job.id, None))
        self.start(replace(job, state=state, last_word=""))
        return True

    async def take_back_end(self, job: Job) -> None:
        """Take the sentence and the sign of a job without a picture out of the room: its message was corrected."""
        await self._store.replace_ended(job.id)
        replaced = replace(job, state=JobState.REPLACED, last_word="")
        self._tidying.start(self._take_back_end(replaced), f"taking back the end of {job.id}")

    async def _take_back_end(self, job: Job) -> None:
        if task := self._tasks.get(job.id):
            # What it is about to say must be there to be taken back.
            await asyncio.wait({task})
        self.start(job)

    def is_drawing(self, job_id: str) -> bool:
        """Whether the generator is drawing the job, or has drawn it."""
        outlook = self._outlooks[job_id]
        return job_id not in self._tasks or outlook.is_running or outlook.is_drawn

    async def stop(self) -> None:
        """Leave every job as it is, for ``resume`` here or in the next process."""
        # A command may start another job meanwhile, which goes on.
        stopped = dict(self._tasks)
        await asyncio.gather(self._waits.stop(), self._tidying.stop(), *map(cancelled, stopped.values()))
        signs = [sign for job_id in stopped if (sign := self._signs.pop(job_id, None))]
        await asyncio.gather(*(sign.cancel() for sign in signs))

    # ---- a job's life

    async def _work(self, job: Job, draft: Draft | None, sign: ProgressSign) -> None:
        try:
            if job.state is JobState.OPEN:
                state, last_word = await self._outcome(job, draft, sign)
                await self._store.end_job(job.id, state, last_word)
                # Somebody may just have ended it in another way.
                job = await self._store.job(job.id) or job
                if job.state is state is not JobState.DONE and job.replaces:
                    await self._unwanted.end(job)
            await sign.arrived()
            await self._close(job, sign)
        except NotSent as error:
            self._log.error(f"{job.id}: its end was not sent to {job.message.room_id}: {error}")
            if job.last_word and isinstance(error, NotAllowed):
                # Not even why there is no picture: so none is drawn for nobody every day.
                await self._store.forget_scheduled(job.message.room_id, job.message.event_id)
            await self._store.close_job(job)
        except Exception as error:
            log_bug(self._log, f"{job.id}, which the next start of the bot continues", error)
        finally:
            self._line.leave(job.id)
        if self._tasks.get(job.id) is asyncio.current_task():
            del self._tasks[job.id]
            self._signs.pop(job.id, None)
            self._outlooks.pop(job.id, None)

    async def _outcome(self, job: Job, draft: Draft | None, sign: ProgressSign) -> tuple[JobState, str]:
        """Draw a job; return how it ended, and a sentence for the room or ""."""
        if job.asked == NOTHING:
            return JobState.FAILED, OTHER_VERSION
        try:
            # A picture or a sheet, with its recipes.
            with self._send_queue.owing(EVENTS_PER_PICTURE) as debt:
                sign.began()
                await self._draw(RunningJob(job, draft, sign, debt))
        except (ParseError, CannotAsk) as error:
            return JobState.FAILED, str(error)
        except GeneratorError as error:
            # The sentence may quote the prompt, and is for the room alone.
            self._log.warning(f"{job.id}: not drawn: {type(error).__name__}, {error.__cause__!r}")
            return JobState.FAILED, str(error)
        except Expired as error:
            return JobState.EXPIRED, str(error)
        except NotSent as error:
            self._log.error(f"{job.id}: not delivered: {error}")
            return JobState.FAILED, NOT_BROUGHT
        except Exception as error:
            log_bug(self._log, job.id, error)
            return JobState.FAILED, UNEXPECTED
        return JobState.DONE, ""

    async def _close(self, job: Job, sign: ProgressSign) -> None:
        # Of a replaced job, what comes in its place still waits.
        await self._waits.end(job, goes_on=job.state is JobState.REPLACED)
        await self._posts.last_word(job)
        if job.state is JobState.REPLACED:
            kinds = (EventKind.ANSWER, EventKind.ENDED)
            await self._sent_once.take_back(job.id, *kinds, person=job.message.sender)
        await sign.ended(job.state)
        await self._posts.settle(job)
        if job.state is JobState.DONE:
            await self._offers.offer(job)
        await self._store.close_job(job)

    async def _draw(self, running: RunningJob) -> None:
        while True:
            running = await self._submitted(running)
            try:
                async with self._typing.shown_in(running.job.message.room_id):
                    await self._delivery.deliver(running)
                return
            except NotYet as error:
                await self._interrupted(running, error)

    # ---- to the generator

    async def _submitted(self, running: RunningJob) -> RunningJob:
        """Return when the generator has the job, which waits for its turn in the line."""
        job = running.job
        self._line.join(job)
        while True:
            await self._turn(running)
            try:
                async with self._typing.shown_in(job.message.room_id):
                    submitted = await self._submission.submit(job, running.draft)
                self._log.info(f"{job.id}: submitted")
                self._line.leave(job.id)
                await self._waits.end(job)
                return replace(running, job=submitted.job, notes=submitted.notes)
            except NotYet as error:
                self._line.let_others_go(job.id)
                await self._wait(running, error)

    async def _turn(self, running: RunningJob) -> None:
        """Wait for the job's turn, and report meanwhile when the generator is away."""
        notice = asyncio.create_task(self._show_when_away(running), name=f"waiting of {running.job.id} behind others")
        try:
            await self._line.turn(running.job)
        finally:
            await cancelled(notice)

    async def _interrupted(self, running: RunningJob, error: NotYet) -> None:
        """Return when a job that the generator had may be submitted again."""
        job = running.job
        is_begun = self._outlooks[job.id].is_running
        self._line.join(job, is_begun=is_begun)
        if is_begun:
            self._outlooks[job.id] = Outlook(position=0)
        await self._wait(running, error)

    async def _wait(self, running: RunningJob, error: NotYet) -> None:
        """Return when the job may be tried again. Raises Expired."""
        job, settings = running.job, self._settings()
        left_s = job.received_ms / 1000 + settings.wait_hours * 3600 - time.time()
        await self._show_away(running, error, after_s=settings.tell_waiting_after_s if error.passes or job.body else 0)
        try:
            async with asyncio.timeout(left_s):
                if isinstance(error, QueueFull):
                    await asyncio.sleep(min(error.retry_after_s or PAUSE_S, PAUSE_S))
                else:
                    await self._watch.until_back(error)
        except TimeoutError as timeout:
            waited = duration(settings.wait_hours * 3600)
            raise Expired(f"{error} I waited for {waited} and let this go. Ask me again when it's back.") from timeout

    async def _show_when_away(self, running: RunningJob) -> None:
        await self._show_away(running, await self._watch.until_away(), after_s=0)

    async def _show_away(self, running: RunningJob, error: NotYet, *, after_s: float) -> None:
        """Show that the job waits until the generator takes it."""
        job = running.job
        # What is drawn is on its way, and before nobody.
        waiting = [one for one in await self._store.open_jobs() if not self._outlooks[one.id].is_drawn]
        order = [one.id for one in in_turns(waiting)]
        if not after_s and job.id in order:
            running.sign.waits(order.index(job.id) + 1)
        self._waits.begin(job, away_text(str(error), error.until), after_s=after_s)
