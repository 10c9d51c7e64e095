"""Pipes between processes: how to send through one without waiting, and a child process at its far end.

Knows neither the messages nor what a child does.
"""

import asyncio
import logging
import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

log = logging.getLogger(__name__)

# "spawn", because a forked copy of the server would share its sockets, and CUDA does not survive a fork.
spawn = multiprocessing.get_context("spawn")

_END = object()


class Writer:
    """Sends through a pipe in a thread: a message may be larger than what a pipe holds, and its reader may hang."""

    def __init__(self, pipe: Connection, name: str) -> None:
        self._pipe = pipe
        self._messages = SimpleQueue[object]()
        self._thread = Thread(target=self._write, name=f"{name} writer", daemon=True)
        self._thread.start()

    def send(self, message: object) -> None:
        """Send a message; after the end it does nothing."""
        self._messages.put(message)

    def end(self) -> None:
        """Wait until everything is sent, or the pipe has ended."""
        self._messages.put(_END)
        self._thread.join()

    def _write(self) -> None:
        try:
            while (message := self._messages.get()) is not _END:
                self._pipe.send(message)
        except OSError as error:
            log.debug("%s: the pipe has ended: %s", self._thread.name, error)  # whoever reads from it says so


class ChildProcess:
    """A child process. ``received`` gets its messages, then ``ended`` is called: both in a thread."""

    def __init__(
        self,
        main: Callable[..., None],
        *arguments: Any,
        name: str,
        received: Callable[[object], None],
        ended: Callable[[], None],
    ) -> None:
        """Call ``main`` in the child with its end of the pipe, the ``arguments`` and the level of the log."""
        self._received, self._ended = received, ended
        self._pipe, far_end = spawn.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self._process = spawn.Process(target=main, args=(far_end, *arguments, level), name=name, daemon=True)
        self._process.start()
        # With our copy of the far end closed, the child's death ends the pipe.
        far_end.close()
        self._writer = Writer(self._pipe, name)
        self.send = self._writer.send
        Thread(target=self._read, name=f"{name} reader", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the process is dead. Returns its exit code, None if it still runs after so long."""
        self._process.join(timeout_s)
        return self._process.exitcode

    def _read(self) -> None:
        """Pass the child's messages on. Runs in a thread, since unpickling a picture takes a while."""
        while True:
            try:
                message = self._pipe.recv()
            except Exception as error:  # the end of the pipe, or bytes that cannot be unpickled, which ends it, too
                log.debug("%s: the pipe has ended: %r", self._process.name, error)
                break
            self._received(message)
        self._writer.end()
        self._pipe.close()
        self._ended()


def caller_in_loop() -> Callable[..., None]:
    """Return a function with which any thread has the running event loop call something."""
    loop = asyncio.get_running_loop()

    def call(function: Callable[..., None], *arguments: object) -> None:
        # In a loop that is closed there is no reader left.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(function, *arguments)

    return call
