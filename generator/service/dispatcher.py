"""The one loop that takes jobs to the lane and pictures to the gallery; also pause, resume and drain.

Knows the lane only by its interface (see `generator.lane`), and nothing of HTTP. One picture is written, in a thread,
while the next is drawn.
"""

import asyncio
import logging
import time

from generator.api import Error, Health, JobState, Memory, ServiceState
from generator.errors import GeneratorError
from generator.lane import Cancelled, Draw, Drawn, Failed, Hello, Lane, LaneDied, Progress
from generator.service.gallery import Gallery
from generator.service.jobs import Job, Jobs
from generator.service.metrics import Metrics
from generator.service.pace import Pace

log = logging.getLogger(__name__)

PAUSED = "The card is in use for something else. This is drawn when it is free again."

LOADING = "The model is being loaded. This is drawn when it is ready."

BUG = "Something went wrong in the generator itself; its log has the details."


class Dispatcher:
    """Owns the lane. ``resume`` starts it, ``pause`` frees the card, ``drain`` ends it for good."""

    def __init__(self, *, jobs: Jobs, lane: Lane, gallery: Gallery, pace: Pace, metrics: Metrics) -> None:
        self._jobs = jobs
        self._lane = lane
        self._gallery = gallery
        self._pace = pace
        self._metrics = metrics
        self._hello: Hello | None = None
        self._models: tuple[str, ...] = ()
        self._memory: Memory | None = None
        self._current: Job | None = None
        self._work: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._switch = asyncio.Lock()
        self.draining = False
        # Set when the loop has met a bug: nothing is drawn any more, and the service must end.
        self.broken = asyncio.Event()

    async def resume(self) -> None:
        """Begin to draw, or go on."""
        async with self._switch:
            if self._work is None and not self.draining:
                self._jobs.wait_for(LOADING)
                self._work = asyncio.create_task(self._draw_jobs(), name="dispatcher")
                self._work.add_done_callback(self._ended)

    async def pause(self) -> None:
        """Free the card at once: the running job is next again, and all are told why they wait."""
        async with self._switch:
            self._jobs.wait_for(PAUSED)
            await self._stop()

    async def drain(self, timeout_s: float) -> None:
        """Take no more jobs; let the running one end, or give it back after ``timeout_s``."""
        self.draining = True
        if self._work is not None and self._current is not None:
            log.info("waiting up to %g s for job %s", timeout_s, self._current.id)
            await asyncio.wait([self._work], timeout=timeout_s)
        async with self._switch:
            await self._stop()

    def cancel(self, job: Job) -> None:
        """End this job and no other: at once if it waits, within one step if it is being drawn."""
        self._jobs.cancel(job)
        if job is self._current:
            self._lane.cancel()

    async def saved(self) -> None:
        """Wait until no picture is being written. Being cancelled here does not cancel the writing."""
        if self._saving is not None:
            await asyncio.wait([self._saving])

    def health(self, version: str) -> Health:
        return Health(
            state=self._state(),
            device=self._hello.device if self._hello else None,
            models=self._models,
            memory=self._memory,
            queued=self._jobs.count(JobState.QUEUED),
            running=self._jobs.count(JobState.RUNNING),
            steps_per_second=self._pace.steps_per_second,
            version=version,
        )

    def _state(self) -> ServiceState:
        if self.draining:
            return ServiceState.DRAINING
        if self._work is None:
            return ServiceState.PAUSED
        return ServiceState.READY if self._hello else ServiceState.LOADING

    def _ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and (bug := work.exception()):
            log.critical("the dispatcher met a bug, nothing is drawn any more", exc_info=bug)
            self.broken.set()

    async def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = None
        await self._lane.close()
        self._forget_lane()

    async def _draw_jobs(self) -> None:
        try:
            await self._wake()
            while not self.draining:
                self._current = await self._jobs.next()
                await self._draw(self._current)
                self._current = None
                # Also after what ended before its first step.
                self._jobs.wait_for(None)
        finally:
            # A picture that was drawn before the interruption is kept, so that it need not be drawn again.
            await self.saved()
            if self._current is not None:
                self._jobs.give_back(self._current)
                self._current = None

    async def _wake(self) -> None:
        """Load the model before the first job asks; if that fails, the first job tries again and says why."""
        try:
            self._hello = await self._lane.hello()
        except (LaneDied, GeneratorError) as error:
            log.error("the lane does not start: %s", error)
        else:
            self._models, self._memory = self._hello.models, self._hello.memory
            log.info("ready on %s", self._hello.device)
        self._jobs.wait_for(None)

    async def _draw(self, job: Job) -> None:
        """Draw every picture that the job has not yet. Whatever goes wrong is the end of this job only."""
        try:
            for n in range(len(job.pictures), len(job.recipes)):
                try:
                    drawn = await self._draw_one(job, n)
                finally:
                    # The picture before this one is told of before anything that ends the job.
                    await self.saved()
                if isinstance(drawn, Error):
                    self._jobs.fail(job, drawn)
                if not isinstance(drawn, Drawn) or job.state.is_final:
                    return
                self._saving = asyncio.create_task(self._save(job, n, drawn), name=f"save {job.id}/{n}")
        except LaneDied as died:
            log.error("job %s: %s", job.id, died)
            self._metrics.lane_died()
            self._forget_lane()
            self._jobs.fail(job, Error(code="lane_died", message=f"This picture could not be drawn: {died}."))
        except GeneratorError as error:
            self._forget_lane()
            self._jobs.fail(job, error.error)
        except Exception:
            log.exception("job %s met a bug", job.id)
            await self._lane.close()
            self._forget_lane()
            self._jobs.fail(job, Error(code="internal", message=BUG))

    async def _draw_one(self, job: Job, n: int) -> Drawn | Error | None:
        """One picture, or why there is none; None if the job was cancelled. Raises LaneDied and GeneratorError."""
        if not self._lane.is_ready or job.recipes[n].model not in self._models:
            self._jobs.wait_for(LOADING)
        self._hello = await self._lane.hello()
        if job.state.is_final:
            return None
        outcome: Drawn | Error | None = None
        before = time.monotonic()
        async for event in self._lane.run(Draw(job.recipes[n], job.request.recipes[n].facts)):
            match event:
                case Progress(step, _, models, memory):
                    self._jobs.wait_for(None)
                    now = time.monotonic()
                    if step > 0:
                        self._pace.note(now - before, job.recipes[n].pixels)
                    before, self._models, self._memory = now, models, memory
                    self._jobs.progress(job, n, step)
                case Drawn():
                    self._metrics.picture_drawn(event.seconds)
                    outcome = event
                case Failed(error):
                    outcome = error
                case Cancelled():
                    log.info("job %s left the card", job.id)
        return outcome

    async def _save(self, job: Job, n: int, drawn: Drawn) -> None:
        """Write a picture and tell of it; what cannot be written, or is no picture, fails the job."""
        try:
            picture = await asyncio.to_thread(self._gallery.save, drawn, job.recipes[n], job.id, n)
            self._jobs.picture(job, picture)
        except GeneratorError as error:
            log.error("job %s: %s", job.id, error)
            self._jobs.fail(job, error.error)
        except Exception:
            log.exception("job %s: picture %d was not written", job.id, n)
            self._jobs.fail(job, Error(code="internal", message=BUG))

    def _forget_lane(self) -> None:
        self._hello, self._models, self._memory = None, (), None
