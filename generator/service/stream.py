"""What one subscriber has yet to hear. Bounded: of events that replace each other only the newest is kept."""

import asyncio
from collections import deque

from generator.api.types import EndEvent, PictureEvent, PositionEvent, PreviewEvent, ProgressEvent, StateEvent

JobEvent = StateEvent | PositionEvent | ProgressEvent | PreviewEvent | PictureEvent | EndEvent


class Stream:
    """Events in order, for one reader; however slow it is, they are no more than the job has pictures, and a few."""

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
        """After what was put there is nothing more."""
        self._closed = True
        self._changed.set()

    async def get(self) -> JobEvent | None:
        """The next event; None when there will be no more. May be cancelled without losing one."""
        while not self._events:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
