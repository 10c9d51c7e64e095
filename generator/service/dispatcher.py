"""The loop that takes jobs to the workers; also pause, resume and drain. Each worker has its `Supervisor`."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

from generator import __version__
from generator.api.types import Health, ServiceState, WorkerHealth, WorkerStatus
from generator.errors import Refused
from generator.pictures.uploads import Uploads
from generator.service.balance import Balance
from generator.service.eta import Speeds
from generator.service.failures import Pauses
from generator.service.fair_queue import Place
from generator.service.job import Demand, Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.supervisor import Supervisor
from generator.workers.messages import Worker, WorkerDied

log = logging.getLogger(__name__)

# Up to so many workers hear at once when another job will be their next one, as it takes a look at each whenever the
# queue changes. With more, they hear when a drawing begins.
ANNOUNCED_AT_ONCE = 16


class Dispatcher:
    """Owns the workers. ``resume`` starts them, ``pause`` frees their cards, ``drain`` ends them for good."""

    def __init__(
        self,
        workers: Mapping[str, Worker],
        *,
        has: Callable[[str], bool] = lambda _: True,
        jobs: Jobs,
        saving: Saving,
        uploads: Uploads,
        speeds: Speeds,
        metrics: Metrics,
        pauses: Pauses,
    ) -> None:
        """``has`` says whether these workers draw with a model, or say why not."""
        self._jobs = jobs
        self._speeds = speeds
        self._team: list[Supervisor] = []
        self._supervise = partial(
            Supervisor,
            jobs=jobs,
            saving=saving,
            uploads=uploads,
            speeds=speeds,
            metrics=metrics,
            pauses=pauses,
            team=self._team,
            reason_changed=self._publish_reason,
            ended=self._ended,
        )
        self._team += (self._supervise(name, worker, has=has) for name, worker in workers.items())
        jobs.is_away = lambda demand: not self._able(demand)
        jobs.is_paused = lambda demand: all(supervisor.is_paused for supervisor in self._able(demand))
        # The names that are paused, of workers that have left, too; None stands for all.
        self._paused: set[str | None] = set()
        self._is_draining = False
        self._work: asyncio.Task[None] | None = None
        self._switch = asyncio.Lock()
        self._last_busy = time.monotonic()
        # Set after a bug: nothing is drawn any more, and the service must end.
        self.broken = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        return self._is_draining or self.broken.is_set()

    async def resume(self, name: str | None = None) -> None:
        """Start drawing, or go on after a pause: with one worker, or with all. Raises Refused."""
        async with self._switch:
            for supervisor in self._named(name):
                supervisor.start()
            self._paused = self._paused - {name, None} if name else set()
            self._last_busy = time.monotonic()
            self._jobs.team_changed()
            if self._work is None:
                self._work = asyncio.create_task(self._begin_jobs(), name="dispatcher")
                self._work.add_done_callback(self._ended)

    async def pause(self, name: str | None = None) -> None:
        """Free one card or all at once: running jobs return to the head of the queue. Raises Refused.

        Clients learn why they wait if no worker is left.
        """
        async with self._switch:
            supervisors = self._named(name)
            await self._stop(supervisors)
            self._paused |= {name, *(supervisor.name for supervisor in supervisors)}

    async def join(self, name: str, worker: Worker, has: Callable[[str], bool]) -> None:
        """Add a worker, and start it unless it, or all, were paused. ``has`` says which models it draws with."""
        async with self._switch:
            supervisor = self._supervise(name, worker, has=has)
            self._team.append(supervisor)
            if not self.is_ending and not {name, None} & self._paused:
                supervisor.start()
            self.team_changed()

    async def leave(self, name: str, *, died: WorkerDied | None = None, patience_s: float = 0) -> None:
        """Remove a worker that joined. It starts no more jobs, and may end the running ones within ``patience_s``.

        After that they return to the queue; if it ``died``, they count that as a failed attempt.
        """
        supervisors = [supervisor for supervisor in self._team if supervisor.name == name]
        for supervisor in supervisors:
            await supervisor.retire(patience_s)
        async with self._switch:
            # A machine may be lost while it leaves.
            for supervisor in [supervisor for supervisor in supervisors if supervisor in self._team]:
                await supervisor.stop(died)
                self._team.remove(supervisor)
            self.team_changed()

    def team_changed(self) -> None:
        """Note that workers have joined or left, or draw with other models now."""
        self._publish_reason()
        self._jobs.team_changed()

    async def drain(self, timeout_s: float) -> None:
        """Take no more jobs; let the running ones end, or return them to the queue after ``timeout_s``."""
        self._is_draining = True
        running = {job: task for supervisor in self._team for job, task in supervisor.running.items()}
        if running:
            log.info("waiting up to %g s for job %s", timeout_s, ", ".join(job.id for job in running))
            await asyncio.wait(running.values(), timeout=timeout_s)
        async with self._switch:
            if self._work is not None:
                self._work.cancel()
                await asyncio.wait([self._work])
                self._work = None
            await self._stop(self._team)

    def cancel(self, job: Job) -> None:
        """End this job only: at once if it waits, within one step if it is being drawn."""
        self._jobs.cancel(job)
        for supervisor in self._team:
            if job in supervisor.running:
                supervisor.cancel(job)

    def idle_s(self) -> float:
        """Seconds since there was last something to draw; a pause does not count as idle."""
        is_paused = all(supervisor.is_paused for supervisor in self._team)
        if is_paused or self._jobs.running or self._jobs.queued:
            self._last_busy = time.monotonic()
        return time.monotonic() - max(self._last_busy, self._jobs.last_ended)

    def health(self) -> Health:
        workers = tuple(supervisor.health() for supervisor in self._team)
        first = next((worker for worker in workers if worker.models), workers[0])
        return Health(
            state=ServiceState.DRAINING if self.is_ending else _service_state(workers),
            device=first.device,
            models=tuple(dict.fromkeys(model for worker in workers for model in worker.models)),
            arrangement=first.arrangement,
            memory=first.memory,
            queued=self._jobs.queued,
            running=self._jobs.running,
            steps_per_second=self._speeds.steps_per_second,
            version=__version__,
            workers=workers,
        )

    # ---- inside

    def _able(self, demand: Demand) -> list[Supervisor]:
        team = (supervisor for supervisor in self._team if not supervisor.is_retired)
        return [supervisor for supervisor in team if supervisor.known.can_draw(demand)]

    def _named(self, name: str | None) -> list[Supervisor]:
        if name is None:
            return self._team
        named = [supervisor for supervisor in self._team if supervisor.name == name]
        if not named:
            names = tuple(supervisor.name for supervisor in self._team)
            message = f"There is no “{name[:80]}” here. There is: {', '.join(names)}."
            raise Refused("unknown_choice", message, field="worker", value=name[:80], choices=names)
        return named

    async def _stop(self, supervisors: list[Supervisor]) -> None:
        await asyncio.gather(*(supervisor.stop() for supervisor in supervisors))
        self._jobs.team_changed()

    def _ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and (bug := work.exception()):
            log.critical("the dispatcher met a bug, nothing is drawn any more", exc_info=bug)
            self.broken.set()

    async def _begin_jobs(self) -> None:
        while True:
            self._jobs.news.clear()
            while (chosen := self._chosen()) is not None:
                place, supervisor = chosen
                supervisor.begin(supervisor.suiting.take(place))
            if len(self._team) <= ANNOUNCED_AT_ONCE:
                for supervisor in self._team:
                    supervisor.prepare_next()
            await self._jobs.news.wait()

    def _chosen(self) -> tuple[Place, Supervisor] | None:
        """The place of the job to start now, and the worker to draw it; None if all must wait.

        It is the first in the queue of those that the workers would choose. Of several workers it goes to an idle one
        that has its model, else to one that draws it beside others, else to an idle one that loads it; of several alike
        to the fastest.
        """
        if self.is_ending or not self._jobs.queued:
            return None
        free = [supervisor for supervisor in self._team if supervisor.has_room]
        if not free:
            return None
        balance = Balance((supervisor.known for supervisor in self._team if supervisor.is_open), self._jobs)
        choices = [(place, supervisor) for supervisor in free if (place := supervisor.suiting.choose(balance))]
        return min(
            choices, key=lambda choice: (choice[0], choice[1].suiting.rank(self._jobs.at(choice[0]))), default=None
        )

    def _publish_reason(self) -> None:
        """Publish why nothing moves, if that is so on every card that is not paused."""
        if any(supervisor.waiting_for is None for supervisor in self._team):
            self._jobs.wait_for(None)
            return
        at_work = [supervisor for supervisor in self._team if not supervisor.is_paused]
        self._jobs.wait_for((at_work or self._team)[0].waiting_for)


def _service_state(workers: tuple[WorkerHealth, ...]) -> ServiceState:
    states = {worker.state for worker in workers}
    if states == {WorkerStatus.PAUSED}:
        return ServiceState.PAUSED
    if states <= {WorkerStatus.PAUSED, WorkerStatus.IDLE}:
        return ServiceState.IDLE
    return ServiceState.READY if any(worker.device for worker in workers) else ServiceState.LOADING
