"""The jobs of this process: their states, their queue and their events.

Knows neither HTTP, nor files, nor how a picture is drawn; runs on the event loop only. Keeping the promise to draw is
the client's task: it submits again what is forgotten here.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

from PIL.Image import Image

from generator.api.types import (
    EndEvent,
    Error,
    JobState,
    JobStatus,
    Picture,
    PictureEvent,
    PositionEvent,
    PreviewEvent,
    ProgressEvent,
    StateEvent,
)
from generator.errors import DIED, Refused
from generator.pictures import encoding
from generator.service.eta import NO_WORK, Eta, Speeds, Work
from generator.service.fair_queue import FairQueue, Full, Place
from generator.service.job import Demand, Job
from generator.service.metrics import Metrics
from generator.service.positions import Positions
from generator.service.stream import JobEvent, Stream

log = logging.getLogger(__name__)

# How often a job is started whose worker dies. Once may be chance, and so may be twice.
MAX_ATTEMPTS = 3

PAUSED = "The drawing computer is busy with something else. I'll draw when it's free."
AWAY = "The computer that has this model is away. I'll draw when it's back."

# Kept for clients that come back for the end of a stream; the pictures are on disk anyway.
MAX_FINISHED_JOBS = 200
FINISHED_JOB_KEPT_S = 3600.0

# How long a client should wait when the queue is full and no picture was measured yet.
RETRY_AFTER_S = 30.0


class QueueFull(Refused):
    """The queue is at its limit. In ``retry_after_s`` seconds one of its jobs should be done."""

    def __init__(self, limit: int, retry_after_s: float) -> None:
        super().__init__(
            "queue_full",
            f"The queue is full, with {limit} waiting.",
            limit=limit,
        )
        self.retry_after_s = retry_after_s


class Jobs:
    """All jobs, by id, and the queue of the waiting ones."""

    def __init__(
        self, *, max_queued: int, speeds: Speeds, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self._queue = FairQueue(limit=max_queued)
        self._running: dict[str, Job] = {}
        # How many running jobs share the worker with this speed.
        self._together: Counter[Eta] = Counter()
        # All demands that a job was ever queued with: as many as there are ways to combine a few models.
        self.demands: set[Demand] = set()
        self._positions = Positions(self._position)
        self._speeds = speeds
        self._metrics = metrics
        self._clock = clock
        # Set when there may be something new to start.
        self.news = asyncio.Event()
        self._waiting_for: str | None = None
        # Whether no worker can draw what a job asks for; the dispatcher knows.
        self.is_away: Callable[[Demand], bool] = lambda _: False
        # Whether all workers that can draw it are paused.
        self.is_paused: Callable[[Demand], bool] = lambda _: False
        # When a job last ended, by time.monotonic.
        self.last_ended = 0.0

    # ---- what clients ask

    def find(self, job_id: str) -> Job | None:
        self._forget_old()
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Queue a new job, in the place of the job that it replaces. Raises QueueFull.

        A job that has all its pictures is done at once.
        """
        replaced = self._replaced_by(job)
        is_done = len(job.pictures) == len(job.recipes)
        if not is_done and replaced is not None:
            self.demands.add(job.demand)
            self._queue.exchange(replaced.id, job.id, labels=job.labels, work=job.work_left)
        elif not is_done:
            self._join_queue(job)
        self._jobs[job.id] = job
        log.info("job %s accepted: %d pictures for %s", job.id, len(job.recipes), job.request.requester)
        if replaced is not None:
            self.cancel(replaced)
        if is_done:
            self._end(job, JobState.DONE)
        self.news.set()
        self._positions.changed()

    def cancel(self, job: Job) -> None:
        """Cancel a job that is queued or running; a job that has ended stays as it is."""
        if job.state.is_final:
            return
        self._queue.remove(job.id)
        self._end(job, JobState.CANCELLED)

    def forget(self, job_id: str) -> None:
        """Drop an ended job, so that its id can be submitted and drawn anew."""
        if job_id in self._ended:
            del self._ended[job_id], self._jobs[job_id]

    def status(self, job: Job) -> JobStatus:
        place = self._position(job)
        return JobStatus(
            id=job.id,
            state=job.state,
            position=place.position if place else None,
            eta_s=place.eta_s if place else self._running_eta_s(job),
            waiting_for=place.waiting_for if place else None,
            pictures=tuple(job.pictures),
            error=job.error,
        )

    @contextmanager
    def watch(self, job: Job) -> Iterator[Stream]:
        """Yield a stream of the job's events: its present state, then what happens, then its end."""
        stream = Stream()
        stream.put(StateEvent(job=self.status(job)))
        if job.state.is_final:
            stream.put(self._end_event(job))
            stream.close()
        # The new stream has the position in the state already.
        self._positions.publish(job)
        job.streams.add(stream)
        try:
            yield stream
        finally:
            job.streams.discard(stream)
            self._positions.left(job)

    # ---- what the dispatcher does

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> int:
        return len(self._running)

    def choose(
        self,
        suiting: Iterable[Hashable] | None = None,
        *,
        able: Iterable[Hashable] | None = None,
        only_suiting: bool = False,
        worker: str = "",
    ) -> Place | None:
        """The place of the job to start next, as `FairQueue.choose` finds it by `Job.labels`; None without one."""
        return self._queue.choose(suiting, able=able, only_suiting=only_suiting, worker=worker)

    def at(self, place: Place) -> Job:
        return self._jobs[place.job]

    def take(self, place: Place, eta: Eta, *, able: Iterable[Hashable] | None = None, worker: str = "") -> Job:
        """Start the job in this place on the worker with this speed, ``able`` to draw jobs with these labels."""
        moving = [demand for demand in self.demands if self._reason_of(demand) is None]
        self._queue.take(place, able=able, moving=moving, worker=worker)
        job = self._jobs[place.job]
        job.place, job.eta = place, eta
        job.move(JobState.RUNNING)
        job.starts += 1
        job.died_on = None
        job.started = job.started or self._clock()
        self._running[job.id] = job
        self._together[eta] += 1
        log.info("job %s started for %s", job.id, job.request.requester)
        self._positions.forget(job)
        self._positions.changed()
        return job

    def waiting_by_model(self) -> Counter[str]:
        """The number of jobs that wait for each model, by their next pictures; without those that nobody can draw."""
        waiting = Counter[str]()
        for demand in self.demands:
            if (count := self._queue.count(demand)) and not self.is_away(demand):
                waiting[demand.next] += count
        return waiting

    def first(self, labels: Iterable[Hashable]) -> Place | None:
        """The place of the first job in the queue with one of the labels: the likely next one, if no other comes."""
        return self._queue.first(labels)

    def progress(self, job: Job, n: int, step: int, steps: int) -> None:
        """Record and publish that ``step`` of ``steps`` of picture ``n`` are done."""
        if job.state.is_final:
            return
        job.step = step
        self._publish(job, ProgressEvent(n=n, step=step, steps=steps, eta_s=self._running_eta_s(job)))

    def preview(self, job: Job, n: int, image: Image) -> None:
        """Publish what picture ``n`` looks like so far, if anybody listens."""
        if job.streams and not job.state.is_final:
            self._publish(job, PreviewEvent(n=n, image=encoding.preview(image)))

    def picture(self, job: Job, picture: Picture) -> None:
        """Add a picture that is on disk to its job; the last one ends the job."""
        if job.state.is_final:
            return
        job.pictures.append(picture)
        job.step = 0
        self._publish(job, PictureEvent(picture=picture))
        if len(job.pictures) == len(job.recipes):
            self._end(job, JobState.DONE)

    def fail(self, job: Job, error: Error) -> None:
        if not job.state.is_final:
            job.error = error
            self._end(job, JobState.FAILED)

    def drawn_together(self, jobs: Iterable[Job]) -> None:
        """Mark jobs that share the worker: if it dies now, any of them may be the cause."""
        for job in jobs:
            job.has_company = True

    def give_back(self, job: Job, *, alone: bool = False) -> None:
        """Return an interrupted job to the head of the queue, with the pictures it has.

        ``alone`` lets it be drawn only by itself from now on.
        """
        if job.state is not JobState.RUNNING:
            return
        if alone:
            job.has_company, job.must_be_alone = False, True
        assert job.place is not None
        job.move(JobState.QUEUED)
        job.step = 0
        self._leave_worker(job)
        self.demands.add(job.demand)
        self._queue.give_back(job.place, labels=job.labels, work=job.work_left)
        self.news.set()
        if job.streams:
            self._positions.publish(job)
        self._positions.changed()

    def lost(self, job: Job, *, avoiding: str | None) -> bool:
        """Give back a job whose worker died, for a worker that is not ``avoiding``; after MAX_ATTEMPTS, fail it.

        Returns whether it leaves the worker.
        """
        job.deaths += 1
        if job.deaths >= MAX_ATTEMPTS:
            self.fail(job, DIED)
            return True
        job.died_on = avoiding
        self.give_back(job, alone=job.has_company)
        return avoiding is not None

    def team_changed(self) -> None:
        """Note that others can draw now. Jobs may go to one that died: there may be no others left."""
        for job in [self._jobs[job_id] for job_id in self._queue.order()]:
            if job.died_on is not None:
                job.died_on = None
                self.demands.add(job.demand)
                self._queue.exchange(job.id, job.id, labels=job.labels, work=job.work_left)
        self.news.set()
        self._positions.changed(at_once=True)

    def wait_for(self, reason: str | None) -> None:
        """Publish to all waiting clients why nothing moves; None when it moves again."""
        if reason != self._waiting_for:
            self._waiting_for = reason
            self._positions.changed(at_once=True)

    def close(self) -> None:
        """End all streams without a last event, since the jobs have not ended."""
        self._positions.close()
        for job in self._jobs.values():
            for stream in job.streams:
                stream.close()

    def uploads_to_keep(self) -> set[str]:
        """The hashes of the uploads that are yet to be drawn from."""
        recipes = [recipe for job in self._jobs.values() if not job.state.is_final for recipe in job.recipes]
        return {recipe.image for recipe in recipes if recipe.image}

    # ---- inside

    def _replaced_by(self, job: Job) -> Job | None:
        """Find the job that this one replaces; None unless it is queued and of the same requester."""
        other = self._jobs.get(job.request.replaces) if job.request.replaces else None
        if other is None or other.state is not JobState.QUEUED or other.request.requester != job.request.requester:
            return None
        return other

    def _join_queue(self, job: Job) -> None:
        try:
            self._queue.add(job.id, job.request.requester, labels=job.labels, work=job.work_left)
        except Full as full:
            first = self._jobs[self._queue.head.job]
            raise QueueFull(int(str(full)), self._eta_s(first, NO_WORK) or RETRY_AFTER_S) from full
        self.demands.add(job.demand)

    def _end(self, job: Job, state: JobState) -> None:
        job.move(state)
        job.step = 0
        job.ended = self._clock()
        self.last_ended = time.monotonic()
        self._leave_worker(job)
        self._ended[job.id] = job
        self._metrics.job_ended(state)
        seconds = job.ended - (job.started or job.ended)
        log.info("job %s %s for %s after %.2f s", job.id, state, job.request.requester, seconds)
        self._publish(job, self._end_event(job))
        for stream in job.streams:
            stream.close()
        self._positions.forget(job)
        self._forget_old()
        self._positions.changed()

    def _leave_worker(self, job: Job) -> None:
        self._running.pop(job.id, None)
        if job.eta is not None:
            self._together[job.eta] -= 1
            if not self._together[job.eta]:
                # Its worker may leave for good.
                del self._together[job.eta]
            job.eta = None

    def _end_event(self, job: Job) -> EndEvent:
        return EndEvent.model_validate({"event": job.state.value, "job": self.status(job)})

    def _forget_old(self) -> None:
        oldest = self._clock() - FINISHED_JOB_KEPT_S
        while self._ended:
            job = next(iter(self._ended.values()))
            if len(self._ended) <= MAX_FINISHED_JOBS and (job.ended or 0) > oldest:
                return
            self.forget(job.id)

    def _position(self, job: Job) -> PositionEvent | None:
        if job.state is not JobState.QUEUED:
            return None
        ahead, work = self._queue.before(job.id)
        if reason := self._waiting_for or self._reason_of(job.demand):
            return PositionEvent(position=ahead + 1, waiting_for=reason)
        return PositionEvent(position=ahead + 1, eta_s=self._eta_s(job, work))

    def _reason_of(self, demand: Demand) -> str | None:
        if self.is_away(demand):
            return AWAY
        return PAUSED if self.is_paused(demand) else None

    def _eta_s(self, job: Job, before: Work) -> float | None:
        """Seconds until a waiting job is done, behind the running jobs and the work before it in the queue."""
        running = sum((other.work_left for other in self._running.values()), NO_WORK)
        return self._speeds.eta_s(running + before, job.work_left)

    def _running_eta_s(self, job: Job) -> float | None:
        alone_s = job.eta.eta_s(job.work_left) if job.eta is not None else None
        # Jobs that are drawn together share the worker's time.
        return None if job.eta is None or alone_s is None else round(alone_s * self._together[job.eta], 1)

    def _publish(self, job: Job, event: JobEvent) -> None:
        for stream in job.streams:
            stream.put(event)
