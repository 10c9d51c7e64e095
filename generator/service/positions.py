"""Publish the positions of waiting jobs to whoever listens, in a bounded share of the event loop's time."""

import asyncio
from collections.abc import Callable
from itertools import islice

from generator.api.types import PositionEvent
from generator.service.job import Job

# Nobody looks at a position more often.
EVERY_S = 0.25

# A position takes about 0.1 ms. With more listeners than this, the event loop does its other work in between.
AT_A_TIME = 50
BETWEEN_S = 0.02


class Positions:
    """What the listeners of each waiting job know. ``position`` computes the present event; None for other jobs."""

    def __init__(self, position: Callable[[Job], PositionEvent | None]) -> None:
        self._position = position
        # The last event of each job with listeners, without its ETA, which changes all the time.
        self._known: dict[Job, PositionEvent | None] = {}
        self._to_publish: list[Job] = []
        self._has_changed = False
        self._timer: asyncio.Handle | None = None

    def changed(self, *, at_once: bool = False) -> None:
        """Publish all positions that are new soon, or ``at_once``: that is when this turn of the event loop ends."""
        self._has_changed = True
        if at_once:
            self.close()
            self._to_publish = []
        if self._timer is None and self._known:
            self._timer = asyncio.get_running_loop().call_soon(self._publish_some)

    def publish(self, job: Job) -> None:
        """Publish the job's position to its listeners if it is new, and to none of them again."""
        event = self._position(job)
        place = event.model_copy(update={"eta_s": None}) if event else None
        if event is not None and place != self._known.get(job):
            for stream in job.streams:
                stream.put(event)
        self._known[job] = place

    def forget(self, job: Job) -> None:
        """Publish the job's next position even if it is the last one again, as other events came in between."""
        if job in self._known:
            self._known[job] = None

    def left(self, job: Job) -> None:
        """Note that a listener of the job has left."""
        if not job.streams:
            self._known.pop(job, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _publish_some(self) -> None:
        if not self._to_publish:
            self._timer = None
            if not self._has_changed:
                return
            self._to_publish, self._has_changed = list(self._known), False
        for job in islice(self._to_publish, AT_A_TIME):
            if job in self._known:
                self.publish(job)
        del self._to_publish[:AT_A_TIME]
        pause_s = BETWEEN_S if self._to_publish else EVERY_S
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._publish_some)
