"""Time several ways of doing the same in turns, A B A B, so that other load on the machine meets all of them."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from tqdm import tqdm

# A first use builds kernels for a new size and the like, which is not part of a picture's time.
_WARM_UP = 2

Ways = Mapping[str, Callable[[int], object]]


@dataclass
class Taken:
    """The seconds of each turn, and its processor seconds in all threads, which other load changes less."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def warm_up(repeats: int) -> int:
    """The number of turns before the first one that counts."""
    return min(_WARM_UP, repeats)


def in_turns(ways: Ways, *, repeats: int, what: str) -> dict[str, Taken]:
    """Time each way once per turn, and pass it the turn's number; return the times in the order of the turns.

    Each turn begins with another way, so that no way always follows the same one.
    """
    taken, names = {name: Taken() for name in ways}, deque(ways)
    for turn in tqdm(range(-warm_up(repeats), repeats), desc=what, unit="turn"):
        names.rotate(-1)
        for name in names:
            way = ways[name]
            processor = time.process_time()
            seconds = measured(partial(way, turn))
            if turn >= 0:
                taken[name].seconds.append(seconds)
                taken[name].processor.append(time.process_time() - processor)
    return taken


def measured(work: Callable[[], object]) -> float:
    """The seconds until ``work`` is done, on the card too."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Divide turn by turn, so that whatever slows a whole turn down cancels out."""
    return [one / other for one, other in zip(above, below, strict=True)]
