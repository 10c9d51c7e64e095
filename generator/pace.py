"""How fast this machine draws, measured over its last steps. Knows neither jobs nor what a step does."""

from collections import deque

# About three pictures: long enough to be steady, short enough to follow a change of size.
MEASURED_STEPS = 100


class Pace:
    """Seconds a step, averaged over the last ones."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=MEASURED_STEPS)

    def note(self, seconds: float) -> None:
        """One step took ``seconds``."""
        self._seconds.append(seconds)

    @property
    def steps_per_second(self) -> float | None:
        total = sum(self._seconds)
        return len(self._seconds) / total if total > 0 else None

    def eta_s(self, steps: int) -> float | None:
        """Seconds that ``steps`` will take; None before anything was measured."""
        rate = self.steps_per_second
        return None if rate is None else round(steps / rate, 1)
