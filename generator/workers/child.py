"""The inside of a worker's process: say hello, then step every drawing and read the server's messages between steps.

Imports nothing heavy itself: the engine does. Knows neither jobs nor requesters.
"""

import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing import ProcessError, parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, TypeVar

from generator.api.types import Error
from generator.errors import ENGINE_ERROR, GeneratorError, is_out_of_memory
from generator.log_lines import start_log
from generator.workers.assistance import Assistant, Guests, Line
from generator.workers.messages import (
    Cancel,
    Cancelled,
    Draw,
    DrawingEvent,
    Engine,
    EngineFactory,
    Failed,
    Help,
    Meet,
    Prepare,
    Preview,
    Progress,
    WorkerEvent,
)

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# Nobody looks more often, and a report of each of a hundred short steps takes processor time from the next.
REPORT_EVERY_S = 0.25


def main(pipe: Connection, factory: EngineFactory, environment: Mapping[str, str], log_level: int) -> None:
    """Run the worker's process. The ``environment`` names its card, for the libraries that are yet to be imported."""
    os.environ.update(environment)
    start_log(log_level)
    # The server alone decides when a worker ends, even if a terminal or a service manager signals the whole group.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    converse(pipe, factory)


def converse(pipe: Connection, factory: EngineFactory) -> None:
    """Send a greeting, then draw on request until the other end of the pipe is closed."""
    engine = or_failed(factory)
    hello = engine if isinstance(engine, Failed) else or_failed(engine.hello)
    pipe.send(hello)
    if isinstance(engine, Failed) or isinstance(hello, Failed):
        return
    table = _Table(engine, pipe)
    try:
        while True:
            table.hear()
            table.finish()
            table.step()
    except (EOFError, OSError):
        log.info("the server is gone")


class _Table:
    """The drawings that are under way, by their ids. The failure of one ends that one only."""

    def __init__(self, engine: Engine, pipe: Connection) -> None:
        self._engine, self._pipe = engine, pipe
        self._guests = Guests(engine.can_assist, self._assist)
        self._drawings: dict[str, Any] = {}
        # When the progress of each was last reported.
        self._reported_at: dict[str, float] = {}

    def hear(self) -> None:
        """Handle the server's messages; with nothing to draw, help others until the next one."""
        while True:
            if not self._drawings:
                self._guests.help_until(self._pipe)
            elif not self._pipe.poll(0):
                return
            match self._pipe.recv():
                case Draw() as draw:
                    self._guests.leave()
                    drawing = or_failed(partial(self._engine.start, draw))
                    if isinstance(drawing, Failed):
                        self._send(draw.id, drawing)
                    else:
                        self._drawings[draw.id] = drawing
                        self._send(draw.id, Progress(drawing.step, drawing.steps, self._engine.state()))
                case Prepare(recipe):
                    or_failed(partial(self._engine.prepare, recipe))
                case Help(name, pipe) if line := _opened(pipe):
                    self._guests.add(name, line)
                case Meet(name, pipe) if line := _opened(pipe):
                    self._engine.add_assistant(name, Assistant(line))
                # The drawing may have ended just before the request arrived.
                case Cancel(drawing_id) if drawing_id in self._drawings:
                    self._end(drawing_id, Cancelled())

    def _assist(self, weights: str, work: Any) -> Any:
        result = or_failed(partial(self._engine.assist, weights, work))
        return None if isinstance(result, Failed) else result

    def finish(self) -> None:
        """Decode the drawings that have had their last step."""
        for drawing_id, drawing in list(self._drawings.items()):
            if drawing.step >= drawing.steps:
                self._end(drawing_id, or_failed(partial(self._engine.finish, drawing)))

    def step(self) -> None:
        """Step all drawings together. If that fails, step each alone, so that only the faulty ones end."""
        drawings = dict(self._drawings)
        together = or_failed(partial(self._engine.step, list(drawings.values())))
        try_alone = isinstance(together, Failed) and len(drawings) > 1
        state = self._engine.state()
        for drawing_id, drawing in drawings.items():
            stepped = together
            if try_alone:
                # A drawing that had its last step before another one failed needs no further step.
                has_more = drawing.step < drawing.steps
                stepped = or_failed(partial(self._engine.step, [drawing])) if has_more else None
            if isinstance(stepped, Failed):
                self._end(drawing_id, stepped)
                continue
            now = time.monotonic()
            if (
                now - self._reported_at.get(drawing_id, -REPORT_EVERY_S) >= REPORT_EVERY_S
                or drawing.step == drawing.steps
            ):
                self._reported_at[drawing_id] = now
                self._send(drawing_id, Progress(drawing.step, drawing.steps, state))
            if (preview := self._engine.preview(drawing)) is not None:
                self._send(drawing_id, Preview(preview))

    def _end(self, drawing_id: str, event: WorkerEvent) -> None:
        del self._drawings[drawing_id]
        self._reported_at.pop(drawing_id, None)
        self._send(drawing_id, event)

    def _send(self, drawing_id: str, event: WorkerEvent) -> None:
        self._pipe.send(DrawingEvent(drawing_id, event))


def _opened(pipe: bytes) -> Line | None:
    """Open a pipe that the server has sent. Without it this worker draws all the same."""
    try:
        return Line(pickle.loads(pipe))  # noqa: S301 - from the server alone
    except (OSError, EOFError, ProcessError) as error:
        log.warning("there is no way to another worker, to help it or be helped: %r", error)
        return None


def or_failed(work: Callable[[], Result]) -> Result | Failed:
    """Return the result of ``work``, or Failed with a sentence. Logs an error that has no sentence for people."""
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
    # Not before this point: until here the error's traceback held its tensors.
    _free_card()
    return failed


def _free_card() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        # Raises if the error has cost this process the card: it ends, and the next drawing gets a new process.
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def _end_with_parent() -> None:
    """End with the server: one that is killed cannot stop its worker, and the card must become free all the same."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


_OUT_OF_MEMORY = Error(
    code="out_of_memory",
    message="The card ran out of memory. A smaller --size needs less.",
    field="width",
)
_ENGINE_ERROR = Error(
    code=ENGINE_ERROR, message="Something went wrong while I drew this. The drawing computer's log says more."
)
