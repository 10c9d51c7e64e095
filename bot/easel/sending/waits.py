"""Shows that a job waits: its place on its own sign, and what it waits for in the room's note, if that takes long."""

import asyncio
from contextlib import suppress
from logging import Logger

from ..background import cancelled
from ..bug_log import log_bug
from ..jobs.job import Job
from .room_notes import RoomNotes
from .send_queue import NotSent


class Waits:
    """Reports the waiting of jobs, and its end."""

    def __init__(self, notes: RoomNotes, log: Logger) -> None:
        self._notes, self._log = notes, log
        # The reports under way or sent, by job.
        self._reports: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def begin(self, job: Job, reason: str, *, after_s: float) -> None:
        """Have the room's note say the reason, if the job still waits for it after that time."""
        if job.id in self._reports:
            known, report = self._reports[job.id]
            if known == reason:
                return
            report.cancel()
        report = asyncio.create_task(self._report(job, reason, after_s), name=f"note on {job.id}")
        self._reports[job.id] = reason, report

    async def end(self, job: Job, *, goes_on: bool = False) -> None:
        """The job waits no more; ``goes_on`` if another waits in its place, and ends the note."""
        _, report = self._reports.pop(job.id, ("", None))
        await cancelled(report)
        with suppress(NotSent):
            await self._notes.over(job, goes_on=goes_on)

    async def stop(self) -> None:
        """Leave the notes as they are, for the next process."""
        reports = [report for _, report in self._reports.values()]
        self._reports.clear()
        await asyncio.gather(*map(cancelled, reports))

    async def _report(self, job: Job, reason: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            await self._notes.wait(job, reason)
        except NotSent as error:
            self._log.warning(f"{job.id}: no note on its waiting: {error}")
        except Exception as error:
            log_bug(self._log, f"the note on {job.id}", error)
