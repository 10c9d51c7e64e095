"""Runs long pure work in a thread, so that the event loop goes on: it is all of maubot's. Knows no work itself."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from .language import ParseError

T = TypeVar("T")

# Less than a hundred pictures of this text are read within a few milliseconds: such work need not wait for its turn.
SHORT_CHARS = 200

# Longer than the slowest text of the permitted length takes on a small machine.
WITHIN_S = 1.0

TOO_LONG = "That takes me too long to read. Try it with less text."


class SideThread:
    """One piece of work at a time, so that its threads take no turns from the event loop."""

    def __init__(self, *, within_s: float = WITHIN_S) -> None:
        self._turn, self._within_s = asyncio.Lock(), within_s

    async def run(self, work: Callable[[], T], *, chars: int) -> T:
        """Return what the work on that many characters returns. Raises ParseError if it takes too long."""
        if chars <= SHORT_CHARS:
            return work()
        await self._turn.acquire()
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        thread.add_done_callback(self._ended)
        # Nobody can end a thread: work that takes too long keeps the turn.
        await asyncio.wait({thread}, timeout=self._within_s)
        if not thread.done():
            raise ParseError(TOO_LONG)
        return thread.result()

    def _ended(self, thread: "asyncio.Future[T]") -> None:
        self._turn.release()
        if not thread.cancelled():
            # Read, so that asyncio does not log an error that nobody waits for any more.
            thread.exception()
