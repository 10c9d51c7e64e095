"""CUDA graphs: a call of the UNet, recorded once for its shapes and replayed from then on.

A call is some 2,800 operations. A large card computes them faster than Python can launch them one after the other, and
a replay launches all of them at once. They stay the same operations, so the pixels do too.
Source: PyTorch's documentation, CUDA semantics, CUDA Graphs.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch

from generator.drawing.deep_cache import UNetInput, UNetOutput
from generator.drawing.needs import SPARE_BYTES

# One for every number of drawings at once, guided or not, whole or cached, in a few sizes. The first one goes.
MAX_RECORDINGS = 32

# Before it is recorded a call must have chosen its algorithms and workspaces.
_WARM_UP = 2

Call = Callable[[UNetInput], UNetOutput]


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    # A replay reads and writes the memory that was there when it was recorded.
    rows: UNetInput
    output: UNetOutput


class Graphs:
    """The recordings of one model. They hold where its weights are: whoever moves those calls ``forget``."""

    def __init__(self) -> None:
        self.is_on = False
        self._recordings: dict[Hashable, _Recording] = {}
        # All recordings share their memory: what a replay leaves there is copied before the next one.
        self._pool: Any = None
        # Those that had no room when they were tried.
        self._refused: set[Hashable] = set()

    def forget(self) -> None:
        self._recordings.clear()
        self._refused.clear()
        self._pool = None

    def run(self, kind: Hashable, call: Call, rows: UNetInput) -> UNetOutput:
        """What ``call(rows)`` returns. Calls of the same ``kind`` differ in nothing but their rows."""
        key = (kind, *(tensor.shape for tensor in rows.tensors))
        if not self.is_on or key in self._refused:
            return call(rows)
        if key not in self._recordings:
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            recording = _record(call, rows, self._pool)
            if recording is None:
                self._refused.add(key)
                return call(rows)
            if len(self._recordings) == MAX_RECORDINGS:
                del self._recordings[next(iter(self._recordings))]
            self._recordings[key] = recording
        recording = self._recordings[key]
        for own, given in zip(recording.rows.tensors, rows.tensors, strict=True):
            own.copy_(given)
        recording.graph.replay()
        predicted, kept = recording.output
        return predicted.clone(), None if kept is None else kept.clone()


def _record(call: Call, rows: UNetInput, pool: Any) -> _Recording | None:
    """None where the card has no room: what is recorded has its memory to itself."""
    own = rows.each(torch.clone)
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            call(own)
    torch.cuda.current_stream().wait_stream(aside)
    needed = torch.cuda.memory_reserved() - held
    torch.cuda.empty_cache()
    if needed + SPARE_BYTES > torch.cuda.mem_get_info()[0]:
        return None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        output = call(own)
    return _Recording(graph, own, output)
