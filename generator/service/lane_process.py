"""A lane in a child process of its own, so that killing it frees the card at once, whatever it is doing.

The server's half runs on the event loop and never waits for the card; the child's half is in
`generator.service.lane_child`.
"""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from threading import Thread

from generator.errors import DrawingFailed
from generator.lane import Cancel, Draw, EngineFactory, Failed, Hello, LaneDied, LaneEvent, Progress
from generator.service import lane_child

log = logging.getLogger(__name__)

# "spawn", because a forked copy of the server would share its sockets, and CUDA does not survive a fork.
_spawn = multiprocessing.get_context("spawn")

# How long a child that has hung up may take to free the card and exit, before it is killed.
LAST_WORDS_S = 5.0


class _Child:
    """One life of the child: what it says, in order, and its end."""

    def __init__(self, factory: EngineFactory) -> None:
        self._pipe, far_end = _spawn.Pipe()
        self._said: asyncio.Queue[object] = asyncio.Queue()
        level = logging.getLogger().getEffectiveLevel()
        self._process = _spawn.Process(
            target=lane_child.main, args=(far_end, factory, level), name="easel-lane", daemon=True
        )
        self._process.start()
        # With our copy of its end closed, the child's death ends the pipe.
        far_end.close()
        loop = asyncio.get_running_loop()
        Thread(target=_read, args=(self._pipe, loop, self._said), name="lane-reader", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, message: Draw | Cancel) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            log.debug("the lane has ended: %s", error)  # listen() says so to whoever waits

    async def listen(self, timeout_s: float) -> Hello | LaneEvent:
        """The next message. Raises LaneDied at the end of the child, and after a silence of ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                said = await self._said.get()
        except TimeoutError:
            raise LaneDied(f"the drawing process said nothing for {timeout_s:g} s") from None
        if isinstance(said, _End):
            await asyncio.to_thread(self._process.join, LAST_WORDS_S)
            raise LaneDied(f"the drawing process {_ending(self._process.exitcode)}")
        if not isinstance(said, Hello | LaneEvent):
            raise LaneDied(f"the drawing process said something that is no word of a lane: {type(said).__name__}")
        return said

    async def kill(self) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.join)


class _End:
    """The pipe has ended."""


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return "hung up" if exitcode is None else f"ended by itself with status {exitcode}"


def _read(pipe: Connection, loop: asyncio.AbstractEventLoop, said: asyncio.Queue[object]) -> None:
    """Carry the child's words to the event loop, until its end. In a thread: a picture takes a while to unpickle."""
    more = True
    while more:
        try:
            message = pipe.recv()
        except Exception as error:  # its end, or bytes from which no object can be made: that is an end, too
            log.debug("the lane's pipe has ended: %r", error)
            message, more = _End(), False
        try:
            loop.call_soon_threadsafe(said.put_nowait, message)
        except RuntimeError:  # the loop is closed: nobody listens any more
            more = False
    pipe.close()


class LaneProcess:
    """A Lane (see `generator.lane`) whose engine lives in a child process, started when it is needed."""

    def __init__(self, factory: EngineFactory, *, load_timeout_s: float, step_timeout_s: float) -> None:
        self._factory = factory
        self._load_timeout_s = load_timeout_s
        self._step_timeout_s = step_timeout_s
        self._child: _Child | None = None
        self._hello: Hello | None = None

    @property
    def pid(self) -> int | None:
        """The child's process, while there is one."""
        return self._child.pid if self._child else None

    @property
    def is_ready(self) -> bool:
        return self._hello is not None and self._child is not None and self._child.is_alive

    async def hello(self) -> Hello:
        """Start the child if none lives. Raises LaneDied, and DrawingFailed when the engine says why it cannot."""
        if self._hello is not None and self.is_ready:
            return self._hello
        await self.close()
        self._child = _Child(self._factory)
        try:
            match await self._child.listen(self._load_timeout_s):
                case Hello() as hello:
                    self._hello = hello
                    return hello
                case Failed(error):
                    raise DrawingFailed(error.code, error.message, value=error.value, choices=error.choices)
                case other:
                    raise LaneDied(f"the drawing process began with {type(other).__name__}")
        finally:
            if self._hello is None:
                await self.close()

    async def run(self, draw: Draw) -> AsyncIterator[LaneEvent]:
        """Draw one recipe. Whoever stops listening before the last event stops the child."""
        await self.hello()
        assert self._child is not None
        self._child.send(draw)
        ended = False
        # A model that is not loaded yet comes before the first step.
        timeout_s = self._load_timeout_s
        try:
            while not ended:
                event = await self._child.listen(timeout_s)
                assert not isinstance(event, Hello)
                timeout_s = self._step_timeout_s
                ended = not isinstance(event, Progress)
                yield event
        finally:
            if not ended:
                await self.close()

    def cancel(self) -> None:
        if self._child is not None:
            self._child.send(Cancel())

    async def close(self) -> None:
        child, self._child, self._hello = self._child, None, None
        if child is not None:
            await child.kill()
