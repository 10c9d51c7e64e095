"""Write drawn pictures to disk, each in a thread, while the next ones are drawn. Knows neither the worker nor HTTP."""

import asyncio
import logging
from collections.abc import Callable

from generator.api.types import Picture
from generator.errors import BUG, GeneratorError
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.workers.messages import Drawn

log = logging.getLogger(__name__)


class Saving:
    """Takes drawn pictures to the store, and adds them to their job. A picture that cannot be written fails its job."""

    def __init__(self, *, jobs: Jobs, store: PictureStore, uploads: Uploads) -> None:
        self._jobs, self._store, self._uploads = jobs, store, uploads
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, job: Job, n: int, drawn: Drawn, *, on_failure: Callable[[], None]) -> asyncio.Task[None]:
        """Start writing picture ``n`` of the job. Calls ``on_failure`` after the job has failed because of it."""
        task = asyncio.create_task(self._save(job, n, drawn, on_failure), name=f"save {job.id}/{n}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def ended(self) -> None:
        """Wait until no picture is being written. Cancelling this wait does not cancel the writing."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _save(self, job: Job, n: int, drawn: Drawn, on_failure: Callable[[], None]) -> None:
        try:
            self._jobs.picture(job, await asyncio.to_thread(self._written, job, n, drawn))
            return
        except GeneratorError as failure:
            log.error("job %s: %s", job.id, failure)
            error = failure.error
        except Exception:
            log.exception("job %s: picture %d was not written", job.id, n)
            error = BUG
        self._jobs.fail(job, error)
        on_failure()

    def _written(self, job: Job, n: int, drawn: Drawn) -> Picture:
        recipe = job.recipes[n]
        image = None if recipe.image is None else self._uploads.read(recipe.image)
        return self._store.save(drawn, recipe, job.id, n, image=image)
