"""A worker in a child process, so that killing it frees the card at once, whatever it is doing.

This is the server's half, which runs on the event loop and never waits for the card; the child's half is
`generator.workers.child`.
"""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread
from types import MappingProxyType

from generator.workers import child
from generator.workers.conversation import ConversingWorker, Inbox
from generator.workers.messages import Cancel, Draw, EngineFactory, Help, Meet, Prepare, Worker

log = logging.getLogger(__name__)

# "spawn", because a forked copy of the server would share its sockets, and CUDA does not survive a fork.
_spawn = multiprocessing.get_context("spawn")

# How long a child that has closed its pipe may take to free the card and exit, before it is killed.
EXIT_TIMEOUT_S = 5.0


class Child:
    """One child process with an engine. ``received`` gets its messages, then ``ended`` is called: both in a thread."""

    def __init__(
        self,
        factory: EngineFactory,
        environment: Mapping[str, str],
        *,
        received: Callable[[object], None],
        ended: Callable[[], None],
    ) -> None:
        self._received, self._ended = received, ended
        self._pipe, far_end = _spawn.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self._process = _spawn.Process(
            target=child.main, args=(far_end, factory, environment, level), name="easel-worker", daemon=True
        )
        self._process.start()
        # With our copy of the far end closed, the child's death ends the pipe.
        far_end.close()
        self._to_send: SimpleQueue[object] = SimpleQueue()
        self._writer = Thread(target=self._write, name="worker-writer", daemon=True)
        self._writer.start()
        Thread(target=self._read, name="worker-reader", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, message: Draw | Cancel | Prepare | Help | Meet) -> None:
        """Send a message; after the end it does nothing. Never waits for the child, which may hang."""
        self._to_send.put(message)

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        """Wait until the process is dead."""
        self._process.join()

    def ending(self) -> str:
        """Say in a clause how it has ended. Waits for a child that is about to."""
        self._process.join(EXIT_TIMEOUT_S)
        exitcode = self._process.exitcode
        if exitcode is not None and exitcode < 0:
            return f"the drawing process was killed by {signal.Signals(-exitcode).name}"
        return "the drawing process " + ("hung up" if exitcode is None else f"ended by itself with status {exitcode}")

    def _write(self) -> None:
        try:
            while (message := self._to_send.get()) is not None:
                self._pipe.send(message)
        except OSError as error:
            log.debug("the worker has ended: %s", error)  # _read says so

    def _read(self) -> None:
        """Pass the child's messages on. Runs in a thread, since unpickling a picture takes a while."""
        while True:
            try:
                message = self._pipe.recv()
            except Exception as error:  # the end of the pipe, or bytes that cannot be unpickled, which ends it, too
                log.debug("the worker's pipe has ended: %r", error)
                break
            self._received(message)
        self._to_send.put(None)
        self._writer.join()
        self._pipe.close()
        self._ended()


class _LocalChild:
    """The carrier to a child of this process."""

    def __init__(self, factory: EngineFactory, environment: Mapping[str, str], inbox: Inbox) -> None:
        loop = asyncio.get_running_loop()

        def in_loop(call: Callable[[], None]) -> None:
            # In a loop that is closed there is no reader left.
            if not loop.is_closed():
                loop.call_soon_threadsafe(call)

        self.child = Child(
            factory,
            environment,
            received=lambda message: in_loop(lambda: inbox.put(message)),
            ended=lambda: in_loop(inbox.end),
        )
        self.send = self.child.send

    @property
    def is_alive(self) -> bool:
        return self.child.is_alive

    async def ending(self) -> str:
        return await asyncio.to_thread(self.child.ending)

    async def kill(self) -> None:
        self.child.kill()
        await asyncio.to_thread(self.child.wait)


class WorkerProcess(ConversingWorker):
    """A Worker (see `generator.workers.messages`) whose engine runs in a child process, started when needed."""

    def __init__(
        self,
        factory: EngineFactory,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        load_timeout_s: float,
        step_timeout_s: float,
    ) -> None:
        """``environment`` is the child's own, on top of this process's."""
        environment = dict(environment)
        super().__init__(
            lambda inbox: _LocalChild(factory, environment, inbox),
            load_timeout_s=load_timeout_s,
            step_timeout_s=step_timeout_s,
        )

    @property
    def pid(self) -> int | None:
        """The child's process id, or None without a child."""
        return self._child.pid if self._child else None

    def meet(self, name: str, other: Worker, others_name: str) -> None:
        if not isinstance(other, WorkerProcess) or not self._child or not other._child:
            return
        for helps, its_name, helped, helped_name in (
            (self._child, name, other._child, others_name),
            (other._child, others_name, self._child, name),
        ):
            ends = _spawn.Pipe()
            pipe, far_end = (bytes(ForkingPickler.dumps(end)) for end in ends)
            for end in ends:
                end.close()
            helps.send(Help(helped_name, pipe))
            helped.send(Meet(its_name, far_end))

    @property
    def _child(self) -> Child | None:
        return self._carrier.child if isinstance(self._carrier, _LocalChild) else None
