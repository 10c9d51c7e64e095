"""How many events the homeserver takes: set by hand, or learned from its refusals. Knows neither events nor people."""

import time
from collections.abc import Callable

from ..settings import Settings

# Synapse's default, after its burst: one event in five seconds.
USUAL_PER_SECOND = 0.2

# A homeserver that refused an event is taken for as strict as Synapse until none was refused for this time. Then the
# next event tries again, which costs no more than a refusal.
QUIET_S = 600.0

# An event that may go within this time, by Synapse's count, waits for that: a refusal, which Synapse holds back for
# half a second, would take longer.
NEAR_S = 1.0

# So many events beyond what Synapse would take by then show that a homeserver has no such limit. One could be an error
# of counting.
BEYOND = 3


class RateLimit:
    """A known limit: ``burst`` events at once, ``per_second`` after that; 0 means no limit."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float]) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._room, self._counted_at, self._closed_until = float(burst), clock(), clock()

    def room(self) -> float:
        """How many events may go now; progress and offers leave what open jobs need."""
        return self._counted()

    def wait_s(self) -> float:
        """How long until one more may go."""
        room = self._counted()
        if self._clock() < self._closed_until:
            return self._closed_until - self._clock()
        return 0.0 if room >= 1 else (1 - room) / self._per_second

    def take(self) -> None:
        """Count an event that is going to be sent."""
        self._room = max(0.0, self._counted() - 1) if self._per_second else self._room

    def give_back(self) -> None:
        """Count an event as not sent."""
        self._room = min(self._burst, self._counted() + 1)

    def accepted(self) -> None:
        """Note that the homeserver took an event."""

    def close(self, for_s: float) -> None:
        """Allow no event for a while, then one at a time: the homeserver counts differently than we do."""
        # Another event may have been told to wait for longer.
        self._closed_until = max(self._closed_until, self._clock() + for_s)
        self._counted_at, self._room = self._closed_until, 1.0

    def pause_s(self) -> float:
        """How long to wait if the homeserver gives no time: the time that one event takes."""
        return 1 / self._per_second if self._per_second else 5.0

    def _counted(self) -> float:
        now = self._clock()
        if now < self._closed_until:
            return 0.0
        if not self._per_second:
            return float("inf")
        self._room = min(self._burst, self._room + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        return self._room


class LearnedLimit(RateLimit):
    """A limit that the homeserver's answers tell.

    Events go at once. After a refusal, Synapse's usual limit holds until the homeserver has been quiet. Progress and
    offers keep to that limit from the start, so that they never cost a picture its place, until more events arrived
    than it allows.
    """

    def __init__(
        self, burst: int, clock: Callable[[], float], *, per_second: float = USUAL_PER_SECOND, quiet_s: float = QUIET_S
    ) -> None:
        super().__init__(burst, per_second, clock)
        self._quiet_s, self._strict_until, self._is_free = quiet_s, clock(), False
        # What Synapse would still take, and a little more.
        self._arriving = RateLimit(burst + BEYOND, per_second, clock)

    def room(self) -> float:
        return float("inf") if self._is_free else self._counted()

    def wait_s(self) -> float:
        wait_s = super().wait_s()
        return wait_s if self._is_strict() or (wait_s < NEAR_S and not self._is_free) else 0.0

    def accepted(self) -> None:
        self._is_free = self._is_free or self._arriving.room() < 1
        self._arriving.take()

    def close(self, for_s: float) -> None:
        super().close(for_s)
        self._is_free, self._strict_until = False, self._closed_until + self._quiet_s

    def _is_strict(self) -> bool:
        return self._clock() < self._strict_until


def limit_of(settings: Settings) -> RateLimit:
    """The limit that the settings ask for."""
    if settings.rate_limit_per_second is None:
        return LearnedLimit(settings.rate_limit_burst, time.monotonic)
    return RateLimit(settings.rate_limit_burst, settings.rate_limit_per_second, time.monotonic)
