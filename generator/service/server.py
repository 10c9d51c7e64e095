"""The generator as a service: builds its parts, connects them, and runs them until the end of a drain."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from aiohttp import web

from generator.api import limits, openapi
from generator.api.capabilities import Capabilities
from generator.cluster.cluster import Cluster
from generator.cluster.models import Models
from generator.models.registry import KeptCapabilities, capabilities
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.service.access import errors_as_json, guard
from generator.service.connections import Admitted, Site, make_runner
from generator.service.dispatcher import Dispatcher
from generator.service.eta import Speeds
from generator.service.failures import Pauses
from generator.service.handlers import Handlers
from generator.service.jobs import Jobs
from generator.service.malloc import keep_memory_flat
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.sockets import CannotListen, passed_sockets, tcp_socket, unix_socket
from generator.settings import InvalidSettings, Settings, read_token
from generator.workers.cards import cards_of, engine_on
from generator.workers.messages import EngineFactory, Worker
from generator.workers.process import WorkerProcess

log = logging.getLogger(__name__)

# Well below the minute after which proxies and phones give up a silent connection.
HEARTBEAT_S = 10.0

# Pictures are kept for days, so nobody notices an hour.
TIDY_EVERY_S = 3600.0

DISPATCHER = web.AppKey("dispatcher", Dispatcher)
ADMITTED = web.AppKey("admitted", Admitted)


def create_app(
    *,
    workers: Mapping[str, Worker],
    store: PictureStore,
    capabilities: Callable[[], Capabilities],
    max_queued_jobs: int,
    keep_pictures_days: int | None = None,
    pauses: Pauses | None = None,
    cluster: Cluster | None = None,
    token: str | None = None,
    allowed_hosts: tuple[str, ...] = (),
    heartbeat_s: float = HEARTBEAT_S,
) -> web.Application:
    """Build the service around its workers, by name. The app draws from its start, and closes them at its end."""
    metrics = Metrics()
    speeds = Speeds()
    jobs = Jobs(max_queued=max_queued_jobs, speeds=speeds, metrics=metrics)
    # No theme's folder begins with a dot.
    uploads = Uploads(store.folder / ".images")
    saving = Saving(jobs=jobs, store=store, uploads=uploads)
    dispatcher = Dispatcher(
        workers,
        has=cluster.models.draws_here if cluster else lambda _: True,
        jobs=jobs,
        saving=saving,
        uploads=uploads,
        speeds=speeds,
        metrics=metrics,
        pauses=pauses or Pauses(),
    )
    metrics.watch(dispatcher.health)
    handlers = Handlers(
        jobs=jobs,
        dispatcher=dispatcher,
        saving=saving,
        store=store,
        uploads=uploads,
        metrics=metrics,
        capabilities=capabilities,
        heartbeat_s=heartbeat_s,
    )

    async def draw(_: web.Application) -> AsyncIterator[None]:
        await dispatcher.resume()
        yield
        await dispatcher.drain(timeout_s=0)

    async def lead(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(cluster.run(dispatcher), name="cluster") if cluster else None
        yield
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def tidy(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_tidy(jobs, store, uploads, keep_pictures_days), name="tidy")
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def cut_streams(_: web.Application) -> None:
        jobs.close()

    admitted = Admitted()
    app = web.Application(
        client_max_size=limits.MAX_REQUEST_BYTES,
        middlewares=[errors_as_json, guard(token=token, allowed_hosts=allowed_hosts, admitted=admitted)],
    )
    app[DISPATCHER] = dispatcher
    app[ADMITTED] = admitted
    # The last one ends first.
    app.cleanup_ctx.extend([lead, draw, tidy])
    app.on_shutdown.append(cut_streams)
    for route in openapi.ROUTES:
        app.router.add_route(route.method, route.path, getattr(handlers, route.name))
    return app


def serve(settings: Settings, engine: EngineFactory | None = None) -> int:
    """Serve until SIGTERM, SIGINT or a long idle time. A second signal does not wait for running jobs.

    Returns the exit status: 1 after a bug that stops the drawing for good, so that a service manager restarts it.
    """
    keep_memory_flat()
    try:
        workers = {
            card.name: WorkerProcess(
                engine or engine_on(card, settings),
                environment=card.environment,
                load_timeout_s=settings.load_timeout_s,
                step_timeout_s=settings.step_timeout_s,
            )
            for card in cards_of(settings)
        }
        token = read_token(settings.token_file) if settings.tcp_host else None
        cluster = _cluster(settings, engine) if settings.cluster else None
        app = create_app(
            workers=workers,
            store=PictureStore(settings.pictures),
            capabilities=KeptCapabilities(settings, elsewhere=cluster.models.elsewhere if cluster else frozenset),
            cluster=cluster,
            max_queued_jobs=settings.max_queued_jobs,
            keep_pictures_days=settings.keep_pictures_days,
            pauses=Pauses(unload_when_idle_s=_seconds(settings.unload_when_idle_minutes)),
            token=token,
            allowed_hosts=(*settings.tcp_allowed_hosts, settings.tcp_host or "localhost"),
        )
        with ExitStack() as stack:
            listeners = [stack.enter_context(listener) for listener in passed_sockets()]
            if not listeners:
                listeners.append(stack.enter_context(unix_socket(settings.socket, settings.socket_group)))
            if settings.tcp_host is not None:
                listeners.append(stack.enter_context(tcp_socket(settings.tcp_host, settings.tcp_port)))
            exit_when_idle_s = _seconds(settings.exit_when_idle_minutes)
            return asyncio.run(_run(app, listeners, settings.drain_timeout_s, exit_when_idle_s))
    except (CannotListen, InvalidSettings) as error:
        print(error, file=sys.stderr)
        return 1


def _cluster(settings: Settings, engine: EngineFactory | None) -> Cluster:
    """Build what leads the cluster. Raises InvalidSettings."""
    assert settings.cluster is not None
    read_token(settings.cluster.token_file)
    return Cluster(
        settings.cluster,
        Models(settings.pictures / ".machines.json", partial(capabilities, settings)),
        engine=engine,
        load_timeout_s=settings.load_timeout_s,
        step_timeout_s=settings.step_timeout_s,
        drain_timeout_s=settings.drain_timeout_s,
    )


async def _run(
    app: web.Application, listeners: list[socket.socket], drain_timeout_s: float, exit_when_idle_s: float | None
) -> int:
    dispatcher = app[DISPATCHER]
    asked, hurried = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurried if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    runner = make_runner(app)
    await runner.setup()
    try:
        for listener in listeners:
            await Site(runner, listener, app[ADMITTED]).start()
            log.info("listening on %s", listener.getsockname())
        await _first(asked.wait(), dispatcher.broken.wait(), _idle(dispatcher, exit_when_idle_s))
        # While the running jobs end, new ones are still answered: with 503.
        await _first(dispatcher.drain(drain_timeout_s), hurried.wait())
        await dispatcher.drain(timeout_s=0)
    finally:
        await runner.cleanup()
    return 1 if dispatcher.broken.is_set() else 0


async def _idle(dispatcher: Dispatcher, limit_s: float | None) -> None:
    """Return after ``limit_s`` without anything to draw; never without a limit."""
    if limit_s is None:
        await asyncio.Event().wait()
        return
    # Every drawing in between moves the end, and no event marks it.
    while (left_s := limit_s - dispatcher.idle_s()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(left_s)
    log.info("nothing to draw for %g s: the generator ends", limit_s)


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of ``waits`` ends, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _tidy(jobs: Jobs, store: PictureStore, uploads: Uploads, keep_days: int | None) -> None:
    while True:
        steps: list[Callable[[], None]] = [
            partial(uploads.delete_old, but=jobs.uploads_to_keep()),
            store.delete_unfinished,
        ]
        if keep_days is not None:
            steps.append(partial(store.delete_older_than, keep_days))
        for step in steps:
            try:
                await asyncio.to_thread(step)
            except OSError as error:
                # The names of files and folders contain words of the prompt.
                log.warning("old pictures could not be deleted: %s", error.strerror)
                log.debug("%s", error)
        await asyncio.sleep(TIDY_EVERY_S)
