"""Notices when the generator is back. Asks only while jobs wait, so that a sleeping machine stays asleep."""

import asyncio
from collections.abc import Awaitable, Callable
from logging import Logger

from .errors import GeneratorError, NotYet

# A generator that restarts is back within seconds; one that wakes, within half a minute.
FIRST_PAUSE_S = 1.0
PAUSE_S = 5.0


class GeneratorWatch:
    """Lets jobs wait until the generator answers, and calls ``wake`` once for each time that it is away."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[object]],
        wake: Callable[[], Awaitable[None]],
        log: Logger,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """``ask`` raises NotYet as long as jobs have to wait."""
        self._ask, self._wake, self._log = ask, wake, log
        self._first_pause_s, self._pause_s = first_pause_s, pause_s
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0
        self._gone = asyncio.Event()
        self.away: NotYet | None = None

    async def until_away(self) -> NotYet:
        """Return when jobs have to wait, with the reason."""
        while self.away is None:
            await self._gone.wait()
        return self.away

    async def until_back(self, error: NotYet) -> None:
        """Return when a job may try again; ``error`` is why it cannot now."""
        self.away = self.away or error
        self._gone.set()
        if self._asking is None:
            self._asking = asyncio.create_task(self._until_it_answers(), name="generator watch")
        asking = self._asking
        self._waiting += 1
        try:
            await asyncio.shield(asking)
        finally:
            self._waiting -= 1
            if not self._waiting:
                asking.cancel()
                self._end(asking)

    async def _until_it_answers(self) -> None:
        try:
            self._log.info(f"Jobs wait for the generator: {self.away!r}, {self.away.__cause__ if self.away else ''!r}")
            await asyncio.sleep(self._first_pause_s)
            asked = 0
            while not await self._answers():
                if not asked:
                    await self._try_to_wake()
                asked += 1
                await asyncio.sleep(self._pause_s)
            self._log.info("The generator is back")
        finally:
            self._end(asyncio.current_task())

    def _end(self, asking: asyncio.Task[None] | None) -> None:
        """Forget this task, as the generator is back or nobody waits. A task that began since is left alone."""
        if self._asking is asking:
            self._asking, self.away = None, None
            self._gone.clear()

    async def _answers(self) -> bool:
        try:
            await self._ask()
        except NotYet as error:
            self.away = error
            return False
        except GeneratorError as error:
            # Each job finds out for itself what that error means.
            self._log.warning(f"The generator answers, but: {error!r}")
        return True

    async def _try_to_wake(self) -> None:
        try:
            await self._wake()
        except OSError as error:
            self._log.warning(f"The magic packet was not sent: {error}")
