"""Asks again where another try may help. Knows neither who is asked nor which errors pass."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def patiently(
    ask: Callable[[], Awaitable[T]],
    *,
    pauses_s: Iterable[float],
    passes: Callable[[Exception], bool],
    wanted_s: Callable[[Exception], float | None] = lambda error: None,
) -> T:
    """Ask until there is an answer, with a pause after each error that passes; raise any other error.

    The pause is the one that the error itself asks for, by ``wanted_s``, or else the next of ``pauses_s``.
    """
    for pause_s in pauses_s:
        try:
            return await ask()
        except Exception as error:
            if not passes(error):
                raise
            wait_s = wanted_s(error)
        await asyncio.sleep(pause_s if wait_s is None else wait_s)
    return await ask()
