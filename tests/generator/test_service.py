"""Jobs from submission to end, over a real UNIX socket with a real worker process."""

import asyncio
import io
import os
import re
import time

import aiohttp
import pytest
import yaml
from PIL import Image

from generator.api.types import JobStatus
from generator.workers.child import REPORT_EVERY_S
from tests.helpers.bad_engines import PAINT_BOX_BYTES, SLOW_STEP_S, Deaf
from tests.helpers.running_generator import eventually


async def test_a_job_becomes_a_picture_with_thumbnail_and_recipe(generator):
    answer = await generator.submit("job-1", "otter, カワウソ", seed=7, width=64, height=96)
    assert (answer.status, answer.json["state"], answer.json["position"]) == (201, "queued", 1)

    events = [event async for event in generator.events("job-1")]
    assert events[0]["event"] == "state"
    assert events[-1]["event"] == "done"
    job = events[-1]["job"]
    assert JobStatus.model_validate(job).state == "done"
    (picture,) = job["pictures"]
    assert (picture["width"], picture["height"], picture["prompt"]) == (64, 96, "otter, カワウソ")
    assert picture["recipe"]["seed"] == 7
    assert picture["facts"]["notes"] == ["Painted, not drawn."]

    png = await generator.call("GET", "/v1/jobs/job-1/pictures/0")
    thumbnail = await generator.call("GET", "/v1/jobs/job-1/pictures/0/thumbnail")
    recipe = await generator.call("GET", "/v1/jobs/job-1/pictures/0/recipe")
    for answer, mimetype in ((png, "image/png"), (thumbnail, "image/jpeg"), (recipe, "application/yaml")):
        assert (answer.status, answer.headers["Content-Type"]) == (200, mimetype)
    assert (len(png.body), len(thumbnail.body)) == (picture["size"], picture["thumbnail_size"])
    with Image.open(io.BytesIO(thumbnail.body)) as image:
        assert image.size == (picture["thumbnail_width"], picture["thumbnail_height"])
    with Image.open(io.BytesIO(png.body)) as image:
        assert (image.mode, image.size) == ("RGB", (64, 96))
        assert image.text["easel"] == recipe.body.decode()
        assert image.text["parameters"] == (
            f"otter, カワウソ\nNegative prompt: {picture['recipe']['negative_prompt']}\n"
            'Steps: 3, Sampler: UniPC, CFG scale: 12, Seed: 7, Size: 64x96, Model: stand-in, Theme: "otter, カワウソ"'
        )
    assert yaml.safe_load(recipe.body)["prompt"] == "otter, カワウソ"

    files = sorted(path.relative_to(generator.pictures) for path in generator.pictures.rglob("*.*"))
    assert [path.suffix for path in files] == [".png", ".yml"]
    assert files[0].name == picture["filename"]
    assert picture["filename"].endswith("-otter_カワウソ-7-job-1-0.png")
    assert (generator.pictures / files[1]).read_bytes() == recipe.body


async def test_a_job_of_several_pictures_draws_them_in_order(generator):
    await generator.submit("job-1", pictures=3)
    job = await generator.end("job-1")
    assert [picture["n"] for picture in job["pictures"]] == [0, 1, 2]
    assert len({picture["recipe"]["seed"] for picture in job["pictures"]}) == 3


async def test_progress_is_reported_at_intervals_with_the_eta(slow_generator):
    await slow_generator.submit("first", steps=3)
    await slow_generator.end("first")
    await slow_generator.submit("job-1", steps=40)
    began = time.monotonic()
    events = [event async for event in slow_generator.events("job-1") if event["event"] == "progress"]
    steps = [event["step"] for event in events]
    assert steps == sorted(set(steps))
    assert steps[-1] == 40
    # The start and the last step are reported besides.
    assert 3 <= len(steps) <= (time.monotonic() - began) / REPORT_EVERY_S + 4
    assert {event["steps"] for event in events} == {40}
    # Rounded to a tenth of a second.
    assert events[0]["eta_s"] > (40 - steps[0]) * SLOW_STEP_S - 0.1
    assert events[-1]["eta_s"] == 0


# ---- the same job again


async def test_submitting_a_job_again_returns_it_in_any_state(slow_generator):
    assert (await slow_generator.submit("job-1")).status == 201
    again = await slow_generator.submit("job-1")
    assert (again.status, again.json["id"]) == (200, "job-1")
    await slow_generator.end("job-1")
    again = await slow_generator.submit("job-1")
    assert (again.status, again.json["state"]) == (200, "done")
    assert len(list(slow_generator.pictures.rglob("*.png"))) == 1


async def test_two_simultaneous_submissions_are_one_job(generator):
    answers = await asyncio.gather(*(generator.submit("job-1") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]


async def test_another_body_under_the_same_id_is_refused(generator):
    await generator.submit("job-1", "otter")
    answer = await generator.submit("job-1", "owl")
    assert (answer.status, answer.json["error"]["code"]) == (409, "conflict")


async def test_after_a_restart_finished_pictures_are_found_and_not_drawn_again(start_generator, tmp_path):
    before = await start_generator()
    await before.submit("job-1", pictures=2)
    drawn = await before.end("job-1")

    after = await start_generator(socket=tmp_path / "after.sock")
    assert (await after.call("GET", "/v1/jobs/job-1")).status == 404
    answer = await after.submit("job-1", pictures=2)
    assert (answer.status, answer.json) == (201, drawn)
    assert (await after.end("job-1")) == drawn
    png = await after.call("GET", "/v1/jobs/job-1/pictures/1")
    assert len(png.body) == drawn["pictures"][1]["size"]


async def test_after_a_restart_only_missing_pictures_are_drawn(start_generator, tmp_path):
    before = await start_generator()
    await before.submit("job-1", pictures=2)
    drawn = await before.end("job-1")
    next(before.pictures.rglob(drawn["pictures"][1]["filename"])).unlink()
    first = next(before.pictures.rglob(drawn["pictures"][0]["filename"]))
    written = first.stat().st_mtime_ns

    after = await start_generator(socket=tmp_path / "after.sock")
    await after.submit("job-1", pictures=2)
    job = await after.end("job-1")
    assert [picture["recipe"] for picture in job["pictures"]] == [picture["recipe"] for picture in drawn["pictures"]]
    assert first.stat().st_mtime_ns == written


async def test_after_a_restart_a_changed_recipe_is_drawn_again(start_generator, tmp_path):
    before = await start_generator()
    await before.submit("job-1", "otter")
    await before.end("job-1")
    after = await start_generator(socket=tmp_path / "after.sock")
    assert (await after.submit("job-1", "owl")).json["state"] == "queued"
    assert (await after.end("job-1"))["pictures"][0]["prompt"] == "owl"


# ---- events


async def test_a_late_listener_gets_the_state_first_and_then_the_rest(slow_generator):
    await slow_generator.submit("job-1", pictures=2)
    await slow_generator.until("job-1", "picture")
    late = [event async for event in slow_generator.events("job-1")]
    assert late[0]["event"] == "state"
    assert [picture["n"] for picture in late[0]["job"]["pictures"]] == [0]
    assert [event["picture"]["n"] for event in late if event["event"] == "picture"] == [1]
    assert late[-1]["event"] == "done"


async def test_the_stream_of_a_job_that_has_ended_is_its_state_and_its_end(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    assert [event["event"] async for event in generator.events("job-1")] == ["state", "done"]


async def test_many_listeners_can_follow_a_job(slow_generator):
    await slow_generator.submit("job-1")
    jobs = await asyncio.gather(*(slow_generator.end("job-1") for _ in range(10)))
    assert {job["state"] for job in jobs} == {"done"}


async def test_a_heartbeat_fills_the_silence(start_generator):
    generator = await start_generator(heartbeat_s=0.01)
    await generator.call("POST", "/v1/pause")
    await generator.submit("job-1")
    assert await generator.until("job-1", "heartbeat") == {"event": "heartbeat"}


async def test_a_listener_that_leaves_does_not_disturb_the_job(start_generator):
    generator = await start_generator(heartbeat_s=0.01)
    await generator.call("POST", "/v1/pause")
    await generator.submit("job-1")
    await generator.until("job-1", "heartbeat")  # and hangs up
    await generator.call("POST", "/v1/resume")
    assert (await generator.end("job-1"))["state"] == "done"


# ---- turns


async def test_requesters_are_served_in_turns_and_get_their_place(slow_generator):
    await slow_generator.submit("measured", requester="@ann:home", steps=1)
    await slow_generator.end("measured")
    await slow_generator.submit("a1", requester="@ann:home", steps=20)
    await slow_generator.until("a1", "progress")
    for job, requester in (("a2", "@ann:home"), ("a3", "@ann:home"), ("b1", "@bob:home")):
        # Long enough that the time between two calls does not count.
        await slow_generator.submit(job, requester=requester, steps=10)
    places = {job: (await slow_generator.call("GET", f"/v1/jobs/{job}")).json for job in ("b1", "a2", "a3")}
    assert [place["position"] for place in places.values()] == [1, 2, 3]
    assert places["b1"]["eta_s"] < places["a2"]["eta_s"] < places["a3"]["eta_s"]
    places = [event["position"] async for event in slow_generator.events("a3") if event["event"] == "position"]
    assert places == [2, 1]


async def test_a_full_queue_names_when_to_come_back(slow_generator):
    await slow_generator.submit("running", steps=40)
    await slow_generator.until("running", "progress")
    for n in range(5):
        assert (await slow_generator.submit(f"job-{n}")).status == 201
    answer = await slow_generator.submit("one-more")
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["error"]["limit"] == 5
    assert (await slow_generator.submit("job-3")).status == 200, "a job that is already in the queue is not refused"


async def test_a_job_takes_the_place_of_the_one_that_it_replaces_even_in_a_full_queue(generator):
    await generator.call("POST", "/v1/pause")
    for job, requester in (("a1", "@ann:home"), ("a2", "@ann:home"), ("a3", "@ann:home"), ("b1", "@bob:home")):
        await generator.submit(job, requester=requester)
    assert (await generator.submit("c1", requester="@cat:home")).status == 201
    for status in (201, 200):
        answer = await generator.submit("new", "owl", replaces="a2")
        assert (answer.status, answer.json["state"], answer.json["position"]) == (status, "queued", 4)
    assert (await generator.end("a2"))["state"] == "cancelled"
    assert (await generator.submit("one-more")).status == 429
    assert (await generator.submit("new", "owl")).status == 409, "the body differs"
    await generator.call("POST", "/v1/resume")
    ended = {job: await generator.end(job) for job in ("a1", "b1", "c1", "new", "a3")}
    drawn = [job["pictures"][0]["facts"]["drawn"] for job in ended.values()]
    assert drawn == sorted(drawn)
    assert ended["new"]["pictures"][0]["prompt"] == "owl"


async def test_a_replacement_drawn_before_a_restart_cancels_the_job_that_it_replaces(start_generator, tmp_path):
    before = await start_generator()
    await before.submit("new", replaces="old")
    await before.end("new")
    after = await start_generator(socket=tmp_path / "after.sock")
    await after.call("POST", "/v1/pause")
    await after.submit("old")
    assert (await after.submit("new", replaces="old")).json["state"] == "done"
    assert (await after.end("old"))["state"] == "cancelled"


async def test_health_capabilities_and_metrics_are_served(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    health = (await generator.call("GET", "/v1/health")).json
    assert (health["state"], health["device"], health["models"]) == ("ready", "paint box", ["stand-in"])
    assert health["steps_per_second"] > 0
    assert health["memory"] == {"used_bytes": 3, "total_bytes": PAINT_BOX_BYTES}, "after three steps"
    assert (await generator.call("GET", "/v1/capabilities")).json["default_model"] == "stand-in"
    metrics = (await generator.call("GET", "/metrics")).body.decode()
    assert 'easel_jobs_total{state="done"} 1.0' in metrics
    assert "easel_queued_jobs 0.0" in metrics
    assert "easel_picture_seconds_count 1.0" in metrics


async def test_memory_is_unknown_while_nothing_is_loaded(start_generator):
    generator = await start_generator(Deaf)
    assert (await generator.call("GET", "/v1/health")).json["memory"] is None


async def test_the_log_has_three_lines_for_a_job_and_never_its_prompt(start_generator, caplog, capfd):
    # The worker process adopts this level when it starts.
    caplog.set_level("INFO")
    generator = await start_generator()
    await generator.submit("job-1", "a secret otter", negative_prompt="secret", theme="secret")
    await generator.end("job-1")
    lines = [record.getMessage() for record in caplog.records if "job job-1" in record.getMessage()]
    assert lines[:2] == ["job job-1 accepted: 1 pictures for @ann:home", "job job-1 started for @ann:home"]
    assert re.fullmatch(r"job job-1 done for @ann:home after \d+\.\d\d s", lines[2])
    assert len(lines) == 3
    assert "secret" not in caplog.text + capfd.readouterr().err


@pytest.mark.parametrize("what", ["*.png", "*.yml"])
async def test_an_unreadable_picture_is_drawn_again_and_its_prompt_not_logged(start_generator, tmp_path, caplog, what):
    before = await start_generator()
    await before.submit("job-1", "a secret otter")
    await before.end("job-1")
    next(before.pictures.rglob(what)).write_bytes(b"rubbish")
    after = await start_generator(socket=tmp_path / "after.sock")
    await after.submit("job-1", "a secret otter")
    assert (await after.end("job-1"))["state"] == "done"
    assert "job job-1: picture 0 is drawn again" in caplog.text
    assert "secret" not in caplog.text


async def test_old_pictures_are_deleted_at_the_start(start_generator, tmp_path):
    before = await start_generator()
    await before.submit("job-1")
    await before.end("job-1")
    for path in before.pictures.rglob("*.*"):
        os.utime(path, (0, 0))

    async def is_empty() -> bool:
        return not list(before.pictures.rglob("*.*"))

    await start_generator(socket=tmp_path / "after.sock", keep_pictures_days=30)
    await eventually(is_empty)


async def test_streams_end_without_a_last_event_when_the_generator_ends(start_generator, tmp_path):
    generator = await start_generator()
    await generator.call("POST", "/v1/pause")
    await generator.submit("job-1")
    async with generator.session.get("http://easel/v1/jobs/job-1/events") as response:
        await response.content.readline()
        await generator.runner.cleanup()
        rest = await response.content.read()
    assert b"done" not in rest
    with pytest.raises(aiohttp.ClientConnectorError):
        await generator.call("GET", "/v1/health")
