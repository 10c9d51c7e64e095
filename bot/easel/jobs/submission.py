"""Hands a job to the generator: what to draw, with its photo, in place of the jobs before it. Knows no turns."""

import hashlib
from dataclasses import dataclass, replace
from functools import partial

from ..generator.client import GeneratorClient
from ..generator.errors import Refused
from ..generator.types import ErrorCode
from ..policy.policy import Policy
from ..room.photos import Gone, Photos
from ..side_thread import SideThread
from .body import Draft, with_image
from .job import Job
from .store import Store
from .unwanted import Unwanted


@dataclass(frozen=True)
class Submitted:
    """A job that the generator has, with its body. ``notes`` are sentences of the room's profile for the captions."""

    job: Job
    notes: tuple[str, ...]


class Submission:
    """Builds the body of each job once, and submits it as often as needed."""

    def __init__(
        self,
        *,
        generator: GeneratorClient,
        unwanted: Unwanted,
        store: Store,
        policy: Policy,
        photos: Photos,
        side_thread: SideThread,
    ) -> None:
        self._generator, self._unwanted, self._store = generator, unwanted, store
        self._policy, self._photos, self._side_thread = policy, photos, side_thread

    async def submit(self, job: Job, draft: Draft | None) -> Submitted:
        """Submit a job; ``draft`` is its body, if that is built.

        Raises GeneratorError, ParseError, CannotAsk and NotSent.
        """
        capabilities, answer = await self._generator.capabilities()
        kept = await self._store.job(job.id)
        body = kept.body if kept else None
        if body is None:
            if draft is None or draft.capabilities != capabilities:
                judge = partial(self._policy.body, job, capabilities)
                draft = Draft(await self._side_thread.run(judge, chars=job.asked.chars), capabilities)
            body = draft.body
            if job.photo is not None:
                body = with_image(body, await self._sent_photo(job, job.photo))
            await self._store.keep_body(job.id, body)
        try:
            await self._generator.submit(job.id, body)
        except Refused as error:
            # The generator is another one by now, or its disk is new.
            if error.code != ErrorCode.IMAGE_MISSING or job.photo is None:
                raise
            await self._sent_photo(job, job.photo)
            await self._generator.submit(job.id, body)
        await self._unwanted.end_replaced(job)
        await self._store.keep_capabilities(answer)
        await self._unwanted.forget_files()
        notes = partial(self._policy.notes, job, capabilities)
        said = await self._side_thread.run(notes, chars=job.asked.chars)
        return Submitted(replace(job, body=body), said)

    async def _sent_photo(self, job: Job, photo: str) -> str:
        """Send a job's photo to the generator; return its hash."""
        room_id, event_id = job.message.room_id, photo
        try:
            data = await self._photos.fetch(room_id, event_id)
        except Gone:
            # The room may have it twice.
            other = await self._store.image_event(room_id, job.asked.image or "")
            if other is None:
                raise
            event_id, data = other, await self._photos.fetch(room_id, other)
        sha256 = hashlib.sha256(data).hexdigest()
        await self._generator.send_image(sha256, data)
        await self._store.keep_image(room_id, sha256, event_id)
        return sha256
