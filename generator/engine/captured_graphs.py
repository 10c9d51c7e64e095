"""Captured graphs of the UNet's calls: the same operations on the same shapes, without Python between them.

A call is one to three thousand operations. A large card, or a processor with a small model, computes them faster than
Python launches them. A captured graph runs the same operations in the same order, so the pixels stay the same.

- On a card a call is captured as a CUDA graph, which launches all operations at once. Source: PyTorch's documentation,
  CUDA semantics, CUDA Graphs.
- On a processor it is traced to TorchScript. torch deprecates that in favour of ``torch.compile``, which needs a C++
  compiler on the household's machine and minutes for each shape. Where tracing fails, calls go on without a graph.
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

# Enough for every number of drawings at once, guided or not, whole or cached, in a few sizes. The least recently used
# graph makes room.
MAX_GRAPHS = 32

# A trace costs as much as it saves in a hundred calls, and the first picture of a kind is often the last one, too.
CALLS_BEFORE_A_TRACE = 50

# A longer call is busy with arithmetic, and its trace would hold all intermediate results in memory at once.
MOST_TRACED_S = 0.3

# A call must have chosen its algorithms and workspaces before it is captured.
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
        # Ordered by use, the most recent last.
        self._replays: dict[Hashable, Call] = {}
        # How often each kind was called. A capture is tried once, whether it succeeds or not.
        self._calls: Counter[Hashable] = Counter()
        self._least_s: dict[Hashable, float] = {}
        # All graphs share this memory, so a replay's result is copied before the next replay.
        self._pool: Any = None

    def __len__(self) -> int:
        return len(self._replays)

    def forget(self) -> None:
        self._replays.clear()
        self._calls.clear()
        self._least_s.clear()
        self._pool = None

    def run(self, kind: Hashable, unet: nn.Module, call: Call, rows: UNetInput) -> UNetOutput:
        """Return ``call(rows)``, by a captured graph if possible. Calls of one ``kind`` differ only in their rows."""
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
        """Run and time the call; trace it once it was called often enough and is short."""
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
    # A replay reads and writes the memory of its capture.
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
    """Capture ``work`` as a CUDA graph; return it with the result, whose memory each replay overwrites.

    A replay reads the same memory as ``work`` does now. Returns None if the card has no room: a captured graph has
    its memory to itself.
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
    """A call in the form that can be traced: it takes and returns only tensors.

    A module, since the trace of a function would keep all its weights in memory until the process ends. It has the
    UNet's weights as its own, without the UNet: torch scripts each module that it finds, which takes longer than the
    trace.
    """

    def __init__(self, unet: nn.Module, call: Call, rows: UNetInput) -> None:
        super().__init__()
        for number, parameter in enumerate(unet.parameters()):
            self.register_parameter(f"parameter_{number}", parameter)
        for number, buffer in enumerate(unet.buffers()):
            self.register_buffer(f"buffer_{number}", buffer)
        self._call, self._rows = call, rows

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        left = iter(tensors)
        predicted, kept = self._call(self._rows.each(lambda _: next(left)))
        return (predicted,) if kept is None else (predicted, kept)


def _trace(unet: nn.Module, call: Call, rows: UNetInput) -> Call | None:
    """Trace the call to TorchScript; None if torch cannot."""
    flat = _Flat(unet, call, rows).eval()
    with warnings.catch_warnings():
        # torch warns that tracing is deprecated (see above), and that it fixes Python's decisions, which is intended.
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.trace(flat, tuple(rows.tensors), check_trace=False)  # type: ignore[no-untyped-call]
        # This torch has dropped tracing, or cannot follow the call.
        except (AttributeError, RuntimeError, TypeError) as error:
            log.warning("a call of the UNet cannot be traced: %s", error)
            return None

    def replay(rows: UNetInput) -> UNetOutput:
        predicted, *others = traced(*rows.tensors)
        return predicted, others[0] if others else None

    return replay
