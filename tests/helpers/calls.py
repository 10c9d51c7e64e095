"""Counts the calls that a piece of work makes, in Python and in C: a measure of its length that no clock disturbs."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from bot.easel.language import ParseError


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of this thread: by name those in Python, together those in C."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls["C"] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def grows(small: int, large: int) -> bool:
    """Whether four times the text takes more than about four times the calls."""
    return large > 5 * small + 1000


def calls_of(read: Callable[[], object]) -> Counter[str]:
    """Count the calls of reading a text, which may end in a refusal."""
    with counted() as calls, suppress(ParseError):
        read()
    return calls
