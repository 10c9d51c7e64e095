"""The events that one subscriber has yet to read. Bounded: keeps only the newest of events that replace each other."""

import asyncio
from collections import deque

from generator.api.types import EndEvent, PictureEvent, PositionEvent, PreviewEvent, ProgressEvent, StateEvent

JobEvent = StateEvent | PositionEvent | ProgressEvent | PreviewEvent | PictureEvent | EndEvent


class Stream:
    """Events in order, for one reader. However slow it is, they outnumber the job's pictures by a few at most."""

    def __init__(self) -> None:
        self._events: deque[JobEvent] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, event: JobEvent) -> None:
        if isinstance(event, PositionEvent | ProgressEvent | PreviewEvent):
            self._events = deque(other for other in self._events if type(other) is not type(event))
        self._events.append(event)
        self._changed.set()

    def close(self) -> None:
        """End the stream after the events that were put."""
        self._closed = True
        self._changed.set()

    async def get(self) -> JobEvent | None:
        """Wait for the next event; None at the end of the stream. Cancelling the wait loses no event."""
        while not self._events:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
