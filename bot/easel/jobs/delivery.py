"""Follows a job that the generator has, and brings its pictures into the room as they come. Knows no turns."""

import time
from contextlib import aclosing
from dataclasses import dataclass
from logging import Logger

from ..generator.client import GeneratorClient
from ..generator.errors import Cancelled, Failed
from ..generator.types import GeneratorJobState, JobStatus, Picture, Position
from ..generator.types import Progress as Step
from ..sending.posts import JobPosts
from ..sending.progress import ProgressSign
from ..sending.send_queue import Debt
from ..sending.waits import Waits
from ..settings import CurrentSettings
from .body import Draft
from .job import Job
from .waiting import Outlook, Outlooks

# Mostly a model that is loaded within this time is nothing to talk about.
REASON_AFTER_S = 5.0


@dataclass(frozen=True)
class RunningJob:
    """A job under way, with its progress sign and the events that it owes.

    ``notes`` are sentences of the room's profile for the captions, known once the generator has the job.
    """

    job: Job
    draft: Draft | None
    sign: ProgressSign
    debt: Debt
    notes: tuple[str, ...] = ()


class Delivery:
    """Follows jobs, and keeps their ``outlooks`` true."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        posts: JobPosts,
        waits: Waits,
        outlooks: Outlooks,
        settings: CurrentSettings,
        log: Logger,
    ) -> None:
        self._generator, self._posts, self._waits = generator, posts, waits
        self._outlooks, self._settings, self._log = outlooks, settings, log

    async def deliver(self, running: RunningJob) -> None:
        """Return when the room has all pictures. Raises GeneratorError and NotSent."""
        job = running.job
        notes = (*job.asked.notes, *running.notes)
        has_sheet = job.body is not None and "sheet" in job.body
        async with aclosing(self._generator.follow(job.id)) as events:
            async for event in events:
                if isinstance(event, JobStatus | Position):
                    outlook = Outlook(is_running=_is_running(event), position=event.position, eta_s=event.eta_s)
                    self._update(job, outlook)
                    await self._show_place(running, event)
                match event:
                    case JobStatus():
                        if event.state is GeneratorJobState.DONE:
                            self._update(job, Outlook(is_drawn=True))
                        # If a sheet fails, each picture that was drawn is posted alone.
                        if not has_sheet or event.state is GeneratorJobState.FAILED:
                            for picture in event.pictures:
                                await self._posts.picture(job, picture, notes, running.debt)
                        elif event.state is GeneratorJobState.DONE:
                            await self._posts.sheet(job, job.asked, event.pictures, notes, running.debt)
                        if event.state is GeneratorJobState.FAILED:
                            raise Failed(event.error.message if event.error else None)
                        if event.state is GeneratorJobState.CANCELLED:
                            raise Cancelled
                    case Picture() if not has_sheet:
                        if event.n == job.pictures - 1:
                            self._update(job, Outlook(is_drawn=True))
                        await self._posts.picture(job, event, notes, running.debt)
                    case Step():
                        self._update(job, Outlook(is_running=True, eta_s=event.eta_s))
                        await self._waits.end(job)
                        running.sign.moved((event.n + event.step / event.steps) / job.pictures)
        self._log_step(job, "delivered to")

    async def _show_place(self, running: RunningJob, event: JobStatus | Position) -> None:
        """Show why nothing moves, or else the job's place, if it has to wait for long."""
        if event.waiting_for:
            self._waits.begin(running.job, event.waiting_for, after_s=REASON_AFTER_S)
            return
        await self._waits.end(running.job)
        if event.position is None:
            return
        is_long = event.position > 1 if event.eta_s is None else event.eta_s > self._settings().tell_waiting_after_s
        if is_long:
            running.sign.waits(event.position)

    def _update(self, job: Job, outlook: Outlook) -> None:
        if outlook.is_running and not self._outlooks[job.id].is_running:
            self._log_step(job, "started for")
        self._outlooks[job.id] = outlook

    def _log_step(self, job: Job, step: str) -> None:
        seconds = time.time() - job.received_ms / 1000
        self._log.info(f"{job.id}: {step} {job.message.sender} in {job.message.room_id} after {seconds:.1f} s")


def _is_running(event: JobStatus | Position) -> bool:
    return isinstance(event, JobStatus) and event.state is GeneratorJobState.RUNNING
