"""The jobs on their way to the generator, and whose turn it is to be submitted. Knows neither Matrix nor HTTP."""

import asyncio

from .job import Job


class Line:
    """One person's jobs go in the order in which they came. Jobs that the generator had begun go before all others."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._begun: set[str] = set()
        self._changed = asyncio.Event()

    def join(self, job: Job, *, is_begun: bool = False) -> None:
        """Enter a job, from now until it leaves."""
        self._jobs[job.id] = job
        if is_begun:
            self._begun.add(job.id)

    def leave(self, job_id: str) -> None:
        """Let the others go on: the generator has the job, or it has ended."""
        self._jobs.pop(job_id, None)
        self.let_others_go(job_id)

    def let_others_go(self, job_id: str) -> None:
        """Take from a begun job its place before other people's: something keeps it from being submitted."""
        self._begun.discard(job_id)
        self._changed.set()
        self._changed = asyncio.Event()

    async def turn(self, job: Job) -> None:
        """Wait until no job is before this one."""
        while any(self._is_before(other, job) for other in self._jobs.values()):
            await self._changed.wait()

    def _is_before(self, other: Job, job: Job) -> bool:
        is_begun = job.id in self._begun
        if (other.id in self._begun) != is_begun:
            return not is_begun
        return other.message.sender == job.message.sender and _arrival(other) < _arrival(job)


def _arrival(job: Job) -> tuple[int, str]:
    return job.received_ms, job.id
