"""The server's half of a conversation with a worker: who gets which of its messages, and how long each may take.

Runs on the event loop and never waits for the card. Knows neither how messages travel nor how a worker is ended: its
carrier does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from generator.api.types import Recipe
from generator.errors import as_exception
from generator.workers.messages import (
    Cancel,
    Draw,
    DrawingEvent,
    Failed,
    Hello,
    Prepare,
    Preview,
    Progress,
    Worker,
    WorkerDied,
    WorkerEvent,
)


class Carrier(Protocol):
    """Takes messages to one worker, from its start to its end."""

    @property
    def is_alive(self) -> bool: ...

    def send(self, message: Draw | Cancel | Prepare) -> None:
        """Send a message; after the worker's end it does nothing."""

    async def ending(self) -> str:
        """Say in a clause how the worker has ended."""

    async def kill(self) -> None:
        """End the worker at once, whatever it is doing."""


class _End:
    """A message to all queues: nothing comes any more."""


class Inbox:
    """Puts each message of one worker into the queue that it belongs to."""

    def __init__(self) -> None:
        self.greeting: asyncio.Queue[object] = asyncio.Queue()
        self._queues: dict[str, asyncio.Queue[object]] = {}
        self._has_ended = False

    def put(self, message: object) -> None:
        """Sort in a message; the events of a drawing without a queue are dropped."""
        match message:
            case DrawingEvent(drawing_id, event):
                if drawing_id in self._queues:
                    self._queues[drawing_id].put_nowait(event)
            case _:
                self.greeting.put_nowait(message)

    def end(self) -> None:
        """Tell all queues that nothing comes any more."""
        self._has_ended = True
        for queue in (self.greeting, *self._queues.values()):
            queue.put_nowait(_End())

    @contextmanager
    def events_of(self, drawing_id: str) -> Iterator[asyncio.Queue[object]]:
        """Yield a queue that receives the drawing's events from now on, and the worker's end."""
        queue = self._queues[drawing_id] = asyncio.Queue()
        if self._has_ended:
            queue.put_nowait(_End())
        try:
            yield queue
        finally:
            del self._queues[drawing_id]


class ConversingWorker:
    """A Worker (see `generator.workers.messages`) at the other end of a carrier, started when needed."""

    def __init__(self, start: Callable[[Inbox], Carrier], *, load_timeout_s: float, step_timeout_s: float) -> None:
        """``start`` starts a worker whose messages come into the inbox."""
        self._start_carrier = start
        self._load_timeout_s = load_timeout_s
        self._step_timeout_s = step_timeout_s
        self._carrier: Carrier | None = None
        self._inbox = Inbox()
        self._hello: Hello | None = None
        self._starting = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        return self._hello is not None and self._carrier is not None and self._carrier.is_alive

    async def hello(self) -> Hello:
        """Start the worker if there is none. Raises WorkerDied, and DrawingFailed with the engine's own reason.

        A worker that cannot draw has ended by then, so the next call asks a new one.
        """
        async with self._starting:
            if self._hello is None or not self.is_ready:
                await self.close()
                self._hello = await self._start()
            return self._hello

    async def _start(self) -> Hello:
        self._inbox = inbox = Inbox()
        self._carrier = carrier = self._start_carrier(inbox)
        try:
            match await _next(inbox.greeting, carrier, self._load_timeout_s):
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
        carrier, inbox = self._carrier, self._inbox
        assert carrier is not None
        ended = False
        # The model may have to be loaded before the first step.
        timeout_s = self._load_timeout_s
        with inbox.events_of(draw.id) as events:
            carrier.send(draw)
            try:
                while not ended:
                    event = await _next(events, carrier, timeout_s)
                    if not isinstance(event, WorkerEvent):
                        raise WorkerDied(f"the drawing process said {type(event).__name__}, not a worker's message")
                    timeout_s = self._step_timeout_s
                    ended = not isinstance(event, Progress | Preview)
                    yield event
            except WorkerDied:
                # A worker that hangs is of no use to the other drawings, either.
                ended = True
                if carrier is self._carrier:
                    await self.close()
                raise
            finally:
                if not ended:
                    carrier.send(Cancel(draw.id))

    def cancel(self, drawing_id: str) -> None:
        if self._carrier is not None:
            self._carrier.send(Cancel(drawing_id))

    def prepare(self, recipe: Recipe) -> None:
        if self._carrier is not None:
            self._carrier.send(Prepare(recipe))

    def meet(self, name: str, other: Worker, others_name: str) -> None:
        """Help nobody: pipes end where the machine does."""

    async def close(self) -> None:
        carrier, self._carrier, self._hello = self._carrier, None, None
        if carrier is not None:
            await carrier.kill()


async def _next(queue: asyncio.Queue[object], carrier: Carrier, timeout_s: float) -> object:
    """Wait for the next message. Raises WorkerDied at the end of the worker, and after ``timeout_s`` of silence."""
    try:
        async with asyncio.timeout(timeout_s):
            message = await queue.get()
    except TimeoutError:
        raise WorkerDied(f"the drawing process said nothing for {timeout_s:g} s") from None
    if isinstance(message, _End):
        raise WorkerDied(await carrier.ending())
    return message
