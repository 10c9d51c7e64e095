"""Which of the waiting jobs suits a worker best. Knows neither states nor how a job is drawn."""

from collections.abc import Collection, Mapping

from generator.api.types import Recipe
from generator.service.balance import Balance
from generator.service.fair_queue import Place
from generator.service.job import Demand, Job
from generator.service.jobs import Jobs
from generator.service.known_worker import KnownWorker
from generator.workers.messages import Shape


class Suiting:
    """The jobs that suit one worker beside those that it draws: ``running``, which others change."""

    def __init__(self, known: KnownWorker, *, jobs: Jobs, running: Collection[Job]) -> None:
        self._known, self._jobs, self._running = known, jobs, running

    def choose(self, balance: Balance) -> Place | None:
        """The place of the job that this worker should start next; None if all must wait.

        Beside running jobs it must suit them. Alone, jobs for the loaded model come first, within the queue's bounds,
        unless the ``balance`` of models gains if it loads that of the first job.
        """
        able = self._able()
        if self._running:
            shapes = _shape_of_all(self._running)
            return self._jobs.choose(shapes, able=able, only_suiting=True, worker=self._known.name)
        suiting = self._jobs.choose(self._loaded(able), able=able, worker=self._known.name)
        first = self._jobs.first(able)
        if suiting is None or first is None or suiting == first:
            return suiting
        model, other = (self._jobs.at(place).demand.next for place in (suiting, first))
        return first if balance.gains(self._known, model, other) else suiting

    def take(self, place: Place) -> Job:
        """Start the job in this place, with the model of its next picture."""
        job = self._jobs.take(place, self._known.eta, able=self._able(), worker=self._known.name)
        self._known.model = job.demand.next
        return job

    def following(self, at: Mapping[Job, int]) -> Recipe | None:
        """What likely comes after the pictures that running jobs are ``at``: their next ones, or a waiting job's."""
        recipes = [recipe for job, n in at.items() for recipe in job.recipes[n + 1 : n + 2]]
        if not recipes and (place := self._jobs.first(self._loaded(self._able()))):
            recipes = list(self._jobs.at(place).recipes_left[:1])
        return recipes[0] if recipes else None

    def rank(self, job: Job) -> tuple[int, float]:
        """How well it suits a job that it would choose, best first: with the model loaded, beside others, by loading.

        Then by the time that the pictures take.
        """
        how = 1 if self._running else 0 if self._known.has_loaded(job.demand) else 2
        return how, self._known.eta.eta_s(job.work_left) or 0.0

    # ---- inside

    def _able(self) -> list[Demand]:
        """What the worker can draw, of all that was ever asked for."""
        return [demand for demand in self._jobs.demands if self._known.can_draw(demand)]

    def _loaded(self, able: list[Demand]) -> list[Demand]:
        """What it can draw with the model that is loaded."""
        return [demand for demand in able if self._known.has_loaded(demand)]


def _shape_of_all(jobs: Collection[Job]) -> list[Shape]:
    """The one shape that all these jobs have, of which another job can join them; else nothing."""
    shapes = {shape for job in jobs for shape in job.shapes}
    return list(shapes) if len(shapes) == 1 and not any(job.must_be_alone for job in jobs) else []
