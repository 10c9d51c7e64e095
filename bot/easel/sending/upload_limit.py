"""How large a file the homeserver takes: what it says, and what a proxy before it has refused. Asks nothing itself."""

from collections.abc import Callable

# What homeservers and proxies are set to; nginx takes 1 MB unless it is told otherwise. A proxy refuses without saying
# its limit, so the next smaller one of these is tried.
USUAL_LIMITS = tuple(int(mb * 2**20) for mb in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.25))

# Some proxies cut a file that is too large off without a word. Once or twice may be a restart.
MOST_CUTS = 3

# Somebody who raises the limit need not restart the bot.
KEPT_S = 3600.0


class UploadLimit:
    """The limit as far as it is known."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known_at: float | None = None
        self.max_bytes: int | None = None

    @property
    def is_known(self) -> bool:
        return self._known_at is not None and self._clock() < self._known_at + KEPT_S

    def said(self, max_bytes: int | None) -> None:
        """Note what the homeserver says; None if it does not."""
        self.max_bytes, self._known_at = max_bytes, self._clock()

    def refused(self, size: int) -> None:
        """Note that a file of that size was refused, whatever the homeserver says."""
        self.max_bytes = next((limit for limit in USUAL_LIMITS if limit < size), USUAL_LIMITS[-1])
        self._known_at = self._clock()

    def is_cut_for_size(self, cuts: int, size: int) -> bool:
        """Whether an upload of that size that was cut off so often is too large; else the line is bad."""
        return cuts >= MOST_CUTS and size > USUAL_LIMITS[-1]

    def takes(self, size: int) -> bool:
        return self.max_bytes is None or size <= self.max_bytes
