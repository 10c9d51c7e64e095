"""The inside of a lane's process: hello, then one drawing after the other, with an ear for Cancel between steps.

Imports nothing heavy itself: the engine does.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import TypeVar

from generator.api import Error
from generator.errors import GeneratorError
from generator.lane import Cancel, Cancelled, Draw, Drawn, Engine, EngineFactory, Failed, Hello, Progress

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def main(pipe: Connection, factory: EngineFactory, log_level: int) -> None:
    """What the process runs."""
    logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")
    # The server decides when a lane ends, also where a terminal or a service manager signals the whole group.
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
    try:
        while True:
            message = pipe.recv()
            # A Cancel that comes when its drawing has just ended is for nobody.
            if isinstance(message, Draw):
                pipe.send(_draw(engines[0], message, pipe))
    except (EOFError, OSError):
        log.info("the server is gone")


def _start(factory: EngineFactory, engines: list[Engine]) -> Hello:
    engines.append(factory())
    return engines[0].hello()


def _draw(engine: Engine, draw: Draw, pipe: Connection) -> Drawn | Cancelled | Failed:
    def steps() -> Drawn | Cancelled:
        drawing = engine.start(draw)
        pipe.send(Progress(0, drawing.steps, engine.models(), engine.memory()))
        while drawing.step < drawing.steps:
            if _cancelled(pipe):
                return Cancelled()
            engine.step(drawing)
            pipe.send(Progress(drawing.step, drawing.steps, engine.models(), engine.memory()))
        return Cancelled() if _cancelled(pipe) else engine.finish(drawing)

    return or_failed(steps)


def or_failed(work: Callable[[], Result]) -> Result | Failed:
    """The result of ``work``, or Failed with a sentence; what is no sentence goes to the log."""
    try:
        return work()
    except GeneratorError as error:
        return Failed(error.error)
    except Exception as error:
        # torch's is known by name, since torch is not imported here.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            log.warning("out of memory: %s", error)
            failed = Failed(_OUT_OF_MEMORY)
        else:
            log.exception("the engine failed")
            failed = Failed(_ENGINE_ERROR)
    # Only here, where the error and the tensors that its traceback held are gone, is there something to free.
    _free_card()
    return failed


def _cancelled(pipe: Connection) -> bool:
    return pipe.poll() and isinstance(pipe.recv(), Cancel)


def _free_card() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        # Raises where the error has lost the card for this process: it ends, and the next drawing gets a new one.
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def _end_with_parent() -> None:
    """A server that was killed cannot tell its lane to end; the card must be free all the same."""
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
