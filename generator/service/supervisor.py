"""One worker under supervision: it is started, given jobs, closed, and left to rest after failures.

Knows the worker only by its interface (see `workers.messages`), and nothing of files, HTTP and other workers.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from generator.api.types import Error, WorkerHealth
from generator.errors import (
    BUG,
    DIED,
    DOES_NOT_FIT,
    ENGINE_ERROR,
    CardBusy,
    CardUnusable,
    DrawingFailed,
    GeneratorError,
    as_exception,
)
from generator.pictures.uploads import Uploads
from generator.service.eta import Speeds
from generator.service.failures import MAX_FAILURES, Failures, Pauses
from generator.service.job import Job
from generator.service.jobs import PAUSED, Jobs
from generator.service.known_worker import KnownWorker
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.state import State
from generator.service.suiting import Suiting
from generator.workers.messages import Cancelled, Draw, Drawn, Failed, Preview, Progress, Worker, WorkerDied

log = logging.getLogger(__name__)

LOADING = "Warming up, your picture is next."
RESTING = "Drawing went wrong several times in a row. I'll try again in a moment."


class Supervisor:
    """Owns one worker, under its name. ``start`` starts it, ``stop`` frees its card."""

    def __init__(
        self,
        name: str,
        worker: Worker,
        *,
        jobs: Jobs,
        saving: Saving,
        uploads: Uploads,
        speeds: Speeds,
        metrics: Metrics,
        pauses: Pauses,
        team: Sequence["Supervisor"],
        reason_changed: Callable[[], None],
        ended: Callable[[asyncio.Task[None]], None],
        has: Callable[[str], bool],
    ) -> None:
        """``team`` are the supervisors of all workers, and ``has`` says which models this one draws with.

        ``reason_changed`` is called when ``waiting_for`` is another one, ``ended`` with tasks that may have met a bug.
        """
        self.name = name
        self.known = KnownWorker(name, worker, has)
        self.eta = self.known.eta
        self._jobs, self._saving, self._uploads = jobs, saving, uploads
        self._speeds, self._metrics, self._pauses = speeds, metrics, pauses
        self._team, self._reason_changed, self._ended = team, reason_changed, ended
        self._state = State.PAUSED
        # A sentence while nothing moves here.
        self.waiting_for: str | None = PAUSED
        # The picture that each running job is at.
        self._at: dict[Job, int] = {}
        self.running: dict[Job, asyncio.Task[None]] = {}
        self.suiting = Suiting(self.known, jobs=jobs, running=self.running.keys())
        # What happens next by itself: the start, the end of a pause or of idleness.
        self._next: asyncio.Task[None] | None = None
        self._failures = Failures(pauses)
        # Whether it leaves, and starts no more jobs.
        self.is_retired = False

    # ---- what the dispatcher asks and does

    @property
    def is_paused(self) -> bool:
        return self._state is State.PAUSED

    def start(self) -> None:
        """Start a paused worker, and load its model before the first job."""
        if self._state is State.PAUSED:
            self._become(State.STARTING)
            self._wait_for(LOADING)
            self._do_next(self._wake())

    async def retire(self, patience_s: float) -> None:
        """Start no more jobs, and let the running ones end, for so long at most."""
        self.is_retired = True
        self._become(self._state)
        self._jobs.team_changed()
        if self.running and patience_s:
            await asyncio.wait(self.running.values(), timeout=patience_s)

    async def stop(self, died: WorkerDied | None = None) -> None:
        """Free the card at once. The running jobs return to the head of the queue, with the pictures they have.

        If the worker ``died``, they count that as a failed attempt.
        """
        self._become(State.PAUSED)
        self._wait_for(PAUSED)
        self._do_next(None)
        # One that has just ended by itself has left, or given back, its job, which may start elsewhere meanwhile.
        running = [(job, task) for job, task in self.running.items() if not task.done()]
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
        await self._saving.ended()
        for job, _ in reversed(running):
            if died is None:
                self._jobs.give_back(job)
            else:
                log.error("job %s: %s", job.id, died)
                self._lost(job)
        await self.known.close()

    @property
    def is_open(self) -> bool:
        """Whether a job can start here now, or when the running ones end."""
        return self._state.is_open and not self.is_retired

    @property
    def has_room(self) -> bool:
        return self.is_open and len(self.running) < self.known.at_once

    def begin(self, job: Job) -> None:
        """Draw a job that was taken from the queue."""
        self._become(State.RUNNING)
        self._do_next(None)
        self.running[job] = task = asyncio.create_task(self._draw(job), name=f"draw {job.id}")
        self.known.begins(alone=len(self.running) == 1)
        if len(self.running) > 1:
            self._jobs.drawn_together(self.running)
        task.add_done_callback(partial(self._left, job))

    def cancel(self, job: Job) -> None:
        """End the drawing of a job within one step."""
        # While one picture is written to disk, the next may be drawn.
        for drawing in (len(job.pictures), len(job.pictures) + 1):
            self.known.worker.cancel(job.drawing_id(drawing))

    def health(self) -> WorkerHealth:
        return WorkerHealth(
            name=self.name,
            state=self._state.status(has_greeted=self.known.hello is not None),
            waiting_for=self.waiting_for,
            trouble=self._failures.trouble,
            jobs=tuple(job.id for job in self.running),
            **self.known.facts(),
        )

    # ---- its state

    def _become(self, state: State) -> None:
        self._state = self._state.to(state)
        (self._speeds.join if self.is_open else self._speeds.leave)(self.eta)

    def _wait_for(self, reason: str | None) -> None:
        """Say why nothing moves here; None when it moves again, unless the worker itself must wait."""
        if reason != self.waiting_for and (reason is not None or self._state.is_open):
            self.waiting_for = reason
            self._reason_changed()

    def _do_next(self, step: Coroutine[Any, Any, None] | None) -> None:
        if self._next is not None and self._next is not asyncio.current_task():
            self._next.cancel()
        self._next = None
        if step is not None:
            self._next = asyncio.create_task(step, name=f"{self.name} {self._state.value}")
            self._next.add_done_callback(self._ended)

    async def _wake(self) -> None:
        """Load the model before the first job; if that fails, the first job tries again and reports why."""
        failure: Exception | None = None
        try:
            await self.known.greet(other.known for other in self._team)
        except (WorkerDied, GeneratorError) as error:
            log.error("%s does not start: %s", self.name, error)
            failure = error
        self._become(State.RUNNING)
        self._wait_for(None)
        if failure is not None and self._others():
            self._failed(str(failure), at_least=MAX_FAILURES)
        else:
            self._nothing_to_draw()
        self._jobs.news.set()

    def _nothing_to_draw(self) -> None:
        if self._pauses.unload_when_idle_s is not None and self.known.worker.is_ready:
            self._do_next(self._unload(self._pauses.unload_when_idle_s))

    async def _unload(self, idle_s: float) -> None:
        """Close an idle worker, to free its card."""
        await asyncio.sleep(idle_s)
        log.info("nothing to draw for %g s: the model is unloaded", idle_s)
        self._become(State.CLOSING)
        await self.known.close()
        self._become(State.IDLE)
        self._jobs.news.set()

    async def _try_again(self, after_s: float) -> None:
        """Wait until the card is worth another try."""
        await asyncio.sleep(after_s)
        self._become(State.RUNNING)
        if not self._jobs.queued:
            # All jobs were cancelled meanwhile, so nobody waits for the card.
            self._wait_for(None)
        if not self.running:
            self._nothing_to_draw()
        self._jobs.news.set()

    def _failed(self, trouble: str, *, at_least: int = 0) -> None:
        """Count a failure that may be the worker's. After several in a row it rests, longer each time."""
        self._failures.add(trouble, at_least=at_least)
        if (rest_s := self._failures.rest_s) is not None and self._state is State.RUNNING:
            log.error("%s failed %d times in a row; it rests for %g s", self.name, self._failures.count, rest_s)
            self._wait_for(RESTING)
            self._stand_aside(State.RESTING, rest_s)

    def _card_is_busy(self, job: Job, busy: CardBusy) -> None:
        """Return the job to the head of the queue, and publish why nothing moves."""
        log.warning("job %s: %s", job.id, busy)
        self._jobs.give_back(job)
        self._wait_for(busy.SHOWN)
        if self._state is State.RUNNING:
            self._stand_aside(State.CARD_BUSY, self._pauses.busy_s)

    def _stand_aside(self, state: State, for_s: float) -> None:
        """Start no job for so long. What waits for this worker, since another one died, waits no more."""
        self._become(state)
        self._do_next(self._try_again(for_s))
        if self._others():
            self._jobs.team_changed()

    def _may_go_elsewhere(self, job: Job) -> bool:
        return any(other.name not in job.did_not_start and other.known.can_draw(job.demand) for other in self._others())

    def _others(self) -> list["Supervisor"]:
        return [other for other in self._team if other is not self and not other.is_paused and not other.is_retired]

    def _left(self, job: Job, task: asyncio.Task[None]) -> None:
        # A job that returned to the queue may have been started again by now.
        if self.running.get(job) is task:
            del self.running[job]
            self._at.pop(job, None)
            self.known.model = self.eta.loaded
        if not self.running and self._state is State.RUNNING:
            self._nothing_to_draw()
        self._jobs.news.set()

    # ---- one job

    async def _draw(self, job: Job) -> None:
        """Draw every picture that the job lacks. Any error ends or delays this job only."""
        try:
            await self._draw_pictures(job)
            # The job may have ended before its first step.
            self._wait_for(None)
        except WorkerDied as died:
            self._worker_died(job, died)
        except CardBusy as busy:
            self._card_is_busy(job, busy)
        except DrawingFailed as error:
            self._does_not_start(job, str(error), error.shown)
        except GeneratorError as error:
            self._wait_for(None)
            self._jobs.fail(job, error.error)
        except Exception:
            log.exception("job %s met a bug", job.id)
            await self.known.close()
            self._jobs.fail(job, BUG)
            self._failed(BUG.message)

    async def _draw_pictures(self, job: Job) -> None:
        saving: asyncio.Task[None] | None = None
        for n in range(len(job.pictures), len(job.recipes)):
            if not self.known.has(job.recipes[n].model):
                await self._saving.ended()
                self._jobs.give_back(job)
                return
            self.known.begins(alone=len(self.running) == 1)
            try:
                drawn = await self._draw_one(job, n)
            finally:
                # The picture before this one is announced before anything that ends the job.
                if saving is not None:
                    await asyncio.wait([saving])
            if isinstance(drawn, Error):
                self._not_drawn(job, drawn)
            if not isinstance(drawn, Drawn) or job.state.is_final:
                return
            self._failures.forget()
            # If it cannot be written, the next picture is drawn for nothing.
            abandon_next = partial(self.known.worker.cancel, job.drawing_id(n + 1))
            saving = self._saving.begin(job, n, drawn, on_failure=abandon_next)

    async def _draw_one(self, job: Job, n: int) -> Drawn | Error | None:
        """Draw picture ``n``, or return the error; None if the job was cancelled. Raises WorkerDied, GeneratorError."""
        recipe, self._at[job] = job.recipes[n], n
        if self.known.must_load_for(recipe):
            self._wait_for(LOADING)
        await self.known.greet(other.known for other in self._team)
        if job.state.is_final:
            return None
        outcome: Drawn | Error | None = None
        file = None if recipe.image is None else self._uploads.find(recipe.image)
        draw = Draw(job.drawing_id(n), recipe, job.request.recipes[n].facts, file)
        async for event in self.known.run(draw, beside=self.running):
            match event:
                case Progress(step, steps, state):
                    self._wait_for(None)
                    if step == 0:
                        self.prepare_next()
                    if self.known.learn(state, recipe.model):
                        self._jobs.news.set()
                    self._jobs.progress(job, n, step, steps)
                case Preview(image):
                    self._jobs.preview(job, n, image)
                case Drawn():
                    self._metrics.picture_drawn(event.seconds)
                    outcome = event
                case Failed(error):
                    failure = as_exception(error)
                    if isinstance(failure, CardBusy | CardUnusable):
                        raise failure
                    if failure.SHOWN:
                        log.error("job %s: %s", job.id, failure)
                    outcome = failure.shown
                case Cancelled():
                    log.info("job %s left the card", job.id)
        return outcome

    def prepare_next(self) -> None:
        """Announce to the worker what comes next: a running job's next picture, or the first of a waiting job."""
        if self.running and (following := self.suiting.following(self._at)):
            self.known.announce(following)

    def _not_drawn(self, job: Job, error: Error) -> None:
        """Fail the job with the error; one that does not fit this card goes to one where it may fit, first."""
        if error.code == DOES_NOT_FIT:
            job.does_not_fit[self.name] = error
            if self._may_go_elsewhere(job):
                log.info("job %s: %s", job.id, error.message)
                self._jobs.give_back(job)
            else:
                self._jobs.fail(job, max(job.does_not_fit.values(), key=lambda error: error.limit))
            return
        self._jobs.fail(job, error)
        if error.code == ENGINE_ERROR:
            self._failed(error.message)

    def _worker_died(self, job: Job, died: WorkerDied) -> None:
        """Try the job again, on another worker if one can start now; after MAX_ATTEMPTS, fail it.

        If it was drawn beside others, any of them may be the cause, so from then on it is drawn alone.
        """
        log.error("job %s: %s", job.id, died)
        had_started = self.known.hello is not None
        if had_started:
            self._metrics.worker_died(self.name)
        self.known.forget()
        if not had_started and not job.has_company:
            self._does_not_start(job, str(died), DIED)
            return
        was_alone = not job.has_company
        # Deaths of one job in a row are one failure.
        if self._lost(job) and was_alone:
            self._failed(str(died))

    def _lost(self, job: Job) -> bool:
        """Give the job back after the worker's death, or fail it. Returns whether it leaves this worker."""
        others = any(other.is_open and other.known.can_draw(job.demand) for other in self._others())
        return self._jobs.lost(job, avoiding=self.name if others else None)

    def _does_not_start(self, job: Job, trouble: str, error: Error) -> None:
        """Leave the job to one that has not tried to start for it while this one rests; else fail it with the error."""
        log.error("%s does not start: %s", self.name, trouble)
        self.known.forget()
        self._wait_for(None)
        job.did_not_start.add(self.name)
        if self._may_go_elsewhere(job):
            self._jobs.give_back(job)
            self._failed(trouble, at_least=MAX_FAILURES)
        else:
            self._jobs.fail(job, error)
