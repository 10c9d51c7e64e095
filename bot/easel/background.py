"""Tasks that run beside everything else, each with an owner that ends it. Knows nothing of what they do."""

import asyncio
from collections.abc import Callable, Coroutine
from logging import Logger
from typing import Any

from .bug_log import log_bug
from .sending.send_queue import NotSent

# Runs something in the background until it ends or its owner stops.
Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Background:
    """The tasks of one owner. What goes wrong in them is logged."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel all tasks; return when they have ended."""
        await asyncio.gather(*map(cancelled, self.tasks))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, NotSent):
            self._log.warning(f"{task.get_name()}: {error}")
        else:
            log_bug(self._log, task.get_name(), error)


async def cancelled(task: asyncio.Task[None] | None) -> None:
    """Cancel a task; return when it has ended."""
    if task is not None:
        task.cancel()
        # Not suppressed: a task that is cancelled while it waits here must not go on.
        await asyncio.gather(task, return_exceptions=True)
