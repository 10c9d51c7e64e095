"""How fast files are asked for: at once, until the homeserver refuses one. Knows neither files nor people."""

import asyncio
from collections.abc import Callable

# Dendrite allows five requests in half a second to an address, and takes a refused one for a request.
SPACED_S = 0.15

# A homeserver that refused a file keeps its limit; it is tried out again from time to time.
QUIET_S = 600.0


class DownloadPace:
    """Gives turns to downloads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, asyncio.Lock()
        self._next = self._spaced_until = float("-inf")

    async def turn(self) -> None:
        """Wait until a file may be asked for."""
        if self._clock() >= self._spaced_until:
            return
        async with self._lock:
            await asyncio.sleep(self._next - self._clock())
            self._next = max(self._next, self._clock()) + SPACED_S

    def refused(self, wait_s: float) -> None:
        """Note that the homeserver refused a file, and for how long it takes no other."""
        now = self._clock()
        self._next, self._spaced_until = max(self._next, now + wait_s), now + QUIET_S
