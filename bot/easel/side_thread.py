"""Runs long pure work in a thread, so that the event loop, which is all of maubot's, goes on.

The loop gets its turn back within milliseconds, as long as no single call in C takes longer. There is one thread: two
would each be half as fast, so that work beside a slow one would run out of its own time, and each would take turns from
the event loop. So work that takes too long keeps the thread until it ends, which it does soon, since texts are short
enough. Of those who wait, the shortest text goes first: many long ones hold up no recipe and no button.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from .language import DrawRequest, ParseError, parse_recipe

T = TypeVar("T")

# Up to here text is read at once, and waits for nobody's long one: even a sheet of a hundred pictures takes 20 ms.
SHORT_CHARS = 200

# The slowest text of the permitted length takes 0.6 s on a virtual machine. Its sender's other events wait meanwhile.
WITHIN_S = 1.0

TOO_LONG = "That takes me too long to read. Try it with less text."


class SideThread:
    """Runs one piece of work at a time, that on the fewest characters first."""

    def __init__(self, *, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._is_taken, self._waiting = False, list[int]()
        self._changed = asyncio.Event()

    async def run(self, work: Callable[[], T], *, chars: int) -> T:
        """Return what the work on that many characters returns. Raises ParseError if it takes too long."""
        if chars <= SHORT_CHARS:
            return work()
        await self._turn(chars)
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        thread.add_done_callback(self._ended)
        # Nobody can end a thread.
        await asyncio.wait({thread}, timeout=self._within_s)
        if not thread.done():
            raise ParseError(TOO_LONG)
        return thread.result()

    async def recipe(self, text: str) -> DrawRequest:
        """Return the request of a recipe file. Raises ParseError, also if it takes too long."""
        return await self.run(partial(parse_recipe, text), chars=len(text))

    async def _turn(self, chars: int) -> None:
        """Take the thread when it is free and no shorter text waits for it."""
        self._waiting.append(chars)
        try:
            while self._is_taken or min(self._waiting) < chars:
                await self._changed.wait()
            self._is_taken = True
        finally:
            self._waiting.remove(chars)
            self._notify()

    def _ended(self, thread: "asyncio.Future[T]") -> None:
        self._is_taken = False
        self._notify()
        if not thread.cancelled():
            # Read, so that asyncio does not log an error that nobody waits for any more.
            thread.exception()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
