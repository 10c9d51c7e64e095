"""Captured calls of the UNet's calls: the same operations on the same shapes, without Python between them.

A call is one to three thousand operations. A large card, and a processor with a small model, compute them faster than
Python launches them. They stay the same operations in the same order, so the pixels do too.

- On a card a call is recorded as a CUDA graph, which launches all of them at once. Source: PyTorch's documentation,
  CUDA semantics, CUDA Graphs.
- On a processor it is traced to TorchScript. torch deprecates that in favour of ``torch.compile``, which needs a C++
  compiler on the household's machine and minutes for each shape. Without it calls go on as they do before the trace.
"""

import logging
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import nn

from generator.engine.deep_cache import UNetInput, UNetOutput
from generator.engine.needs import SPARE_BYTES

log = logging.getLogger(__name__)

# One for every number of drawings at once, guided or not, whole or cached, in a few sizes. The longest unused goes.
MAX_GRAPHS = 32

# A trace takes as long as it saves in a hundred calls; a picture of its kind is often the last one, too.
CALLS_BEFORE_A_TRACE = 50

# A call that takes longer than this is busy with arithmetic, and a trace would hold all that it computes at once.
MOST_TRACED_S = 0.3

# Before it is recorded a call must have chosen its algorithms and workspaces.
_WARM_UP = 2

Call = Callable[[UNetInput], UNetOutput]
Result = TypeVar("Result")


class CapturedGraphs:
    """Captured graphs of one model. Call ``forget`` before moving its weights."""

    def __init__(self) -> None:
        self.is_on = False
        self.calls_before_a_trace = CALLS_BEFORE_A_TRACE
        self.most_traced_s = MOST_TRACED_S
        self.max_graphs = MAX_GRAPHS
        # The last one used is the last one.
        self._replays: dict[Hashable, Call] = {}
        # How often each kind was called; once it has been recorded, or could not be, that is not tried again.
        self._calls: Counter[Hashable] = Counter()
        self._least_s: dict[Hashable, float] = {}
        # All graphs share their memory: what a replay leaves there is copied before the next one.
        self._pool: Any = None

    def __len__(self) -> int:
        return len(self._replays)

    def forget(self) -> None:
        self._replays.clear()
        self._calls.clear()
        self._least_s.clear()
        self._pool = None

    def run(self, kind: Hashable, unet: nn.Module, call: Call, rows: UNetInput) -> UNetOutput:
        """What ``call(rows)`` of that UNet returns. Calls of the same ``kind`` differ in nothing but their rows."""
        if not self.is_on:
            return call(rows)
        key = (kind, *(tensor.shape for tensor in rows.tensors))
        if key not in self._replays:
            self._calls[key] += 1
            if rows.latents.is_cuda and self._calls[key] == 1:
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                self._keep(key, _graph(call, rows, self._pool))
            elif rows.latents.is_cpu and self._calls[key] <= self.calls_before_a_trace:
                return self._timed(key, unet, call, rows)
        replay = self._replays.pop(key, None)
        if replay is None:
            return call(rows)
        self._replays[key] = replay
        return replay(rows)

    def _timed(self, key: Hashable, unet: nn.Module, call: Call, rows: UNetInput) -> UNetOutput:
        """The call itself; the last one before a trace is traced after it."""
        began = time.perf_counter()
        output = call(rows)
        self._least_s[key] = min(time.perf_counter() - began, self._least_s.get(key, math.inf))
        if self._calls[key] == self.calls_before_a_trace and self._least_s[key] < self.most_traced_s:
            self._keep(key, _trace(unet, call, rows))
        return output

    def _keep(self, key: Hashable, replay: Call | None) -> None:
        if replay is None:
            return
        if len(self._replays) == self.max_graphs:
            longest_unused = next(iter(self._replays))
            del self._replays[longest_unused], self._calls[longest_unused]
        self._replays[key] = replay


def _graph(call: Call, rows: UNetInput, pool: Any) -> Call | None:
    # A replay reads and writes the memory that was there when it was recorded.
    own = rows.each(torch.clone)
    captured = capture(lambda: call(own), pool)
    if captured is None:
        return None
    graph, (predicted, kept) = captured

    def replay(rows: UNetInput) -> UNetOutput:
        for ours, given in zip(own.tensors, rows.tensors, strict=True):
            ours.copy_(given)
        graph.replay()
        return predicted.clone(), None if kept is None else kept.clone()

    return replay


def capture(work: Callable[[], Result], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Result] | None:
    """``work`` as a CUDA graph, and where a replay of it leaves its result; it reads what it read this time.

    None where the card has no room: what is recorded has its memory to itself.
    """
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    needed = torch.cuda.memory_reserved() - held
    torch.cuda.empty_cache()
    if needed + SPARE_BYTES > torch.cuda.mem_get_info()[0]:
        return None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = work()
    return graph, result


class _Flat(nn.Module):
    """A call as a trace sees it: it takes and gives nothing but tensors.

    A function's trace, and all weights in it, would stay in memory for as long as the process; a module's goes.
    """

    def __init__(self, unet: nn.Module, call: Call, rows: UNetInput) -> None:
        super().__init__()
        self.unet = unet
        self._call, self._rows = call, rows

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        left = iter(tensors)
        predicted, kept = self._call(self._rows.each(lambda _: next(left)))
        return (predicted,) if kept is None else (predicted, kept)


def _trace(unet: nn.Module, call: Call, rows: UNetInput) -> Call | None:
    """None where it cannot be done."""
    flat = _Flat(unet, call, rows).eval()
    with warnings.catch_warnings():
        # Deprecated, see above; and that Python's decisions are recorded as they fell is what is wanted.
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.trace(flat, tuple(rows.tensors), check_trace=False)  # type: ignore[no-untyped-call]
        # A torch that has left it out; one that cannot follow this call.
        except (AttributeError, RuntimeError, TypeError) as error:
            log.warning("a call of the UNet cannot be traced: %s", error)
            return None

    def replay(rows: UNetInput) -> UNetOutput:
        predicted, *others = traced(*rows.tensors)
        return predicted, others[0] if others else None

    return replay
