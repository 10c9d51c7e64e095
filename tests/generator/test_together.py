"""Several jobs on the worker at once: joining, sharing calls, and an idle or busy card."""

import asyncio
import functools
import logging
from itertools import pairwise
from pathlib import Path

import pytest

from generator.errors import CardBusy
from generator.service.failures import Pauses
from tests.helpers import bad_engines
from tests.helpers.running_generator import eventually, stand_in_capabilities


def two_models():
    here = stand_in_capabilities()
    return here.model_copy(update={"models": (*here.models, here.models[0].model_copy(update={"name": "other"}))})


PEOPLE = ("@ann:home", "@bob:home", "@cat:home")


async def running(generator) -> int:
    return (await generator.call("GET", "/v1/health")).json["running"]


async def are_running(generator, count: int) -> bool:
    return await running(generator) == count


async def three_under_way(start_generator):
    """A generator that draws ``job-0`` to ``job-2`` together, one for each person."""
    generator = await start_generator(functools.partial(bad_engines.Slow, at_once=3))
    for n, person in enumerate(PEOPLE):
        await generator.submit(f"job-{n}", requester=person, steps=100)
    await eventually(lambda: are_running(generator, 3))
    return generator


async def test_jobs_of_one_shape_are_drawn_together_up_to_the_measured_number(start_generator):
    generator = await start_generator(functools.partial(bad_engines.Slow, at_once=2))
    for n, person in enumerate(PEOPLE):
        await generator.submit(f"job-{n}", requester=person, steps=60)
    await generator.until("job-1", "progress")
    assert await running(generator) == 2
    assert [(await generator.end(f"job-{n}"))["state"] for n in range(3)] == ["done"] * 3


async def test_what_was_measured_for_small_pictures_lets_no_large_one_join(start_generator):
    """The worker says how many of a size it draws together once it has begun the first of them."""
    generator = await start_generator(bad_engines.SlowWhenLarge)
    small, large = ({"slots": {"subject": ["otter"]}, "width": width, "steps": 20} for width in (64, 128))
    jobs = {"before": [small], "first": [large], "both-sizes": [small, large], "last": [large]}
    for n, (job, recipes) in enumerate(jobs.items()):
        body = {"requester": PEOPLE[n % 3], "recipes": recipes}
        assert (await generator.call("PUT", f"/v1/jobs/{job}", json=body)).status == 201
    for earlier, job in pairwise(jobs):
        await generator.until(job, "progress")
        assert (await generator.call("GET", f"/v1/jobs/{earlier}")).json["state"] == "done"


async def test_a_job_joins_after_the_worker_was_unloaded(start_generator):
    generator = await start_generator(
        functools.partial(bad_engines.Slow, at_once=2), pauses=Pauses(unload_when_idle_s=0.1)
    )
    await generator.submit("before", steps=1)
    await generator.end("before")
    await eventually(lambda: is_in_state(generator, "idle"))
    for n, person in enumerate(PEOPLE[:2]):
        await generator.submit(f"job-{n}", requester=person, steps=60)
    await generator.until("job-1", "progress")
    assert (await generator.until("job-0", "progress"))["step"] < 60


async def test_a_job_joins_within_one_step(start_generator):
    generator = await start_generator(functools.partial(bad_engines.Slow, at_once=2))
    await generator.submit("first", steps=100)
    await generator.until("first", "progress")
    await generator.submit("second", steps=2, requester="@bob:home")
    steps = []

    async def follow():
        async for event in generator.events("first"):
            if event["event"] == "progress":
                steps.append(event["step"])

    following = asyncio.create_task(follow())
    await generator.until("second", "progress")
    joined = steps[-1] if steps else 0
    assert (await generator.end("second"))["state"] == "done"
    await following
    assert joined < 100, "the second job does not wait for the first"
    assert (await generator.end("first"))["state"] == "done"


@pytest.mark.parametrize("change", [{"width": 128}, {"model": "other"}])
async def test_a_job_that_cannot_share_calls_waits_but_not_for_ever(start_generator, change):
    generator = await start_generator(functools.partial(bad_engines.Slow, at_once=2), capabilities=two_models)
    await generator.submit("first", steps=100)
    await generator.until("first", "progress")
    await generator.submit("odd", requester="@bob:home", **change)
    for n in range(3):
        await generator.submit(f"like-{n}", requester="@cat:home")
    assert (await generator.end("like-0"))["state"] == "done"
    assert (await generator.call("GET", "/v1/jobs/odd")).json["state"] == "queued"
    assert (await generator.end("odd"))["state"] == "done"
    assert (await generator.end("first"))["state"] == "done"


async def test_the_worker_gets_the_next_recipe_in_advance(start_generator):
    generator = await start_generator(bad_engines.Foreseeing, capabilities=two_models)
    await generator.call("POST", "/v1/pause")
    await generator.submit("sheet", "otter", pictures=2, steps=5)
    await generator.submit("next", "owl", seed=30, steps=20)
    await generator.call("POST", "/v1/resume")
    await generator.until("next", "progress")
    # One job arrives while the card draws. A job for another model is not prepared.
    await generator.submit("switch", "cat", requester="@bob:home", seed=40, model="other")
    await generator.submit("last", "fox", requester="@cat:home", seed=50, steps=5)
    jobs = [await generator.end(job_id) for job_id in ("sheet", "next", "last")]
    first, second = (picture["recipe"]["seed"] for picture in jobs[0]["pictures"])
    foreseen = [picture["facts"]["plan"]["foreseen"] for job in jobs for picture in job["pictures"]]
    assert first != second
    assert foreseen == [second, 30, 50, 50]


async def test_a_new_worker_gets_the_next_recipe_again(start_generator):
    generator = await start_generator(bad_engines.Foreseeing)
    await generator.submit("sheet", pictures=2, steps=20)
    await generator.until("sheet", "progress")
    await generator.call("POST", "/v1/pause")
    await generator.call("POST", "/v1/resume")
    first, second = (await generator.end("sheet"))["pictures"]
    assert first["facts"]["plan"]["foreseen"] == second["recipe"]["seed"]


async def test_a_job_for_the_loaded_model_goes_first(start_generator):
    generator = await start_generator(bad_engines.Slow, capabilities=two_models)
    await generator.call("POST", "/v1/pause")
    await generator.submit("switch", requester="@bob:home", model="other", steps=100)
    await generator.submit("stay", requester="@cat:home")
    await generator.call("POST", "/v1/resume")
    assert (await generator.end("stay"))["state"] == "done"
    assert (await generator.call("GET", "/v1/jobs/switch")).json["state"] in ("queued", "running")
    assert (await generator.end("switch"))["state"] == "done"


async def test_of_jobs_whose_worker_dies_only_the_cause_fails(start_generator):
    generator = await start_generator(functools.partial(bad_engines.Dying, at_once=3))
    await generator.call("POST", "/v1/pause")
    for subject, person in zip(("good otter", "exit", "good owl"), PEOPLE, strict=True):
        await generator.submit(subject.replace(" ", "-"), subject, requester=person, steps=100)
    await generator.call("POST", "/v1/resume")
    states = [(await generator.end(job))["state"] for job in ("good-otter", "exit", "good-owl")]
    assert states == ["done", "failed", "done"]


async def test_pause_gives_all_jobs_back_in_order(start_generator):
    generator = await three_under_way(start_generator)
    await generator.call("POST", "/v1/pause")
    places = [(await generator.call("GET", f"/v1/jobs/job-{n}")).json["position"] for n in range(3)]
    assert places == [1, 2, 3]
    await generator.call("POST", "/v1/resume")
    assert [(await generator.end(f"job-{n}"))["state"] for n in range(3)] == ["done"] * 3


async def test_cancelling_one_of_several_leaves_the_others(start_generator):
    generator = await three_under_way(start_generator)
    await generator.call("DELETE", "/v1/jobs/job-1")
    assert [(await generator.end(f"job-{n}"))["state"] for n in range(3)] == ["done", "cancelled", "done"]


async def test_an_idle_worker_frees_the_card_and_starts_again_for_the_next_job(start_generator):
    generator = await start_generator(pauses=Pauses(unload_when_idle_s=0.2))
    await generator.submit("job-1")
    await generator.end("job-1")
    await eventually(lambda: is_in_state(generator, "idle"))
    assert generator.worker.pid is None
    assert (await generator.call("GET", "/v1/health")).json["models"] == []
    await generator.submit("job-2")
    assert (await generator.end("job-2"))["state"] == "done"


async def is_in_state(generator, state: str) -> bool:
    return (await generator.call("GET", "/v1/health")).json["state"] == state


async def test_a_card_that_another_program_holds_is_waited_for(start_generator, tmp_path: Path, caplog):
    game = tmp_path / "game"
    game.touch()
    generator = await start_generator(functools.partial(bad_engines.Outplayed, game=game), pauses=Pauses(busy_s=0.05))
    with caplog.at_level(logging.INFO):
        await generator.submit("job-1")
        waiting = await generator.until("job-1", "position")
        while waiting["waiting_for"] != CardBusy.SHOWN:
            waiting = (await generator.call("GET", "/v1/jobs/job-1")).json
    assert waiting["position"] == 1
    game.unlink()
    assert (await generator.end("job-1"))["state"] == "done"


async def test_previews_are_sent_during_the_drawing(start_generator):
    generator = await start_generator(bad_engines.Showing)
    await generator.submit("job-1", steps=20)
    preview = await generator.until("job-1", "preview")
    assert preview["n"] == 0
    assert preview["image"].startswith("data:image/jpeg;base64,/9j/")
