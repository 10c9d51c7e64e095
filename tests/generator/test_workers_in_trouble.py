"""Workers that hang, rest, leave or do not start at an unlucky moment: no job is lost, and none goes to and fro."""

import asyncio
import functools
import gc
import weakref
from pathlib import Path

import pytest

from generator.api.types import Error, JobRequest, Picture, RecipeRequest, Slots
from generator.errors import ENGINE_ERROR, CardBusy
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.service.dispatcher import Dispatcher
from generator.service.eta import Speeds
from generator.service.failures import MAX_FAILURES, Pauses
from generator.service.job import Job
from generator.service.jobs import AWAY, Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.service.server import DISPATCHER, _idle
from generator.workers.messages import Failed, WorkerDied
from tests.generator.test_any_use_of_workers import DRAWN, Puppet
from tests.helpers import bad_engines
from tests.helpers.running_generator import eventually, recipe_of


class SlowlyWritten(Saving):
    """Writes each picture once it ``may``."""

    may: asyncio.Event

    async def _save(self, job, n, drawn, on_failure) -> None:
        await self.may.wait()
        self._jobs.picture(job, Picture.model_construct(n=n))


class Service:
    """The queue and the dispatcher over workers that do as the test says."""

    def __init__(self, workers: dict[str, Puppet], **pauses: float) -> None:
        speeds, metrics, folder = Speeds(), Metrics(), Path("/nonexistent")
        self.jobs = Jobs(max_queued=100, speeds=speeds, metrics=metrics)
        self.saving = SlowlyWritten(jobs=self.jobs, store=PictureStore(folder), uploads=Uploads(folder))
        self.saving.may = asyncio.Event()
        self.dispatcher = Dispatcher(
            workers,
            jobs=self.jobs,
            saving=self.saving,
            uploads=Uploads(folder),
            speeds=speeds,
            metrics=metrics,
            pauses=Pauses(**pauses),
        )

    def ask(self, name: str, *, requester: str = "ann", model: str = "large") -> Job:
        recipe = recipe_of(subject=("otter",)).model_copy(update={"model": model})
        request = JobRequest(requester=requester, recipes=(RecipeRequest(slots=Slots(subject=("otter",))),))
        job = Job(name, request, (recipe,), ())
        self.jobs.add(job)
        return job

    def states(self) -> dict[str, str]:
        return {worker.name: worker.state for worker in self.dispatcher.health().workers}


@pytest.fixture
async def serve():
    """Start a service over these workers."""
    services: list[Service] = []

    async def serve(workers: dict[str, Puppet], **pauses: float) -> Service:
        services.append(Service(workers, **pauses))
        await services[-1].dispatcher.resume()
        await turns()
        return services[-1]

    yield serve
    for service in services:
        service.saving.may.set()
        service.jobs.close()


async def turns() -> None:
    """Let everything happen that waits for nothing else."""
    for _ in range(50):
        await asyncio.sleep(0)


# ---- a worker hangs


async def test_a_hanging_worker_does_not_hang_the_server(start_generator):
    """It reads nothing, and each job that comes first is announced to it."""
    generator = await start_generator(bad_engines.Hanging, step_timeout_s=8)
    await generator.submit("bad", "bad", steps=1)
    await generator.until("bad", "progress")
    async with asyncio.timeout(40):
        for n in range(100):
            words = (f"{n % 5} " + "good " * 390)[:1990]
            assert (await generator.submit(f"job-{n}", words)).status == 201
            assert (await generator.call("DELETE", f"/v1/jobs/job-{n}")).status == 200
        assert (await generator.call("GET", "/v1/health")).status == 200


# ---- workers do not start, or rest


async def test_a_job_that_no_worker_starts_for_fails_with_the_reason(serve):
    workers = {"a": Puppet(at_once=1), "b": Puppet(at_once=1)}
    for worker in workers.values():
        worker.starts = False
    service = await serve(workers, rest_s=0.001)
    job = service.ask("one")
    await asyncio.wait_for(_ended(job), 10)
    assert (job.state, job.starts) == ("failed", 2)


async def _ended(job: Job) -> None:
    while not job.state.is_final:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("code", [ENGINE_ERROR, CardBusy.CODE])
async def test_a_job_waits_for_no_other_worker_that_rests(serve, code):
    a, b = workers = Puppet(at_once=1), Puppet(at_once=1)
    service = await serve(dict(zip("ab", workers, strict=True)), rest_s=600, busy_s=600)
    service.saving.may.set()
    jobs = [service.ask("one"), service.ask("two")]
    await turns()
    service.dispatcher._team[1]._failures.count = MAX_FAILURES - 1
    avoided = next(job for job in jobs if job.id in next(iter(a.drawing)))
    a.die()
    await turns()
    assert avoided.state == "queued", "it waits for b, which is at work"
    b.end(Failed(Error(code=code, message="It failed.")))
    await turns()
    if avoided.state != "running":
        # What b had comes first, and is drawn.
        a.end(DRAWN)
        await turns()
    assert avoided.state in ("running", "done")


async def test_a_job_that_is_asked_for_anew_as_its_first_drawing_leaves_the_card_is_another_drawing(serve):
    class Slow(Puppet):
        """Ends a cancelled drawing with its step, not at once."""

        def cancel(self, drawing_id: str) -> None: ...

    worker = Slow(at_once=2)
    service = await serve({"cpu": worker})
    first = service.ask("one")
    await turns()
    service.dispatcher.cancel(first)
    service.jobs.forget("one")
    second = service.ask("one")
    await turns()
    assert second.state == "running"
    assert len(worker.drawing) == 2, "what is said of one is not taken for the other"


# ---- a worker leaves


async def test_a_machine_that_is_lost_while_it_leaves_is_removed_once(serve):
    there = Puppet(at_once=1)
    service = await serve({"cpu": Puppet(at_once=1)})
    await service.dispatcher.join("attic/cpu", there, lambda _: True)
    await turns()
    for n in range(2):
        service.ask(f"job-{n}")
    await turns()
    there.end(DRAWN)
    await turns()
    farewell = asyncio.create_task(service.dispatcher.leave("attic/cpu", patience_s=5))
    await turns()
    lost = asyncio.create_task(service.dispatcher.leave("attic/cpu", died=WorkerDied("lost")))
    await turns()
    service.saving.may.set()
    await asyncio.gather(farewell, lost)
    assert list(service.states()) == ["cpu"]


async def test_nobody_counts_on_a_machine_that_is_leaving(serve):
    service = await serve({"cpu": Puppet(at_once=1)})
    service.dispatcher._team[0].known.has = lambda model: model == "small"
    there = Puppet(at_once=1)
    await service.dispatcher.join("attic/cpu", there, lambda model: model == "large")
    service.ask("drawn")
    await turns()
    waiting = service.ask("waiting")
    with service.jobs.watch(waiting) as stream:
        assert (await stream.get()).job.waiting_for is None
        leaving = asyncio.create_task(service.dispatcher.leave("attic/cpu", patience_s=60))
        await turns()
        assert service.jobs.status(waiting).waiting_for == AWAY
        assert (await asyncio.wait_for(stream.get(), 5)).waiting_for == AWAY
    assert there.drawing, "what is drawn there goes on"
    service.saving.may.set()
    there.end(DRAWN)
    await leaving


async def test_what_was_known_of_a_worker_that_left_is_forgotten(serve):
    service = await serve({"cpu": Puppet(at_once=1)})
    service.saving.may.set()
    await service.dispatcher.pause("cpu")
    there = Puppet(at_once=1)
    await service.dispatcher.join("attic/cpu", there, lambda _: True)
    await turns()
    job = service.ask("one")
    await turns()
    eta = weakref.ref(job.eta)
    there.end(DRAWN)
    await turns()
    assert job.state == "done"
    await service.dispatcher.leave("attic/cpu")
    del there
    await turns()
    gc.collect()
    assert eta() is None


async def test_a_job_that_is_given_back_as_its_worker_leaves_is_given_back_once(serve):
    one, two = Puppet(at_once=1), Puppet(at_once=1)
    service = await serve({"one": one, "two": two}, busy_s=100)
    jobs = [service.ask("first"), service.ask("second")]
    await turns()
    one.end(DRAWN)
    await turns()
    first = next(job for job in jobs if job.id in next(iter(two.drawing)))
    two.end(Failed(Error(code=CardBusy.CODE, message="busy")))

    async def leave_at_that_moment() -> None:
        while first.state == "running":  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert first in service.dispatcher._team[1].running, "its task has just ended"
        await service.dispatcher.leave("two")

    leaving = asyncio.create_task(leave_at_that_moment())
    await turns()
    assert one.drawing, "it is drawn elsewhere"
    service.saving.may.set()
    await leaving
    assert (service.jobs.queued, service.jobs.running) == (0, 1)


async def test_nobody_who_was_served_waits_longer_because_a_machine_is_away(serve):
    worker = Puppet(at_once=1)
    service = await serve({"cpu": worker})
    service.saving.may.set()
    service.dispatcher._team[0].known.has = lambda model: model == "small"
    service.ask("away", requester="cat")
    for n in range(5):
        service.ask(f"drawn-{n}", requester="ann", model="small")
        await turns()
        if n < 4:
            worker.end(DRAWN)
            await turns()
    bobs = [service.ask(f"bob-{n}", requester="bob", model="small") for n in range(4)]
    anns = service.ask("ann", requester="ann", model="small")
    places = [service.jobs.status(job).position for job in (*bobs, anns)]
    assert places == [2, 3, 5, 6, 4]


# ---- pauses and idleness


async def test_a_card_that_was_paused_with_all_stays_paused_when_it_joins_again(serve):
    service = await serve({"cpu": Puppet(at_once=1)})
    await service.dispatcher.join("attic/cpu", Puppet(at_once=1), lambda _: True)
    await service.dispatcher.pause()
    await service.dispatcher.resume("cpu")
    await service.dispatcher.leave("attic/cpu", died=WorkerDied("lost"))
    await service.dispatcher.join("attic/cpu", Puppet(at_once=1), lambda _: True)
    await turns()
    assert service.states()["attic/cpu"] == "paused"


async def test_a_job_says_that_the_only_card_for_it_is_paused(serve):
    service = await serve({"cpu": Puppet(at_once=1)})
    service.dispatcher._team[0].known.has = lambda model: model == "small"
    await service.dispatcher.join("attic/cpu", Puppet(at_once=1), lambda model: model == "large")
    await service.dispatcher.pause("attic/cpu")
    job = service.ask("one")
    await turns()
    assert "busy with something else" in service.jobs.status(job).waiting_for
    await service.dispatcher.resume("attic/cpu")
    await turns()
    assert job.state == "running"


@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_card_is_freed_when_idle_after_it_was_busy_or_rested(start_generator, tmp_path, is_busy):
    game = tmp_path / "game"
    engine = functools.partial(bad_engines.Outplayed, game=game) if is_busy else bad_engines.Raising
    if is_busy:
        game.touch()
    generator = await start_generator(engine, pauses=Pauses(unload_when_idle_s=0.3, busy_s=0.2, rest_s=0.2))

    async def worker() -> dict:
        return (await generator.call("GET", "/v1/health")).json["workers"][0]

    async def is_full() -> bool:
        return "full" in ((await worker())["waiting_for"] or "")

    async def is_idle() -> bool:
        return (await worker())["state"] == "idle"

    if is_busy:
        await generator.submit("one")
        await eventually(is_full)
        await generator.call("DELETE", "/v1/jobs/one")
        game.unlink()
    else:
        for n in range(MAX_FAILURES):
            await generator.submit(f"bad-{n}", "bad")
            await generator.end(f"bad-{n}")
    await eventually(is_idle)
    assert generator.worker.pid is None


async def test_a_service_ends_so_long_after_its_last_picture(start_generator):
    generator = await start_generator()

    async def is_ready() -> bool:
        return (await generator.call("GET", "/v1/health")).json["state"] == "ready"

    await eventually(is_ready)
    loop = asyncio.get_running_loop()
    ending = asyncio.create_task(_idle(generator.runner.app[DISPATCHER], 4.0))
    await asyncio.sleep(1.5)
    await generator.submit("one", steps=1)
    await generator.end("one")
    drawn = loop.time()
    await ending
    assert loop.time() - drawn > 3.8


async def test_positions_forget_jobs_that_nobody_listens_to(serve):
    worker = Puppet(at_once=1)
    service = await serve({"cpu": worker})
    service.saving.may.set()
    job = service.ask("one")
    await turns()
    await service.dispatcher.pause()
    await service.dispatcher.resume()
    await turns()
    worker.end(DRAWN)
    await turns()
    assert job.state == "done"
    service.jobs.forget("one")
    assert not service.jobs._positions._known
