"""A worker in a child process of its own, so that killing it frees the card at once, whatever it is doing.

The server's half runs on the event loop and never waits for the card; the child's half is in
`generator.workers.child`.
"""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Thread

from generator.api.types import Recipe
from generator.errors import DrawingFailed
from generator.workers import child
from generator.workers.messages import (
    Cancel,
    Draw,
    EngineFactory,
    Failed,
    Hello,
    Prepare,
    Preview,
    Progress,
    Said,
    WorkerDied,
    WorkerEvent,
)

log = logging.getLogger(__name__)

# "spawn", because a forked copy of the server would share its sockets, and CUDA does not survive a fork.
_spawn = multiprocessing.get_context("spawn")

# How long a child that has hung up may take to free the card and exit, before it is killed.
LAST_WORDS_S = 5.0


class _Child:
    """One life of the child: its greeting, what it says of each drawing, in order, and its end."""

    def __init__(self, factory: EngineFactory) -> None:
        self._pipe, far_end = _spawn.Pipe()
        self._greeting: asyncio.Queue[object] = asyncio.Queue()
        self._said: dict[str, asyncio.Queue[object]] = {}
        self._end: _End | None = None
        level = logging.getLogger().getEffectiveLevel()
        self._process = _spawn.Process(
            target=child.main, args=(far_end, factory, level), name="easel-worker", daemon=True
        )
        self._process.start()
        # With our copy of its end closed, the child's death ends the pipe.
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
            log.debug("the worker has ended: %s", error)  # whoever listens is told

    @contextmanager
    def said_of(self, drawing_id: str) -> Iterator[asyncio.Queue[object]]:
        """What the child says of that drawing from now on."""
        queue = self._said[drawing_id] = asyncio.Queue()
        if self._end is not None:
            queue.put_nowait(self._end)
        try:
            yield queue
        finally:
            del self._said[drawing_id]

    async def greeting(self, timeout_s: float) -> object:
        """The child's first word. Raises WorkerDied."""
        return await self.next(self._greeting, timeout_s)

    async def next(self, queue: asyncio.Queue[object], timeout_s: float) -> object:
        """The next message. Raises WorkerDied at the end of the child, and after a silence of ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                said = await queue.get()
        except TimeoutError:
            raise WorkerDied(f"the drawing process said nothing for {timeout_s:g} s") from None
        if isinstance(said, _End):
            await asyncio.to_thread(self._process.join, LAST_WORDS_S)
            raise WorkerDied(f"the drawing process {_ending(self._process.exitcode)}")
        return said

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Carry the child's words to the event loop, to its end. In a thread: a picture takes a while to unpickle."""
        more = True
        while more:
            try:
                message = self._pipe.recv()
            except Exception as error:  # its end, or bytes from which no object can be made: that is an end, too
                log.debug("the worker's pipe has ended: %r", error)
                message, more = _End(), False
            try:
                loop.call_soon_threadsafe(self._sort, message)
            except RuntimeError:  # the loop is closed: nobody listens any more
                more = False
        self._pipe.close()

    def _sort(self, message: object) -> None:
        """Hand a message to whom it concerns; what is said of a drawing that nobody waits for is for nobody."""
        match message:
            case _End():
                self._end = message
                for queue in (self._greeting, *self._said.values()):
                    queue.put_nowait(message)
            case Said(drawing_id, event):
                if drawing_id in self._said:
                    self._said[drawing_id].put_nowait(event)
            case _:
                self._greeting.put_nowait(message)

    async def kill(self) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.join)


class _End:
    """The pipe has ended."""


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return "hung up" if exitcode is None else f"ended by itself with status {exitcode}"


class WorkerProcess:
    """A Worker (see `generator.workers.messages`) whose engine lives in a child process, started when it is needed."""

    def __init__(self, factory: EngineFactory, *, load_timeout_s: float, step_timeout_s: float) -> None:
        self._factory = factory
        self._load_timeout_s = load_timeout_s
        self._step_timeout_s = step_timeout_s
        self._child: _Child | None = None
        self._hello: Hello | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process, while there is one."""
        return self._child.pid if self._child else None

    @property
    def is_ready(self) -> bool:
        return self._hello is not None and self._child is not None and self._child.is_alive

    async def hello(self) -> Hello:
        """Start the child if none lives. Raises WorkerDied, and DrawingFailed when the engine says why it cannot."""
        async with self._starting:
            if self._hello is None or not self.is_ready:
                await self.close()
                self._hello = await self._start()
            return self._hello

    async def _start(self) -> Hello:
        self._child = child = _Child(self._factory)
        try:
            match await child.greeting(self._load_timeout_s):
                case Hello() as hello:
                    return hello
                case Failed(error):
                    raise DrawingFailed(error.code, error.message, value=error.value, choices=error.choices)
                case other:
                    raise WorkerDied(f"the drawing process began with {type(other).__name__}")
        except BaseException:
            await self.close()
            raise

    async def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
        """Draw one recipe. Whoever stops listening before the last event cancels it."""
        await self.hello()
        child = self._child
        assert child is not None
        ended = False
        # A model that is not loaded yet comes before the first step.
        timeout_s = self._load_timeout_s
        with child.said_of(draw.id) as said:
            child.send(draw)
            try:
                while not ended:
                    event = await child.next(said, timeout_s)
                    if not isinstance(event, WorkerEvent):
                        raise WorkerDied(f"the drawing process said {type(event).__name__}, not a worker's message")
                    timeout_s = self._step_timeout_s
                    ended = not isinstance(event, Progress | Preview)
                    yield event
            except WorkerDied:
                # One that hangs is of no use to the others, either.
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
