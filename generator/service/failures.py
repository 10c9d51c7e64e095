"""Failures of a worker in a row, and how long it rests after them. Knows neither workers nor jobs."""

from dataclasses import dataclass

# One failure may be the picture's fault, and so may two; a third in a row is hardly one's.
MAX_FAILURES = 3


@dataclass(frozen=True)
class Pauses:
    """How long a worker waits for what, in seconds. ``unload_when_idle_s``: never, without it."""

    unload_when_idle_s: float | None = None
    # The time between two tries while another program holds the card's memory; a game takes longer to end.
    busy_s: float = 10.0
    # After MAX_FAILURES; each further failure doubles it, up to the longest.
    rest_s: float = 10.0
    longest_rest_s: float = 600.0


class Failures:
    """How often a worker has failed since its last picture. ``trouble`` is the last failure, in words."""

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self.count = 0
        self.trouble: str | None = None

    def add(self, trouble: str, *, at_least: int = 0) -> None:
        """Count a failure that may be the worker's, as so many ``at_least``."""
        self.count = max(self.count + 1, at_least)
        self.trouble = trouble

    def forget(self) -> None:
        self.count, self.trouble = 0, None

    @property
    def rest_s(self) -> float | None:
        """How long the worker should rest now; None before MAX_FAILURES."""
        further = self.count - MAX_FAILURES
        return None if further < 0 else min(self._pauses.rest_s * 2**further, self._pauses.longest_rest_s)
