"""Asks again where another try may help. Knows neither who is asked nor which errors pass."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def patiently(
    ask: Callable[[], Awaitable[T]], *, pauses_s: Iterable[float], passes: Callable[[Exception], bool]
) -> T:
    """Ask until there is an answer, with one of the pauses after each error that passes; raise any other error."""
    for pause_s in pauses_s:
        try:
            return await ask()
        except Exception as error:
            if not passes(error):
                raise
        await asyncio.sleep(pause_s)
    return await ask()
