"""A worker in a child process, so that killing it frees the card at once, whatever it is doing.

This is the server's half, which runs on the event loop and never waits for the card; the child's half is
`generator.workers.child`.
"""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from types import MappingProxyType

from generator.api.types import Recipe
from generator.errors import as_exception
from generator.workers import child
from generator.workers.messages import (
    Cancel,
    Draw,
    DrawingEvent,
    EngineFactory,
    Failed,
    Hello,
    Prepare,
    Preview,
    Progress,
    WorkerDied,
    WorkerEvent,
)

log = logging.getLogger(__name__)

# "spawn", because a forked copy of the server would share its sockets, and CUDA does not survive a fork.
_spawn = multiprocessing.get_context("spawn")

# How long a child that has closed its pipe may take to free the card and exit, before it is killed.
EXIT_TIMEOUT_S = 5.0


class _Child:
    """One child process, from its greeting through the events of its drawings, in order, to its end."""

    def __init__(self, factory: EngineFactory, environment: Mapping[str, str]) -> None:
        self._pipe, far_end = _spawn.Pipe()
        self._greeting: asyncio.Queue[object] = asyncio.Queue()
        self._queues: dict[str, asyncio.Queue[object]] = {}
        self._end: _End | None = None
        level = logging.getLogger().getEffectiveLevel()
        self._process = _spawn.Process(
            target=child.main, args=(far_end, factory, environment, level), name="easel-worker", daemon=True
        )
        self._process.start()
        # With our copy of the far end closed, the child's death ends the pipe.
        far_end.close()
        loop = asyncio.get_running_loop()
        Thread(target=self._read, args=(loop,), name="worker-reader", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, message: Draw | Cancel | Prepare) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            log.debug("the worker has ended: %s", error)  # the queues learn it from _read

    @contextmanager
    def events_of(self, drawing_id: str) -> Iterator[asyncio.Queue[object]]:
        """Yield a queue that receives the drawing's events from now on, and the child's end."""
        queue = self._queues[drawing_id] = asyncio.Queue()
        if self._end is not None:
            queue.put_nowait(self._end)
        try:
            yield queue
        finally:
            del self._queues[drawing_id]

    async def greeting(self, timeout_s: float) -> object:
        """Wait for the child's first message. Raises WorkerDied."""
        return await self.next(self._greeting, timeout_s)

    async def next(self, queue: asyncio.Queue[object], timeout_s: float) -> object:
        """Wait for the next message. Raises WorkerDied at the end of the child, and after ``timeout_s`` of silence."""
        try:
            async with asyncio.timeout(timeout_s):
                message = await queue.get()
        except TimeoutError:
            raise WorkerDied(f"the drawing process said nothing for {timeout_s:g} s") from None
        if isinstance(message, _End):
            await asyncio.to_thread(self._process.join, EXIT_TIMEOUT_S)
            raise WorkerDied(f"the drawing process {_ending(self._process.exitcode)}")
        return message

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Carry the child's messages to the event loop. Runs in a thread, since unpickling a picture takes a while."""
        more = True
        while more:
            try:
                message = self._pipe.recv()
            except Exception as error:  # the end of the pipe, or bytes that cannot be unpickled, which ends it, too
                log.debug("the worker's pipe has ended: %r", error)
                message, more = _End(), False
            try:
                loop.call_soon_threadsafe(self._sort, message)
            except RuntimeError:  # the loop is closed, so there is no reader left
                more = False
        self._pipe.close()

    def _sort(self, message: object) -> None:
        """Put a message into the queue it belongs to; drop the events of a drawing without a queue."""
        match message:
            case _End():
                self._end = message
                for queue in (self._greeting, *self._queues.values()):
                    queue.put_nowait(message)
            case DrawingEvent(drawing_id, event):
                if drawing_id in self._queues:
                    self._queues[drawing_id].put_nowait(event)
            case _:
                self._greeting.put_nowait(message)

    async def kill(self) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.join)


class _End:
    """A message to all queues: the pipe has ended."""


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return "hung up" if exitcode is None else f"ended by itself with status {exitcode}"


class WorkerProcess:
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
        self._factory = factory
        self._environment = dict(environment)
        self._load_timeout_s = load_timeout_s
        self._step_timeout_s = step_timeout_s
        self._child: _Child | None = None
        self._hello: Hello | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id, or None without a child."""
        return self._child.pid if self._child else None

    @property
    def is_ready(self) -> bool:
        return self._hello is not None and self._child is not None and self._child.is_alive

    async def hello(self) -> Hello:
        """Start the child if there is none. Raises WorkerDied, and DrawingFailed with the engine's own reason.

        A child that cannot draw has ended by then, so the next call asks a new one.
        """
        async with self._starting:
            if self._hello is None or not self.is_ready:
                await self.close()
                self._hello = await self._start()
            return self._hello

    async def _start(self) -> Hello:
        self._child = child = _Child(self._factory, self._environment)
        try:
            match await child.greeting(self._load_timeout_s):
                case Hello() as hello:
                    return hello
                case Failed(error):
                    raise as_exception(error)
                case other:
                    raise WorkerDied(f"the drawing process began with {type(other).__name__}")
        except BaseException:
            await self.close()
            raise

    async def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
        """Draw one recipe, and yield its events. Closing the iterator before the last event cancels the drawing."""
        await self.hello()
        child = self._child
        assert child is not None
        ended = False
        # The model may have to be loaded before the first step.
        timeout_s = self._load_timeout_s
        with child.events_of(draw.id) as events:
            child.send(draw)
            try:
                while not ended:
                    event = await child.next(events, timeout_s)
                    if not isinstance(event, WorkerEvent):
                        raise WorkerDied(f"the drawing process said {type(event).__name__}, not a worker's message")
                    timeout_s = self._step_timeout_s
                    ended = not isinstance(event, Progress | Preview)
                    yield event
            except WorkerDied:
                # A child that hangs is of no use to the other drawings, either.
                ended = True
                if child is self._child:
                    await self.close()
                raise
            finally:
                if not ended:
                    child.send(Cancel(draw.id))

    def cancel(self, drawing_id: str) -> None:
        if self._child is not None:
            self._child.send(Cancel(drawing_id))

    def prepare(self, recipe: Recipe) -> None:
        if self._child is not None:
            self._child.send(Prepare(recipe))

    async def close(self) -> None:
        child, self._child, self._hello = self._child, None, None
        if child is not None:
            await child.kill()
