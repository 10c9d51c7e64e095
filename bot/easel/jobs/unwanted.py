"""Has the generator end jobs and forget files that nobody wants any more. Knows nothing of rooms."""

from contextlib import suppress
from dataclasses import replace

from ..generator.client import GeneratorClient
from ..generator.errors import GeneratorError
from ..generator.watch import GeneratorWatch
from .job import Job
from .store import Store


class Unwanted:
    """What is not wanted at the generator. If that cannot be reached, what it still has is drawn."""

    def __init__(self, generator: GeneratorClient, watch: GeneratorWatch, store: Store) -> None:
        self._generator, self._watch, self._store = generator, watch, store

    async def end(self, job: Job) -> None:
        """End a job, and those in whose place it came."""
        with suppress(GeneratorError):
            if not self._watch.away:
                await self._generator.cancel(job.id)
                await self.end_replaced(job)

    async def end_replaced(self, job: Job) -> None:
        """End the jobs in whose place this one came, one after the other. Raises GeneratorError."""
        while job.replaces:
            await self._generator.cancel(job.replaces)
            job = await self._store.job(job.replaces) or replace(job, replaces=None)

    async def forget_files(self) -> None:
        """Forget the files of removed pictures. If the generator is away, the next job tries again."""
        with suppress(GeneratorError):
            for job_id in await self._store.all_to_forget():
                await self._generator.forget(job_id)
                await self._store.forgotten(job_id)
