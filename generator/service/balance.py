"""How the speed of all workers is spread over the models, against the jobs that wait for each."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from generator.service.jobs import Jobs
from generator.service.known_worker import KnownWorker

# What a model must have beyond its share to give a worker away, of that worker's speed. With much less, a single worker
# would load a model for every second picture, and nobody with as many models as workers could settle.
KEPT = 0.9


class Balance:
    """For each model: the speed of its workers, minus its share, which is its part of the waiting jobs.

    Its workers draw with it, or load it to do so. A worker that has drawn nothing yet counts as the mean of the others.
    """

    def __init__(self, team: Iterable[KnownWorker], jobs: Jobs) -> None:
        """``team`` are the workers that can draw now."""
        at_work = [known for known in team if known.model is not None]
        self._usual = fmean([known.eta.pixels_per_second for known in at_work if known.eta.pixels_per_second] or [1.0])
        # Below 0 the model lacks speed.
        self._spare = defaultdict[str | None, float](float)
        for known in at_work:
            self._spare[known.model] += self._speed(known)
        speed, waiting = sum(self._spare.values()), jobs.waiting_by_model()
        total = waiting.total()
        for model, count in waiting.items():
            self._spare[model] -= count * speed / total

    def gains(self, known: KnownWorker, model: str, other: str) -> bool:
        """Whether ``model`` keeps its share without this worker, and the ``other`` is nearer to its own with it."""
        speed = self._speed(known)
        return self._spare[model] >= KEPT * speed and self._spare[other] < -speed / 2

    def _speed(self, known: KnownWorker) -> float:
        return known.eta.pixels_per_second or self._usual
