"""Pause and resume, and the reasons that a job gives for its waiting."""

import asyncio
import functools

import pytest

from generator.service.supervisor import LOADING, PAUSED
from tests.helpers.bad_engines import Deaf, Late, Lazy
from tests.helpers.running_generator import eventually


async def test_pause_frees_the_card_and_resume_continues_the_same_job(slow_generator):
    await slow_generator.submit("running", steps=20)
    await slow_generator.submit("queued", steps=1)
    await slow_generator.until("running", "progress")
    paused = await slow_generator.call("POST", "/v1/pause")
    assert paused.json["state"] == "paused"
    assert (paused.json["models"], paused.json["running"], paused.json["queued"]) == ([], 0, 2)
    assert slow_generator.worker.pid is None

    for job, position in (("running", 1), ("queued", 2)):
        status = (await slow_generator.call("GET", f"/v1/jobs/{job}")).json
        assert (status["state"], status["position"]) == ("queued", position)
        assert status["waiting_for"] == PAUSED
    assert (await slow_generator.call("POST", "/v1/pause")).json["state"] == "paused"

    resumed = await slow_generator.call("POST", "/v1/resume")
    assert resumed.json["state"] == "loading"
    assert (await slow_generator.end("queued"))["state"] == "done"
    assert (await slow_generator.end("running"))["state"] == "done"
    assert (await slow_generator.call("GET", "/v1/health")).json["state"] == "ready"


async def test_listeners_get_the_reason_for_a_pause(slow_generator):
    await slow_generator.submit("running", steps=20)
    await slow_generator.submit("queued", steps=1)
    await slow_generator.until("running", "progress")
    listener = asyncio.create_task(collect(slow_generator.events("queued")))
    running = asyncio.create_task(collect(slow_generator.events("running")))
    await slow_generator.until("running", "progress")
    await slow_generator.call("POST", "/v1/pause")
    await slow_generator.call("POST", "/v1/resume")
    for task in (listener, running):
        reasons = [event["waiting_for"] for event in await task if event["event"] == "position"]
        assert PAUSED in reasons


async def test_a_pause_while_loading_is_the_reason_to_wait(start_generator):
    generator = await start_generator(Deaf)
    await generator.submit("job-1")
    for command, reason in ((None, LOADING), ("pause", PAUSED), ("resume", LOADING)):
        if command:
            await generator.call("POST", f"/v1/{command}")
        assert (await generator.call("GET", "/v1/jobs/job-1")).json["waiting_for"] == reason


@pytest.mark.parametrize("engine", [Late, Lazy])
async def test_loading_the_model_is_a_reason_to_wait(start_generator, tmp_path, engine):
    weights = tmp_path / "weights"
    generator = await start_generator(functools.partial(engine, weights=weights))
    await generator.submit("first")
    await generator.submit("second")
    await waits_for(generator, "second", LOADING)
    assert (await reasons_after(generator, "second", weights.touch))[-1] is None


async def test_a_new_worker_is_a_reason_to_wait(start_generator, tmp_path):
    weights = tmp_path / "weights"
    weights.touch()
    generator = await start_generator(functools.partial(Late, weights=weights))
    await generator.submit("before")
    await generator.end("before")
    weights.unlink()
    await generator.kill_worker()
    await generator.submit("first")
    await generator.submit("second")
    await waits_for(generator, "second", LOADING)
    assert (await reasons_after(generator, "second", weights.touch))[-1] is None


async def test_pictures_that_were_drawn_before_a_pause_are_kept(slow_generator):
    await slow_generator.submit("job-1", pictures=2, steps=10)
    first = (await slow_generator.until("job-1", "picture"))["picture"]
    await slow_generator.call("POST", "/v1/pause")
    await slow_generator.call("POST", "/v1/resume")
    job = await slow_generator.end("job-1")
    assert job["pictures"][0] == first
    assert len(list(slow_generator.pictures.rglob("*.png"))) == 2


async def test_a_job_that_waits_through_a_pause_can_be_cancelled(generator):
    await generator.call("POST", "/v1/pause")
    await generator.submit("job-1")
    assert (await generator.call("DELETE", "/v1/jobs/job-1")).json["state"] == "cancelled"


async def collect(events):
    return [event async for event in events]


async def waits_for(generator, job, reason):
    async def is_reported() -> bool:
        return (await generator.call("GET", f"/v1/jobs/{job}")).json["waiting_for"] == reason

    await eventually(is_reported)


async def reasons_after(generator, job, change):
    """The reasons to wait that a listener gets when ``change`` is called after the stream has begun."""
    reasons = []
    async for event in generator.events(job):
        if event["event"] == "state":
            change()
        if event["event"] == "position":
            reasons.append(event["waiting_for"])
    return reasons
