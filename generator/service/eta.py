"""Estimate when work is done, from the speed of this machine's last steps. Knows neither jobs nor what a step does."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from generator.api.types import Recipe

# The steps of about three pictures: enough to be steady, few enough to follow a change.
MEASURED_STEPS = 100


# Not frozen, which would make a sum take twice as long.
@dataclass(slots=True)
class Work:
    """What is left of pictures in a row. Sums of work keep the order. Nobody changes it.

    ``pixels``, by model and tier, counts each pixel once per step, which is what takes time. ``loads`` counts how often
    a model follows another one after the first.
    """

    pixels: Mapping[tuple[str, str], int] = field(default_factory=dict)
    loads: Mapping[str, int] = field(default_factory=dict)
    first: str | None = None
    last: str | None = None

    def __add__(self, after: "Work") -> "Work":
        if after.first is None:
            return self
        if self.first is None:
            return after
        loads = _sum(self.loads, after.loads)
        if after.first != self.last:
            loads = _sum(loads, {after.first: 1})
        return Work(_sum(self.pixels, after.pixels), loads, self.first, after.last)


NO_WORK = Work()


def _sum(one: Mapping[Any, int], other: Mapping[Any, int]) -> Mapping[Any, int]:
    small, large = (one, other) if len(one) < len(other) else (other, one)
    if not small:
        return large
    total = dict(large)
    for key, count in small.items():
        total[key] = total.get(key, 0) + count
    return total


def work_left(recipe: Recipe, *, step: int = 0) -> Work:
    """The work that is left of a picture after ``step`` steps."""
    pixels = max(0, recipe.steps_drawn - step) * recipe.pixels
    return Work({(recipe.model, recipe.tier): pixels}, {}, recipe.model, recipe.model)


class Eta:
    """Speed by model and tier over their last steps, and the time to load each model."""

    def __init__(self) -> None:
        self._steps: defaultdict[tuple[str, str], deque[tuple[float, int]]] = defaultdict(
            lambda: deque(maxlen=MEASURED_STEPS)
        )
        self._seconds_per_pixel: dict[tuple[str, str], float] = {}
        self._latest: deque[float] = deque(maxlen=MEASURED_STEPS)
        self._loads: dict[str, float] = {}
        # Speed with the model and tier of the last step, pixels counted once per step.
        self.pixels_per_second: float | None = None
        # The model that the next picture need not wait for.
        self.loaded: str | None = None

    def note(self, recipe: Recipe, seconds: float, *, steps: int = 1) -> None:
        """Record that ``steps`` steps of this recipe took ``seconds`` of the card's time."""
        kind = recipe.model, recipe.tier
        measured = self._steps[kind]
        measured.extend([(seconds / steps, recipe.pixels)] * steps)
        self._seconds_per_pixel[kind] = sum(took for took, _ in measured) / sum(pixels for _, pixels in measured)
        self._latest.extend([seconds / steps] * steps)
        if self._seconds_per_pixel[kind] > 0:
            self.pixels_per_second = 1 / self._seconds_per_pixel[kind]

    def note_load(self, model: str, seconds: float) -> None:
        """Record that switching to this model took ``seconds``."""
        self._loads[model] = seconds

    @property
    def steps_per_second(self) -> float | None:
        seconds = sum(self._latest)
        return len(self._latest) / seconds if seconds > 0 else None

    def eta_s(self, work: Work) -> float | None:
        """Seconds until the work is done, switches of models included; None if the speed of a part is unknown."""
        if not work.pixels.keys() <= self._seconds_per_pixel.keys():
            return None
        drawing = sum(pixels * self._seconds_per_pixel[kind] for kind, pixels in work.pixels.items())
        loading = sum(count * self._loads.get(model, 0.0) for model, count in work.loads.items())
        if work.first is not None and work.first != self.loaded:
            loading += self._loads.get(work.first, 0.0)
        return round(drawing + loading, 1)


class Speeds:
    """The speeds of all workers that draw now, which share the work that waits."""

    def __init__(self, *etas: Eta) -> None:
        self._etas = dict.fromkeys(etas)

    def join(self, eta: Eta) -> None:
        self._etas[eta] = None

    def leave(self, eta: Eta) -> None:
        self._etas.pop(eta, None)

    @property
    def steps_per_second(self) -> float | None:
        return sum(eta.steps_per_second or 0 for eta in self._etas) or None

    def eta_s(self, before: Work, work: Work) -> float | None:
        """Seconds until the work is done on one of the workers, after they have shared what comes before it.

        Workers whose speed is unknown do not count; None if that are all.
        """
        known = [
            (total_s, work_s)
            for eta in self._etas
            if (total_s := eta.eta_s(before + work)) is not None and (work_s := eta.eta_s(work)) is not None
        ]
        if not known:
            return None
        # A worker that takes twice as long for what comes before does half as much of it.
        before_s = [total_s - work_s for total_s, work_s in known]
        shared_s = 1 / sum(1 / seconds for seconds in before_s) if min(before_s) > 0 else 0
        return round(shared_s + sum(work_s for _, work_s in known) / len(known), 1)
