"""Listeners get the positions of waiting jobs: the first at once, new ones soon, and none twice."""

import asyncio

import pytest

from generator.service import positions
from generator.service.eta import Eta, Speeds
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from tests.generator.test_jobs import a_job


@pytest.fixture
def jobs(monkeypatch) -> Jobs:
    monkeypatch.setattr(positions, "EVERY_S", 0.02)
    monkeypatch.setattr(positions, "BETWEEN_S", 0)
    return Jobs(max_queued=1000, speeds=Speeds(), metrics=Metrics())


def queue(jobs: Jobs, *names: str) -> None:
    for name in names:
        jobs.add(a_job(name, f"@{name}:home"))


async def position(stream) -> int:
    async with asyncio.timeout(5):
        return (await stream.get()).position


def unread(stream) -> list[object]:
    return list(stream._events)


async def test_the_state_has_the_first_position_and_changes_follow(jobs):
    queue(jobs, "ann", "bob", "cat", "dan")
    with jobs.watch(jobs.find("dan")) as stream:
        assert (await stream.get()).job.position == 4
        for place in (3, 2):
            jobs.take(jobs.choose(), Eta())
            assert await position(stream) == place
        queue(jobs, "eve")
        await asyncio.sleep(2 * positions.EVERY_S)
        assert not unread(stream), "nothing has changed for this job"


async def test_changes_within_the_pause_come_as_one(jobs):
    queue(jobs, *map(str, range(9)))
    with jobs.watch(jobs.find("8")) as stream:
        await stream.get()
        jobs.take(jobs.choose(), Eta())
        assert await position(stream) == 8
        for place in (7, 6, 5):
            jobs.take(jobs.choose(), Eta())
            await asyncio.sleep(0)
            assert not unread(stream), place
        assert await position(stream) == 5


async def test_a_reason_to_wait_is_published_at_once(jobs, monkeypatch):
    monkeypatch.setattr(positions, "EVERY_S", 60)
    queue(jobs, "ann", "bob")
    with jobs.watch(jobs.find("bob")) as stream:
        await stream.get()
        for reason in ("Warming up.", None, "Paused."):
            jobs.wait_for(reason)
            assert (await stream.get()).waiting_for == reason


async def test_an_interrupted_job_gets_its_old_place_at_once(jobs, monkeypatch):
    monkeypatch.setattr(positions, "EVERY_S", 60)
    queue(jobs, "ann")
    job = jobs.find("ann")
    with jobs.watch(job) as stream:
        await stream.get()
        jobs.take(jobs.choose(), Eta())
        jobs.give_back(job)
        assert unread(stream)[0].position == 1


async def test_a_second_listener_costs_the_first_one_nothing(jobs):
    queue(jobs, "ann", "bob")
    job = jobs.find("bob")
    with jobs.watch(job) as first, jobs.watch(job) as second:
        await first.get(), await second.get()
        jobs.take(jobs.choose(), Eta())
        # A third one comes before the change is published: the others get it, too.
        with jobs.watch(job) as third:
            assert (await third.get()).job.position == 1
            assert (await position(first), await position(second)) == (1, 1)
            await asyncio.sleep(2 * positions.EVERY_S)
            assert not unread(third)
            assert not unread(first)


async def test_only_jobs_with_listeners_cost_anything(jobs, monkeypatch):
    asked = []
    place = jobs._positions._position
    monkeypatch.setattr(jobs._positions, "_position", lambda job: asked.append(job.id) or place(job))
    queue(jobs, *map(str, range(100)))
    with jobs.watch(jobs.find("99")) as stream:
        await stream.get()
        jobs.take(jobs.choose(), Eta())
        await position(stream)
    jobs.take(jobs.choose(), Eta())
    await asyncio.sleep(2 * positions.EVERY_S)
    assert set(asked) == {"99"}


async def test_many_listeners_get_theirs_in_turns_of_the_event_loop(jobs):
    many = 3 * positions.AT_A_TIME
    queue(jobs, *map(str, range(many + 1)))
    listeners = [jobs.watch(jobs.find(str(n))) for n in range(1, many + 1)]
    streams = [listener.__enter__() for listener in listeners]
    for stream in streams:
        await stream.get()
    jobs.take(jobs.choose(), Eta())
    await asyncio.sleep(0)
    assert sum(bool(unread(stream)) for stream in streams) <= positions.AT_A_TIME
    assert [await position(stream) for stream in streams] == list(range(1, many + 1))
    for listener in listeners:
        listener.__exit__(None, None, None)
