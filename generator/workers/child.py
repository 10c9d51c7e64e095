"""The inside of a worker's process: hello, then a step for every drawing, and an ear for the server between steps.

Imports nothing heavy itself: the engine does.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, TypeVar

from generator.api.types import Error
from generator.errors import GeneratorError, is_out_of_memory
from generator.workers.messages import (
    Cancel,
    Cancelled,
    Draw,
    Engine,
    EngineFactory,
    Failed,
    Hello,
    Prepare,
    Preview,
    Progress,
    Said,
    WorkerEvent,
)

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# Nobody looks more often, and whoever is told of each of a hundred short steps takes processor time from the next.
TELL_EVERY_S = 0.25


def main(pipe: Connection, factory: EngineFactory, log_level: int) -> None:
    """What the process runs."""
    logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")
    # The server decides when a worker ends, also where a terminal or a service manager signals the whole group.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    converse(pipe, factory)


def converse(pipe: Connection, factory: EngineFactory) -> None:
    """Say hello, then draw what is asked, until the other end of the pipe is closed."""
    engines: list[Engine] = []
    hello = or_failed(lambda: _start(factory, engines))
    pipe.send(hello)
    if isinstance(hello, Failed):
        return
    table = _Table(engines[0], pipe)
    try:
        while True:
            table.hear()
            table.finish()
            table.step()
    except (EOFError, OSError):
        log.info("the server is gone")


def _start(factory: EngineFactory, engines: list[Engine]) -> Hello:
    engines.append(factory())
    return engines[0].hello()


class _Table:
    """The drawings that are under way, by their ids. What goes wrong with one is told of that one only."""

    def __init__(self, engine: Engine, pipe: Connection) -> None:
        self._engine, self._pipe = engine, pipe
        self._drawings: dict[str, Any] = {}
        # When the progress of each was last told.
        self._told: dict[str, float] = {}

    def hear(self) -> None:
        """See to all that the server has said; with nothing to draw, wait for its next word."""
        while self._pipe.poll(0 if self._drawings else None):
            match self._pipe.recv():
                case Draw() as draw:
                    drawing = or_failed(partial(self._engine.start, draw))
                    if isinstance(drawing, Failed):
                        self._tell(draw.id, drawing)
                    else:
                        self._drawings[draw.id] = drawing
                        self._tell(draw.id, Progress(drawing.step, drawing.steps, self._engine.state()))
                case Prepare(recipe):
                    or_failed(partial(self._engine.prepare, recipe))
                # One that comes when its drawing has just ended is for nobody.
                case Cancel(drawing_id) if drawing_id in self._drawings:
                    self._end(drawing_id, Cancelled())

    def finish(self) -> None:
        """Decode those that have had their last step."""
        for drawing_id, drawing in list(self._drawings.items()):
            if drawing.step >= drawing.steps:
                self._end(drawing_id, or_failed(partial(self._engine.finish, drawing)))

    def step(self) -> None:
        """One step for all. Where that fails each tries alone, so that the others go on."""
        drawings = dict(self._drawings)
        together = or_failed(partial(self._engine.step, list(drawings.values())))
        try_alone = isinstance(together, Failed) and len(drawings) > 1
        state = self._engine.state()
        for drawing_id, drawing in drawings.items():
            stepped = together
            if try_alone:
                # One that had its last step before another failed lacks nothing.
                has_more = drawing.step < drawing.steps
                stepped = or_failed(partial(self._engine.step, [drawing])) if has_more else None
            if isinstance(stepped, Failed):
                self._end(drawing_id, stepped)
                continue
            now = time.monotonic()
            if now - self._told.get(drawing_id, -TELL_EVERY_S) >= TELL_EVERY_S or drawing.step == drawing.steps:
                self._told[drawing_id] = now
                self._tell(drawing_id, Progress(drawing.step, drawing.steps, state))
            if (preview := self._engine.preview(drawing)) is not None:
                self._tell(drawing_id, Preview(preview))

    def _end(self, drawing_id: str, event: WorkerEvent) -> None:
        del self._drawings[drawing_id]
        self._told.pop(drawing_id, None)
        self._tell(drawing_id, event)

    def _tell(self, drawing_id: str, event: WorkerEvent) -> None:
        self._pipe.send(Said(drawing_id, event))


def or_failed(work: Callable[[], Result]) -> Result | Failed:
    """The result of ``work``, or Failed with a sentence; what is no sentence goes to the log."""
    try:
        return work()
    except GeneratorError as error:
        return Failed(error.error)
    except Exception as error:
        if is_out_of_memory(error):
            log.warning("out of memory: %s", error)
            failed = Failed(_OUT_OF_MEMORY)
        else:
            log.exception("the engine failed")
            failed = Failed(_ENGINE_ERROR)
    # Only here, where the error and the tensors that its traceback held are gone, is there something to free.
    _free_card()
    return failed


def _free_card() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        # Raises where the error has lost the card for this process: it ends, and the next drawing gets a new one.
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def _end_with_parent() -> None:
    """A server that was killed cannot tell its worker to end; the card must be free all the same."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


_OUT_OF_MEMORY = Error(
    code="out_of_memory",
    message="The graphics card ran out of memory at this picture. A smaller size needs less.",
    field="width",
)
_ENGINE_ERROR = Error(
    code="engine_error", message="Drawing this picture went wrong; the reason is in the generator's log."
)
