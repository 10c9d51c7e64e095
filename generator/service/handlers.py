"""The handlers of the API: each turns a request into values, makes one call, and answers."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from generator.api import openapi
from generator.api.capabilities import Capabilities
from generator.api.refusals import refusal
from generator.api.types import (
    HeartbeatEvent,
    JobId,
    JobRequest,
    JobState,
    MaxBytes,
    Picture,
    Recipe,
    Sha256,
    SheetRequest,
)
from generator.errors import Refused
from generator.pictures import encoding
from generator.pictures.image_files import MAX_IMAGE_BYTES, UNREADABLE, too_many_bytes
from generator.pictures.sheets import ComposedSheet, Sheets, sheet_recipes
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.recipes.validation import resolve
from generator.service.dispatcher import Dispatcher
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.stream import JobEvent

# 20 MB over a slow wireless network.
BODY_TIMEOUT_S = 60.0

_JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)
_SHA256: TypeAdapter[str] = TypeAdapter(Sha256)
_MAX_BYTES: TypeAdapter[int] = TypeAdapter(MaxBytes)


class Handlers:
    """One method for each route of `generator.api.openapi`, by name."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        dispatcher: Dispatcher,
        saving: Saving,
        store: PictureStore,
        uploads: Uploads,
        metrics: Metrics,
        capabilities: Callable[[], Capabilities],
        heartbeat_s: float,
    ) -> None:
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._saving = saving
        self._store = store
        self._sheets = Sheets(store)
        self._uploads = uploads
        self._metrics = metrics
        self._capabilities = capabilities
        self._heartbeat_s = heartbeat_s
        self._document = openapi.document()
        # A lock for each job that is being submitted or forgotten: each waits for the other, and cancelling for both.
        self._submitting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # A large photo takes up to a gigabyte while it is decoded, and so does a picture that is made to fit.
        self._decoding = asyncio.Lock()
        # A lock for each requester, so that nobody's requests take all the threads that answer calls.
        self._checking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def health(self, _: web.Request) -> web.Response:
        return _answer(self._dispatcher.health())

    async def capabilities(self, _: web.Request) -> web.Response:
        return _answer(await asyncio.to_thread(self._capabilities))

    async def submit(self, request: web.Request) -> web.Response:
        self._not_draining()
        job_id = _job_id(request)
        try:
            asked = JobRequest.model_validate_json(await _received(request.read()), strict=True)
        except ValidationError as error:
            raise refusal(error) from error
        async with self._submitting.setdefault(job_id, asyncio.Lock()):
            known = self._known(job_id, asked)
            if known is not None:
                return _answer(self._jobs.status(known))
            async with self._checking.setdefault(asked.requester, asyncio.Lock()):
                recipes, pictures = await asyncio.to_thread(self._prepare, job_id, asked)
            job = Job(job_id, asked, recipes, pictures)
            self._jobs.add(job)
        return _answer(self._jobs.status(job), status=201)

    async def keep_image(self, request: web.Request) -> web.Response:
        self._not_draining()
        sha256, data = _parameter(request, "sha256", _SHA256), await _received(_image(request))
        async with self._decoding:
            return _answer(await asyncio.to_thread(self._uploads.keep, sha256, data))

    async def status(self, request: web.Request) -> web.Response:
        return _answer(self._jobs.status(self._job(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        # The client may have dropped its submission in order to cancel the job.
        if submitting := self._submitting.get(request.match_info["id"]):
            async with submitting:
                pass
        job = self._job(request)
        self._dispatcher.cancel(job)
        return _answer(self._jobs.status(job))

    async def events(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        response = web.StreamResponse(headers={"Content-Type": openapi.NDJSON, "Cache-Control": "no-store"})
        await response.prepare(request)
        # A client that hangs up is not an error: it may come back.
        with suppress(ConnectionResetError), self._jobs.watch(job) as stream:
            while True:
                event: JobEvent | HeartbeatEvent | None = HeartbeatEvent()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_s):
                        event = await stream.get()
                if event is None:
                    break
                await response.write(event.model_dump_json().encode() + b"\n")
        return response

    async def picture(self, request: web.Request) -> web.Response:
        return await self._fitting(request, partial(self._store.png, self._picture(request)), openapi.PNG)

    async def thumbnail(self, request: web.Request) -> web.Response:
        return await self._bytes(request, self._store.thumbnail, openapi.JPEG)

    async def recipe(self, request: web.Request) -> web.Response:
        return await self._bytes(request, self._store.recipe, openapi.YAML)

    async def sheet(self, request: web.Request) -> web.Response:
        return _answer((await self._composed(request)).sheet)

    async def sheet_image(self, request: web.Request) -> web.Response:
        asked = self._sheet(request)
        return await self._fitting(request, lambda: self._sheets.compose(*asked).image, openapi.JPEG)

    async def sheet_thumbnail(self, request: web.Request) -> web.Response:
        return web.Response(body=(await self._composed(request)).thumbnail, content_type=openapi.JPEG)

    async def sheet_recipes(self, request: web.Request) -> web.Response:
        return web.Response(body=sheet_recipes(*self._sheet(request)), content_type=openapi.YAML)

    async def forget(self, request: web.Request) -> web.Response:
        job_id = _job_id(request)
        async with self._submitting.setdefault(job_id, asyncio.Lock()):
            job = self._jobs.find(job_id)
            if job is not None and not job.state.is_final:
                raise Refused("not_ended", f"This job is {job.state}; cancel it first.", field="id", value=job_id)
            # A cancelled job may still have a picture that is being written.
            await self._saving.ended()
            await asyncio.to_thread(self._store.forget, job_id)
            self._jobs.forget(job_id)
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        self._not_draining()
        await self._dispatcher.pause(request.query.get("worker"))
        return _answer(self._dispatcher.health())

    async def resume(self, request: web.Request) -> web.Response:
        self._not_draining()
        await self._dispatcher.resume(request.query.get("worker"))
        return _answer(self._dispatcher.health())

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type=openapi.PROMETHEUS, charset="utf-8")

    async def openapi(self, _: web.Request) -> web.Response:
        return web.json_response(self._document)

    # ---- inside

    def _not_draining(self) -> None:
        if self._dispatcher.is_ending:
            raise Refused("draining", "The drawing computer is shutting down.")

    def _job(self, request: web.Request) -> Job:
        job_id = request.match_info["id"]
        job = self._jobs.find(job_id)
        if job is None:
            raise Refused("unknown", "There is no such job here; submit it again.", field="id", value=job_id[:64])
        return job

    def _known(self, job_id: str, asked: JobRequest) -> Job | None:
        job = self._jobs.find(job_id)
        if job is not None and job.request != asked:
            raise Refused("conflict", "There is another job with this id.", field="id", value=job_id)
        return job

    def _prepare(self, job_id: str, asked: JobRequest) -> tuple[tuple[Recipe, ...], tuple[Picture, ...]]:
        """Return the full recipes, and the pictures that are on disk already. Blocks. Raises Refused."""
        here = self._capabilities()
        cards = {card.name: card for card in here.models}
        if asked.sheet and asked.sheet.pictures != len(asked.recipes):
            message = f"The sheet has {asked.sheet.pictures} places, and there are {len(asked.recipes)} recipes."
            raise Refused("invalid", message, field="sheet", value=asked.sheet.pictures, limit=len(asked.recipes))
        sizes = {image: self._uploads.size(image) for image in {recipe.image for recipe in asked.recipes} if image}
        recipes = tuple(
            resolve(
                recipe,
                cards=cards,
                default_model=here.default_model,
                job_id=job_id,
                n=n,
                image_size=sizes.get(recipe.image) if recipe.image else None,
            )
            for n, recipe in enumerate(asked.recipes)
        )
        return recipes, self._store.restore(job_id, recipes)

    def _sheet(self, request: web.Request) -> tuple[SheetRequest, tuple[Picture, ...]]:
        """Return the sheet's request, and all pictures of the job. Raises Refused."""
        job = self._job(request)
        if job.request.sheet is None:
            raise Refused("unknown", "No sheet was asked for with this job.", field="id", value=job.id)
        if job.state is not JobState.DONE:
            raise Refused("not_ended", f"This job is {job.state}; its sheet is there when it is done.", field="id")
        return job.request.sheet, tuple(job.pictures)

    async def _composed(self, request: web.Request) -> ComposedSheet:
        return await asyncio.to_thread(self._sheets.compose, *self._sheet(request))

    def _picture(self, request: web.Request) -> Picture:
        job, n = self._job(request), request.match_info["n"]
        picture = next((picture for picture in job.pictures if str(picture.n) == n), None)
        if picture is None:
            raise Refused("unknown", "This job has no such picture.", field="n", value=n[:8])
        return picture

    async def _bytes(self, request: web.Request, read: Callable[[Picture], bytes], mimetype: str) -> web.Response:
        picture = self._picture(request)
        return web.Response(body=await asyncio.to_thread(read, picture), content_type=mimetype)

    async def _fitting(self, request: web.Request, read: Callable[[], bytes], mimetype: str) -> web.Response:
        """Answer with the file, or with a copy of at most ``max_bytes`` if it is larger than that."""
        max_bytes = _max_bytes(request)
        data = await asyncio.to_thread(read)
        if max_bytes is None or len(data) <= max_bytes:
            return web.Response(body=data, content_type=mimetype)
        async with self._decoding:
            try:
                copy = await asyncio.to_thread(encoding.fitted, data, max_bytes)
            except UNREADABLE as error:
                raise Refused("gone", "This picture cannot be read any more.") from error
        size = {openapi.PICTURE_SIZE: f"{copy.width}x{copy.height}"}
        return web.Response(body=copy.data, content_type=copy.mimetype, headers=size)


async def _received(body: Coroutine[Any, Any, bytes]) -> bytes:
    """Wait for a request's body, but not for ever. Raises Refused."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await body
    except TimeoutError as error:
        raise Refused("too_slow", f"The request did not arrive within {BODY_TIMEOUT_S:g} s.") from error


async def _image(request: web.Request) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_IMAGE_BYTES:
            raise too_many_bytes()
    return bytes(data)


def _job_id(request: web.Request) -> str:
    """Return the job's id, checked, as it becomes part of a file's name. Raises Refused."""
    return _parameter(request, "id", _JOB_ID)


def _parameter(request: web.Request, name: str, kind: TypeAdapter[str]) -> str:
    try:
        return kind.validate_python(request.match_info[name])
    except ValidationError as error:
        raise refusal(error) from error


def _max_bytes(request: web.Request) -> int | None:
    try:
        return _MAX_BYTES.validate_python(request.query["max_bytes"]) if "max_bytes" in request.query else None
    except ValidationError as error:
        raise refusal(error) from error


def _answer(body: BaseModel, *, status: int = 200) -> web.Response:
    return web.Response(body=body.model_dump_json(), status=status, content_type=openapi.JSON)
