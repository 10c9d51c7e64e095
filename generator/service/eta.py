"""Estimate when work is done, from the speed of this machine's last steps. Knows neither jobs nor what a step does."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from generator.api.types import Recipe

# The steps of about three pictures: enough to be steady, few enough to follow a change.
MEASURED_STEPS = 100


@dataclass(frozen=True)
class Work:
    """What is left of a picture: ``pixels`` counts each pixel once per step, which is what takes time."""

    model: str
    tier: str
    pixels: int


def work_left(recipe: Recipe, *, step: int = 0) -> Work:
    """The work that is left of a picture after ``step`` steps."""
    return Work(recipe.model, recipe.tier, max(0, recipe.steps_drawn - step) * recipe.pixels)


class Eta:
    """Speed by model and tier over their last steps, and the time to load each model."""

    def __init__(self) -> None:
        self._steps: defaultdict[tuple[str, str], deque[tuple[float, int]]] = defaultdict(
            lambda: deque(maxlen=MEASURED_STEPS)
        )
        self._latest: deque[float] = deque(maxlen=MEASURED_STEPS)
        self._loads: dict[str, float] = {}
        # The model that the next picture need not wait for.
        self.loaded: str | None = None

    def note(self, recipe: Recipe, seconds: float, *, steps: int = 1) -> None:
        """Record that ``steps`` steps of this recipe took ``seconds`` of the card's time."""
        self._steps[recipe.model, recipe.tier].extend([(seconds / steps, recipe.pixels)] * steps)
        self._latest.extend([seconds / steps] * steps)

    def note_load(self, model: str, seconds: float) -> None:
        """Record that switching to this model took ``seconds``."""
        self._loads[model] = seconds

    @property
    def steps_per_second(self) -> float | None:
        seconds = sum(self._latest)
        return len(self._latest) / seconds if seconds > 0 else None

    def eta_s(self, work: Iterable[Work]) -> float | None:
        """Seconds until all of the work is done; None if the speed of a part is unknown."""
        etas = self.etas_s([tuple(work)])
        return etas[0]

    def etas_s(self, queue: Iterable[Iterable[Work]]) -> list[float | None]:
        """Seconds until each job's work in a queue is done, switches of models included; None as in ``eta_s``."""
        total: float | None = 0.0
        loaded, etas = self.loaded, list[float | None]()
        for job in queue:
            for work in job:
                rate = self._seconds_per_pixel(work)
                load = self._loads.get(work.model, 0.0) if work.model != loaded else 0.0
                total = None if total is None or rate is None else total + load + rate * work.pixels
                loaded = work.model
            etas.append(None if total is None else round(total, 1))
        return etas

    def _seconds_per_pixel(self, work: Work) -> float | None:
        steps = self._steps.get((work.model, work.tier), ())
        done = sum(pixels for _, pixels in steps)
        return sum(seconds for seconds, _ in steps) / done if done else None
