"""The loop that takes jobs to the worker; also pause, resume and drain.

Knows the worker only by its interface (see `workers.messages`), and nothing of files and HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Hashable, Iterable
from functools import partial

from generator.api.types import Error, Health, Recipe, ServiceState
from generator.errors import BUG, CardBusy, GeneratorError
from generator.pictures.uploads import Uploads
from generator.service.eta import Eta
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.state import State
from generator.workers.messages import (
    Cancelled,
    Draw,
    Drawn,
    Failed,
    Hello,
    Preview,
    Progress,
    Worker,
    WorkerDied,
    WorkerState,
)

log = logging.getLogger(__name__)

PAUSED = "The drawing computer is busy with something else. I'll draw when it's free."

LOADING = "Warming up, your picture is next."

# The time between two tries while another program holds the card's memory; a game takes longer to end.
BUSY_PAUSE_S = 10.0


class Dispatcher:
    """Owns the worker. ``resume`` starts it, ``pause`` frees the card, ``drain`` ends it for good."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        worker: Worker,
        saving: Saving,
        uploads: Uploads,
        eta: Eta,
        metrics: Metrics,
        unload_when_idle_s: float | None,
        busy_pause_s: float,
    ) -> None:
        self._jobs = jobs
        self._worker = worker
        self._saving = saving
        self._uploads = uploads
        self._eta = eta
        self._metrics = metrics
        self._unload_when_idle_s = unload_when_idle_s
        self._busy_pause_s = busy_pause_s
        self._hello: Hello | None = None
        self._worker_state = WorkerState()
        self._state = State.PAUSED
        # The picture that each running job is at, and the recipe last announced to the worker.
        self._at: dict[Job, int] = {}
        self._announced: Recipe | None = None
        self._work: asyncio.Task[None] | None = None
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._switch = asyncio.Lock()
        self._last_busy = time.monotonic()
        # Set with State.BROKEN, so that the service ends.
        self.broken = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        return self._state in (State.DRAINING, State.BROKEN)

    async def resume(self) -> None:
        """Start drawing, or go on after a pause."""
        async with self._switch:
            if self._state is State.PAUSED:
                self._state = self._state.to(State.RUNNING)
                self._jobs.wait_for(LOADING)
                self._work = asyncio.create_task(self._draw_jobs(), name="dispatcher")
                self._work.add_done_callback(self._ended)

    async def pause(self) -> None:
        """Free the card at once: the running jobs return to the head of the queue, and clients learn why they wait."""
        async with self._switch:
            self._state = self._state.to(State.PAUSED)
            self._jobs.wait_for(PAUSED)
            await self._stop()

    async def drain(self, timeout_s: float) -> None:
        """Take no more jobs; let the running ones end, or return them to the queue after ``timeout_s``."""
        self._state = self._state.to(State.DRAINING)
        if self._running:
            log.info("waiting up to %g s for job %s", timeout_s, ", ".join(job.id for job in self._running))
            await asyncio.wait(self._running.values(), timeout=timeout_s)
        async with self._switch:
            await self._stop()

    def cancel(self, job: Job) -> None:
        """End this job only: at once if it waits, within one step if it is being drawn."""
        n = len(job.pictures)
        self._jobs.cancel(job)
        if job in self._running:
            # While one picture is written to disk, the next may be drawn.
            for drawing in (n, n + 1):
                self._worker.cancel(_drawing_id(job, drawing))

    def idle_s(self) -> float:
        """Seconds since there was last something to draw; a pause does not count as idle."""
        if self._state is State.PAUSED or self._running or self._jobs.queued:
            self._last_busy = time.monotonic()
        return time.monotonic() - self._last_busy

    def health(self, version: str) -> Health:
        return Health(
            state=self._service_state(),
            device=self._hello.device if self._hello else None,
            models=self._worker_state.models,
            arrangement=self._worker_state.arrangement,
            memory=self._worker_state.memory,
            queued=self._jobs.queued,
            running=self._jobs.running,
            steps_per_second=self._eta.steps_per_second,
            version=version,
        )

    def _service_state(self) -> ServiceState:
        match self._state:
            case State.PAUSED:
                return ServiceState.PAUSED
            case State.IDLE:
                return ServiceState.IDLE
            case State.RUNNING | State.CARD_BUSY:
                return ServiceState.READY if self._hello else ServiceState.LOADING
            case State.DRAINING | State.BROKEN:
                return ServiceState.DRAINING

    def _ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and (bug := work.exception()):
            log.critical("the dispatcher met a bug, nothing is drawn any more", exc_info=bug)
            self._state = self._state.to(State.BROKEN)
            self.broken.set()

    async def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = None
        await self._worker.close()
        self._forget_worker()

    # ---- which job is next

    async def _draw_jobs(self) -> None:
        try:
            await self._wake()
            while True:
                if self._state is State.CARD_BUSY:
                    await self._card_may_be_free()
                self._jobs.news.clear()
                while job := self._next():
                    self._begin(job)
                self._prepare_next()
                await self._something_new()
        finally:
            await self._give_all_back()

    async def _wake(self) -> None:
        """Load the model before the first job; if that fails, the first job tries again and reports why."""
        try:
            self._greeted(await self._worker.hello())
        except (WorkerDied, GeneratorError) as error:
            log.error("the worker does not start: %s", error)
        self._jobs.wait_for(None)

    def _next(self) -> Job | None:
        """Take the job to start now; None if all must wait.

        Beside running jobs it must suit them. Alone, jobs for the loaded model come first, within the queue's bounds.
        """
        is_open = self._state in (State.RUNNING, State.IDLE)
        if not is_open or len(self._running) >= self._worker_state.at_once:
            return None
        if self._running:
            return self._jobs.take(self._suiting_all_running(), only_suiting=True)
        return self._jobs.take(self._suiting_what_is_loaded())

    def _suiting_what_is_loaded(self) -> Iterable[Hashable]:
        return self._jobs.labels_for(set(self._worker_state.models))

    def _suiting_all_running(self) -> Iterable[Hashable]:
        if any(job.must_be_alone for job in self._running):
            return []
        shapes = {shape for job in self._running for shape in job.shapes}
        return shapes if len(shapes) == 1 else []

    def _begin(self, job: Job) -> None:
        self._state = self._state.to(State.RUNNING)
        task = asyncio.create_task(self._draw(job), name=f"draw {job.id}")
        self._running[job] = task
        if len(self._running) > 1:
            self._jobs.drawn_together(self._running)
        task.add_done_callback(partial(self._left, job))

    def _left(self, job: Job, task: asyncio.Task[None]) -> None:
        # A job that returned to the queue may have been started again by now.
        if self._running.get(job) is task:
            del self._running[job]
            self._at.pop(job, None)
        self._last_busy = time.monotonic()
        self._jobs.news.set()

    async def _something_new(self) -> None:
        """Wait until there may be a job to start. Close an idle worker meanwhile, to free its card."""
        is_used = self._state is not State.RUNNING or self._running or not self._worker.is_ready
        try:
            async with asyncio.timeout(None if is_used else self._unload_when_idle_s):
                await self._jobs.news.wait()
        except TimeoutError:
            log.info("nothing to draw for %g s: the model is unloaded", self._unload_when_idle_s)
            await self._worker.close()
            self._forget_worker()
            self._state = self._state.to(State.IDLE)

    async def _give_all_back(self) -> None:
        """Return the running jobs to the head of the queue, in their order, with the pictures they have."""
        running = list(self._running.items())
        for _, task in running:
            task.cancel()
        if running:
            await asyncio.wait([task for _, task in running])
        await self._saving.ended()
        for job, _ in reversed(running):
            self._jobs.give_back(job)

    # ---- one job

    async def _draw(self, job: Job) -> None:
        """Draw every picture that the job lacks. Any error ends or delays this job only."""
        try:
            await self._draw_pictures(job)
            # The job may have ended before its first step.
            self._jobs.wait_for(None)
        except WorkerDied as died:
            self._worker_died(job, died)
        except CardBusy as busy:
            self._card_is_busy(job, busy)
        except GeneratorError as error:
            self._forget_worker()
            self._jobs.wait_for(None)
            self._jobs.fail(job, error.error)
        except Exception:
            log.exception("job %s met a bug", job.id)
            await self._worker.close()
            self._forget_worker()
            self._jobs.fail(job, BUG)

    async def _draw_pictures(self, job: Job) -> None:
        saving: asyncio.Task[None] | None = None
        for n in range(len(job.pictures), len(job.recipes)):
            try:
                drawn = await self._draw_one(job, n)
            finally:
                # The picture before this one is announced before anything that ends the job.
                if saving is not None:
                    await asyncio.wait([saving])
            if isinstance(drawn, Error):
                self._jobs.fail(job, drawn)
            if not isinstance(drawn, Drawn) or job.state.is_final:
                return
            # If it cannot be written, the next picture is drawn for nothing.
            abandon_next = partial(self._worker.cancel, _drawing_id(job, n + 1))
            saving = self._saving.begin(job, n, drawn, on_failure=abandon_next)

    async def _draw_one(self, job: Job, n: int) -> Drawn | Error | None:
        """Draw picture ``n``, or return the error; None if the job was cancelled. Raises WorkerDied, GeneratorError."""
        recipe, self._at[job] = job.recipes[n], n
        is_switch = self._worker.is_ready and recipe.model not in self._worker_state.models
        if not self._worker.is_ready or is_switch:
            self._jobs.wait_for(LOADING)
        self._greeted(await self._worker.hello())
        if job.state.is_final:
            return None
        outcome: Drawn | Error | None = None
        file = None if recipe.image is None else self._uploads.find(recipe.image)
        before, done = time.monotonic(), 0
        async for event in self._worker.run(Draw(_drawing_id(job, n), recipe, job.request.recipes[n].facts, file)):
            match event:
                case Progress(step, steps, state):
                    self._jobs.wait_for(None)
                    now = time.monotonic()
                    if step > done:
                        self._eta.note(recipe, (now - before) / len(self._running), steps=step - done)
                    elif step == 0:
                        if is_switch:
                            self._eta.note_load(recipe.model, now - before)
                        self._prepare_next()
                    before, done = now, step
                    self._learn(state, recipe.model)
                    self._jobs.progress(job, n, step, steps)
                case Preview(image):
                    self._jobs.preview(job, n, image)
                case Drawn():
                    self._metrics.picture_drawn(event.seconds)
                    outcome = event
                case Failed(error) if error.code == CardBusy.CODE:
                    raise CardBusy(error.message)
                case Failed(error):
                    outcome = error
                case Cancelled():
                    log.info("job %s left the card", job.id)
        return outcome

    def _prepare_next(self) -> None:
        """Announce to the worker what comes next: a running job's next picture, or the first of a waiting job."""
        if not self._running:
            return
        following = [recipe for job, n in self._at.items() for recipe in job.recipes[n + 1 : n + 2]]
        if not following and (waiting := self._jobs.first_waiting(self._suiting_what_is_loaded())):
            following = list(waiting.recipes_left[:1])
        if following and following[0] is not self._announced:
            self._announced = following[0]
            self._worker.prepare(following[0])

    def _worker_died(self, job: Job, died: WorkerDied) -> None:
        """Fail the job; if it was drawn beside others, try it once more, alone: any of them may be the cause."""
        log.error("job %s: %s", job.id, died)
        if self._hello is not None:
            self._metrics.worker_died()
        self._forget_worker()
        if job.has_company:
            self._jobs.give_back(job, alone=True)
        else:
            self._jobs.fail(job, Error(code="worker_died", message=f"This picture could not be drawn: {died}."))

    def _card_is_busy(self, job: Job, busy: CardBusy) -> None:
        """Return the job to the head of the queue, and publish why nothing moves."""
        log.info("job %s: %s", job.id, busy)
        self._jobs.give_back(job)
        self._jobs.wait_for(str(busy))
        if self._state is State.RUNNING:
            self._state = self._state.to(State.CARD_BUSY)

    async def _card_may_be_free(self) -> None:
        """Wait until the card is worth another try."""
        await asyncio.sleep(self._busy_pause_s)
        if not self._jobs.queued:
            # All jobs were cancelled meanwhile, so nobody waits for the card.
            self._jobs.wait_for(None)
        if self._state is State.CARD_BUSY:
            self._state = self._state.to(State.RUNNING)

    # ---- the worker

    def _greeted(self, hello: Hello) -> None:
        if hello is not self._hello:
            self._hello, self._worker_state = hello, hello.state
            self._eta.loaded = hello.state.models[0] if hello.state.models else None
            log.info("ready on %s", hello.device)

    def _learn(self, state: WorkerState, model: str) -> None:
        if state.at_once > self._worker_state.at_once:
            self._jobs.news.set()
        self._worker_state = state
        self._eta.loaded = model

    def _forget_worker(self) -> None:
        self._hello, self._worker_state, self._eta.loaded, self._announced = None, WorkerState(), None, None


def _drawing_id(job: Job, n: int) -> str:
    return f"{job.id}/{n}"
