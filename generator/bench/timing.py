"""Several ways of doing the same, measured in turns: A B A B, so that what else the machine does meets all of them."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from tqdm import tqdm

# What is built at a first use, such as the kernels for a new size, is no part of a picture's time.
_WARM_UP = 2

Ways = Mapping[str, Callable[[int], object]]


@dataclass
class Taken:
    """Of each turn the seconds, and those of the processor in all threads, which what else runs here changes less."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def warm_up(repeats: int) -> int:
    """How many turns before the first one that counts."""
    return min(_WARM_UP, repeats)


def in_turns(ways: Ways, *, repeats: int, what: str) -> dict[str, Taken]:
    """What each way takes, in the order of the turns. A turn's number is the same for all ways.

    Each turn begins with the next way, so that none always follows the same one.
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
    """Seconds until it is done, on a card as well."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Turn by turn: what slows a whole turn down cancels out."""
    return [one / other for one, other in zip(above, below, strict=True)]
