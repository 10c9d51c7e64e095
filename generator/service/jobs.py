"""The jobs of this process: their states, their turns and what is told of them.

Knows neither HTTP, nor files, nor how a picture is drawn; runs on the event loop only. The promise to draw is the
client's to keep: what is forgotten here is submitted again.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from PIL.Image import Image

from generator.api.types import (
    EndEvent,
    Error,
    JobRequest,
    JobState,
    JobStatus,
    Picture,
    PictureEvent,
    PositionEvent,
    PreviewEvent,
    ProgressEvent,
    Recipe,
    StateEvent,
)
from generator.errors import Refused
from generator.pictures import encoding
from generator.service.eta import Eta, Work, work_left
from generator.service.fair_queue import FairQueue, Full, Place
from generator.service.metrics import Metrics
from generator.service.state import ImpossibleMove
from generator.service.stream import JobEvent, Stream

log = logging.getLogger(__name__)

# Finished jobs are kept for clients that come back for the end of a stream; their pictures are on disk anyway.
MAX_FINISHED_JOBS = 200
FINISHED_JOB_KEPT_S = 3600.0

# What a full queue asks a client to wait before it tries again, when no picture was measured yet.
RETRY_AFTER_S = 30.0

_MOVES = {
    # A job whose pictures are all on disk already is done without running.
    JobState.QUEUED: {JobState.RUNNING, JobState.CANCELLED, JobState.DONE},
    JobState.RUNNING: {JobState.QUEUED, JobState.DONE, JobState.FAILED, JobState.CANCELLED},
}


class QueueFull(Refused):
    """As many jobs wait as may wait. ``retry_after_s`` is when one of them should have gone."""

    def __init__(self, limit: int, retry_after_s: float) -> None:
        super().__init__(
            "queue_full",
            f"{limit} jobs are waiting already, which is as many as may wait. Please try again later.",
            limit=limit,
        )
        self.retry_after_s = retry_after_s


class Job:
    """One request and what has become of it. `Jobs` changes it, and nothing else does."""

    def __init__(self, job_id: str, request: JobRequest, recipes: tuple[Recipe, ...], pictures: tuple[Picture, ...]):
        self.id = job_id
        self.request = request
        self.recipes = recipes
        self.pictures = list(pictures)
        self.state = JobState.QUEUED
        self.error: Error | None = None
        self.step = 0
        self.started: float | None = None
        self.ended: float | None = None
        self.place: Place | None = None
        # What was drawn beside others when the worker died is drawn alone from then on: one of them may be why.
        self.has_company = self.must_be_alone = False
        self.told: PositionEvent | None = None
        self.streams: set[Stream] = set()

    @property
    def recipes_left(self) -> tuple[Recipe, ...]:
        """Those of the pictures that are yet to be drawn."""
        return self.recipes[len(self.pictures) :]

    @property
    def work_left(self) -> tuple[Work, ...]:
        return tuple(work_left(recipe, step=self.step * (n == 0)) for n, recipe in enumerate(self.recipes_left))

    def move(self, state: JobState) -> None:
        """Go to another state. Raises ImpossibleMove."""
        if state not in _MOVES.get(self.state, ()):
            raise ImpossibleMove(f"job {self.id} is {self.state} and cannot become {state}")
        self.state = state


class Jobs:
    """All jobs, by id, and the queue of those that wait."""

    def __init__(
        self, *, max_queued: int, eta: Eta, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self._queue = FairQueue(limit=max_queued)
        self._eta = eta
        self._metrics = metrics
        self._clock = clock
        # Set when there may be something new to start.
        self.news = asyncio.Event()
        self._waiting_for: str | None = None

    # ---- what clients ask

    def find(self, job_id: str) -> Job | None:
        self._forget_old()
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Queue a new job, in the place of the one that it replaces. Raises QueueFull.

        One that has all its pictures is done at once.
        """
        replaced = self._replaced_by(job)
        is_done = len(job.pictures) == len(job.recipes)
        if not is_done and replaced is not None:
            self._queue.exchange(replaced.id, job.id)
        elif not is_done:
            self._join_queue(job)
        self._jobs[job.id] = job
        log.info("job %s accepted: %d pictures for %s", job.id, len(job.recipes), job.request.requester)
        if replaced is not None:
            self.cancel(replaced)
        if is_done:
            self._end(job, JobState.DONE)
        self.news.set()
        self._tell_positions()

    def cancel(self, job: Job) -> None:
        """End a job that is queued or running; one that has ended stays as it is."""
        if job.state.is_final:
            return
        self._queue.remove(job.id)
        self._end(job, JobState.CANCELLED)

    def forget(self, job_id: str) -> None:
        """Drop an ended job, so that the same id is drawn anew."""
        if job_id in self._ended:
            del self._ended[job_id], self._jobs[job_id]

    def status(self, job: Job) -> JobStatus:
        position = self._queue.order().index(job.id) + 1 if job.state is JobState.QUEUED else None
        return JobStatus(
            id=job.id,
            state=job.state,
            position=position,
            eta_s=self._eta_s(job),
            waiting_for=self._waiting_for if position else None,
            pictures=tuple(job.pictures),
            error=job.error,
        )

    @contextmanager
    def watch(self, job: Job) -> Iterator[Stream]:
        """What happens to a job: its present state, what is new, its end. Reconnecting is always safe."""
        stream = Stream()
        stream.put(StateEvent(job=self.status(job)))
        if job.state.is_final:
            stream.put(self._end_event(job))
            stream.close()
        job.streams.add(stream)
        try:
            yield stream
        finally:
            job.streams.discard(stream)

    # ---- what the dispatcher does

    def take(self, suits: Callable[[Job], bool] = lambda job: True, *, only_suiting: bool = False) -> Job | None:
        """Start the next job, the first that ``suits`` within the bounds of `FairQueue.take`; None without one."""
        place = self._queue.take(lambda job_id: suits(self._jobs[job_id]), only_suiting=only_suiting)
        if place is None:
            return None
        job = self._jobs[place.job]
        job.place = place
        job.move(JobState.RUNNING)
        job.started = job.started or self._clock()
        job.told = None
        log.info("job %s started for %s", job.id, job.request.requester)
        self._tell_positions()
        return job

    def first_waiting(self, suits: Callable[[Job], bool]) -> Job | None:
        """The first job in the queue that ``suits``: the next one, most of the time, if nobody else comes."""
        return next((job for job_id in self._queue.order() if suits(job := self._jobs[job_id])), None)

    def progress(self, job: Job, n: int, step: int, steps: int) -> None:
        """``step`` of ``steps`` of picture ``n`` are done."""
        if job.state.is_final:
            return
        job.step = step
        self._tell(job, ProgressEvent(n=n, step=step, steps=steps, eta_s=self._eta_s(job)))

    def preview(self, job: Job, n: int, image: Image) -> None:
        """Show those who listen what picture ``n`` looks like so far."""
        if job.streams and not job.state.is_final:
            self._tell(job, PreviewEvent(n=n, image=encoding.preview(image)))

    def picture(self, job: Job, picture: Picture) -> None:
        """Another picture of the job is on disk; with the last one the job is done."""
        if job.state.is_final:
            return
        job.pictures.append(picture)
        job.step = 0
        self._tell(job, PictureEvent(picture=picture))
        if len(job.pictures) == len(job.recipes):
            self._end(job, JobState.DONE)

    def fail(self, job: Job, error: Error) -> None:
        if not job.state.is_final:
            job.error = error
            self._end(job, JobState.FAILED)

    def drawn_together(self, jobs: Iterable[Job]) -> None:
        """These jobs share the worker: if it dies now, any of them may be why."""
        for job in jobs:
            job.has_company = True

    def give_back(self, job: Job, *, alone: bool = False) -> None:
        """A running job that was interrupted is next again, from now on without company if ``alone``.

        The pictures that it has are kept.
        """
        if job.state is not JobState.RUNNING:
            return
        if alone:
            job.has_company, job.must_be_alone = False, True
        assert job.place is not None
        job.move(JobState.QUEUED)
        job.step = 0
        self._queue.give_back(job.place)
        self._tell_positions()

    def wait_for(self, reason: str | None) -> None:
        """Say to all who wait why nothing moves; None when it moves again."""
        if reason != self._waiting_for:
            self._waiting_for = reason
            self._tell_positions()

    def close(self) -> None:
        """Cut all streams off, without a last event: the jobs have not ended."""
        for job in self._jobs.values():
            for stream in job.streams:
                stream.close()

    def images_to_come(self) -> set[str]:
        """The hashes of what is yet to be drawn from."""
        recipes = [recipe for job in self._jobs.values() if not job.state.is_final for recipe in job.recipes]
        return {recipe.image for recipe in recipes if recipe.image}

    def count(self, state: JobState) -> int:
        return sum(job.state is state for job in self._jobs.values())

    # ---- inside

    def _replaced_by(self, job: Job) -> Job | None:
        """The job in whose place this one comes, if that still waits and is of the same requester."""
        other = self._jobs.get(job.request.replaces) if job.request.replaces else None
        if other is None or other.state is not JobState.QUEUED or other.request.requester != job.request.requester:
            return None
        return other

    def _join_queue(self, job: Job) -> None:
        try:
            self._queue.add(job.id, job.request.requester)
        except Full as full:
            raise QueueFull(int(str(full)), self._etas_s()[0] or RETRY_AFTER_S) from full

    def _end(self, job: Job, state: JobState) -> None:
        job.move(state)
        job.step = 0
        job.ended = self._clock()
        self._ended[job.id] = job
        self._metrics.job_ended(state)
        seconds = job.ended - (job.started or job.ended)
        log.info("job %s %s for %s after %.2f s", job.id, state, job.request.requester, seconds)
        self._tell(job, self._end_event(job))
        for stream in job.streams:
            stream.close()
        self._forget_old()
        self._tell_positions()

    def _end_event(self, job: Job) -> EndEvent:
        return EndEvent.model_validate({"event": job.state.value, "job": self.status(job)})

    def _forget_old(self) -> None:
        oldest = self._clock() - FINISHED_JOB_KEPT_S
        while self._ended:
            job = next(iter(self._ended.values()))
            if len(self._ended) <= MAX_FINISHED_JOBS and (job.ended or 0) > oldest:
                return
            self.forget(job.id)

    def _etas_s(self) -> list[float | None]:
        """For each place in the queue the seconds until that job is done, after those that are running."""
        running = [job.work_left for job in self._jobs.values() if job.state is JobState.RUNNING]
        waiting = [self._jobs[job_id].work_left for job_id in self._queue.order()]
        return self._eta.etas_s([*running, *waiting])[len(running) :]

    def _eta_s(self, job: Job) -> float | None:
        if job.state is JobState.RUNNING:
            # Those that are drawn together share the card's time.
            return self._eta.eta_s(job.work_left * self.count(JobState.RUNNING))
        if job.state is JobState.QUEUED and self._waiting_for is None:
            return self._etas_s()[self._queue.order().index(job.id)]
        return None

    def _tell(self, job: Job, event: JobEvent) -> None:
        for stream in job.streams:
            stream.put(event)

    def _tell_positions(self) -> None:
        """Tell those whose place has changed, or the reason why they wait."""
        etas_s = self._etas_s()
        for index, job_id in enumerate(self._queue.order()):
            job = self._jobs[job_id]
            eta_s = None if self._waiting_for else etas_s[index]
            event = PositionEvent(position=index + 1, eta_s=eta_s, waiting_for=self._waiting_for)
            if job.told is None or event.model_copy(update={"eta_s": None}) != job.told:
                job.told = event.model_copy(update={"eta_s": None})
                self._tell(job, event)
