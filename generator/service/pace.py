"""How fast this machine draws, measured over its last steps. Knows neither jobs nor what a step does."""

from collections import deque

# About three pictures: long enough to be steady, short enough to follow a change of model.
MEASURED_STEPS = 100


class Pace:
    """The last steps. Work is counted in pixels, each once a step, since that is what takes time."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque(maxlen=MEASURED_STEPS)

    def note(self, seconds: float, pixels: int) -> None:
        """One step of a picture with that many pixels took ``seconds``."""
        self._steps.append((seconds, pixels))

    @property
    def steps_per_second(self) -> float | None:
        seconds = sum(seconds for seconds, _ in self._steps)
        return len(self._steps) / seconds if seconds > 0 else None

    def eta_s(self, work: int) -> float | None:
        """Seconds that ``work`` pixels will take, each counted once a step; None before anything was measured."""
        done = sum(pixels for _, pixels in self._steps)
        return round(work * sum(seconds for seconds, _ in self._steps) / done, 1) if done else None
