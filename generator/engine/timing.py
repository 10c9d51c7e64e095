"""Time what a device computes. A card goes on computing after a call returns, so whoever times it waits for it."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def finish(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, work: Callable[[], Result]) -> tuple[float, Result]:
    """Do the work; return its seconds and its result."""
    finish(device)
    began = time.perf_counter()
    result = work()
    finish(device)
    return time.perf_counter() - began, result
