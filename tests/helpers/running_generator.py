"""The real generator for tests: the real server and worker process around a small engine."""

import asyncio
import json
import os
import signal
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from generator.api.capabilities import Capabilities, RequestLimits
from generator.api.types import Recipe, Slots
from generator.models.cards import SAMPLERS, TIERS, model_card
from generator.pictures.store import PictureStore
from generator.service.connections import Site, make_runner
from generator.service.server import ADMITTED, create_app
from generator.service.sockets import unix_socket
from generator.workers.messages import EngineFactory
from generator.workers.process import WorkerProcess
from tests.helpers import stand_in
from tests.helpers.bad_engines import Colour, Slow

MAX_QUEUED_JOBS = 5


def stand_in_capabilities() -> Capabilities:
    return Capabilities(
        version="0.1.0",
        default_model=stand_in.NAME,
        models=(model_card(stand_in.NAME, stand_in.stand_in_card(), available=True),),
        samplers=SAMPLERS,
        tiers=TIERS,
        limits=RequestLimits(max_queued_jobs=MAX_QUEUED_JOBS),
    )


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningGenerator:
    """A generator that listens on ``socket``, and a small client of it."""

    socket: Path
    pictures: Path
    workers: Mapping[str, WorkerProcess]
    session: aiohttp.ClientSession
    runner: web.AppRunner
    # Ends it as its process would.
    stop: Callable[[], Awaitable[None]]

    @property
    def worker(self) -> WorkerProcess:
        return next(iter(self.workers.values()))

    async def call(self, method: str, path: str, **more: Any) -> Answer:
        async with self.session.request(method, f"http://easel{path}", **more) as response:
            return Answer(response.status, response.headers, await response.read())

    async def listen(self, listener: sockets.socket) -> None:
        """Listen on another socket as well."""
        await Site(self.runner, listener, self.runner.app[ADMITTED]).start()

    async def submit(
        self,
        job: str,
        subject: str = "otter",
        *,
        requester: str = "@ann:home",
        replaces: str | None = None,
        pictures: int = 1,
        **recipe: Any,
    ) -> Answer:
        recipes = [{"slots": {"subject": [subject]}, "steps": 3, **recipe}] * pictures
        body = {"requester": requester, "recipes": recipes, "replaces": replaces}
        return await self.call("PUT", f"/v1/jobs/{job}", json=body)

    async def events(self, job: str) -> AsyncIterator[dict[str, Any]]:
        """Yield every event until the stream ends."""
        async with self.session.get(f"http://easel/v1/jobs/{job}/events") as response:
            assert response.status == 200
            async for line in response.content:
                yield json.loads(line)

    async def until(self, job: str, wanted: str) -> dict[str, Any]:
        """Return the first event of that name."""
        async for event in self.events(job):
            if event["event"] == wanted:
                return event
        raise AssertionError(f"the stream of {job} ended without {wanted}")

    async def end(self, job: str) -> dict[str, Any]:
        """Return the event that ends the job."""
        return [event async for event in self.events(job)][-1]["job"]

    async def kill_worker(self, name: str | None = None) -> int:
        """Kill the worker, wait until it is dead and return its process id."""
        pid = (self.workers[name] if name else self.worker).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid


async def eventually(check: Callable[[], Awaitable[bool]], *, within_s: float = 60) -> None:
    """Poll for a change that sends no event: a process listens, a signal arrives, an orphan ends."""
    async with asyncio.timeout(within_s):
        # An asyncio.Event cannot cross processes.
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


StartGenerator = Callable[..., Awaitable[RunningGenerator]]


@pytest.fixture
async def start_generator(tmp_path: Path) -> AsyncIterator[StartGenerator]:
    """Start generators around an engine, and stop all at the end."""
    async with AsyncExitStack() as stack:

        async def start(
            engine: EngineFactory | Mapping[str, EngineFactory] = Colour,
            *,
            socket: Path = tmp_path / "generator.sock",
            step_timeout_s: float = 30,
            load_timeout_s: float = 30,
            **options: Any,
        ) -> RunningGenerator:
            engines = engine if isinstance(engine, Mapping) else {"cpu": engine}
            workers = {
                name: WorkerProcess(factory, load_timeout_s=load_timeout_s, step_timeout_s=step_timeout_s)
                for name, factory in engines.items()
            }
            pictures = tmp_path / "pictures"
            defaults = {
                "store": PictureStore(pictures),
                "capabilities": stand_in_capabilities,
                "max_queued_jobs": MAX_QUEUED_JOBS,
            }
            app = create_app(workers=workers, **{**defaults, **options})
            until_stopped = await stack.enter_async_context(AsyncExitStack())
            listener = until_stopped.enter_context(unix_socket(socket, None))
            runner = make_runner(app, last_answers_s=1)
            await runner.setup()
            until_stopped.push_async_callback(runner.cleanup)
            await Site(runner, listener, app[ADMITTED]).start()
            session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)))
            await stack.enter_async_context(session)
            return RunningGenerator(socket, pictures, workers, session, runner, until_stopped.aclose)

        yield start


@pytest.fixture
async def generator(start_generator: StartGenerator) -> RunningGenerator:
    """A generator that draws colours without delay."""
    return await start_generator()


@pytest.fixture
async def slow_generator(start_generator: StartGenerator) -> RunningGenerator:
    """A generator that takes a moment over every step."""
    return await start_generator(Slow)


def recipe_of(**slots: tuple[str, ...]) -> Recipe:
    """A full recipe, for tests that need no generator."""
    return Recipe(
        slots=Slots(**slots),
        negative_prompt="ugly",
        theme="otter",
        model=stand_in.NAME,
        seed=7,
        width=64,
        height=96,
        steps=3,
        guidance_scale=12,
        sampler="unipc",
        tier="exact",
    )
