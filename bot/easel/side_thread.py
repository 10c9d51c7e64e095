"""Runs long pure work in a thread, so that the event loop, which is all of maubot's, goes on. Knows no work itself.

The loop gets its turn back within milliseconds, as long as no single call in C takes longer.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from .language import ParseError

T = TypeVar("T")

# Up to here text is read at once, and waits for nobody's long one: even a sheet of a hundred pictures takes 20 ms.
SHORT_CHARS = 200

# The slowest text of the permitted length takes 0.6 s on a virtual machine. The room's other events wait meanwhile.
WITHIN_S = 1.0

TOO_LONG = "That takes me too long to read. Try it with less text."


class SideThread:
    """One piece of work at a time: several threads would each take turns from the event loop."""

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
