"""How the speed of all workers is spread over the models, against the jobs that wait for each."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from generator.service.jobs import Jobs
from generator.service.known_worker import KnownWorker


class Balance:
    """What each model has of all speed, beyond its share: that of its waiting jobs among all of them.

    A model has the speed of the workers that draw with it, or load it to do so. One that has drawn nothing yet counts
    as the mean of the others.
    """

    def __init__(self, team: Iterable[KnownWorker], jobs: Jobs) -> None:
        at_work = [known for known in team if known.model is not None]
        self._usual = fmean([known.eta.pixels_per_second for known in at_work if known.eta.pixels_per_second] or [1.0])
        # Below 0, what the model lacks.
        self._spare = defaultdict[str | None, float](float)
        for known in at_work:
            self._spare[known.model] += self._speed(known)
        speed = sum(self._spare.values())
        for model, waiting in jobs.waiting_by_model().items():
            self._spare[model] -= waiting * speed / jobs.queued

    def gains(self, known: KnownWorker, model: str, other: str) -> bool:
        """Whether both models are nearer to their shares if this worker leaves ``model`` for the ``other``."""
        half = self._speed(known) / 2
        return self._spare[model] > half and self._spare[other] < -half

    def _speed(self, known: KnownWorker) -> float:
        return known.eta.pixels_per_second or self._usual
