"""Jobs from submission to end, over a real UNIX socket with a real worker process."""

import asyncio
import functools
import io
import logging
import os
import re
import threading
import time

import aiohttp
import pytest
import yaml
from PIL import Image

from generator.api.limits import MAX_REQUEST_BYTES
from generator.api.types import JobStatus
from generator.errors import DrawingFailed
from generator.pictures.store import PictureStore
from generator.service.dispatcher import LOADING, PAUSED
from generator.service.jobs import MAX_FINISHED_JOBS
from generator.workers.child import REPORT_EVERY_S
from tests.helpers.bad_engines import PAINT_BOX_BYTES, SLOW_STEP_S, Deaf, Late, Lazy, Outplayed, Slow
from tests.helpers.running_generator import eventually, stand_in_capabilities


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
            "Steps: 3, Sampler: unipc, CFG scale: 12, Seed: 7, Size: 64x96, Model: stand-in"
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
    assert events[0]["eta_s"] >= (40 - steps[0]) * SLOW_STEP_S
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
        await slow_generator.submit(job, requester=requester)
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


# ---- cancel


async def test_a_queued_job_is_cancelled_at_once(slow_generator):
    await slow_generator.submit("running", steps=10)
    await slow_generator.submit("queued")
    answer = await slow_generator.call("DELETE", "/v1/jobs/queued")
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    assert (await slow_generator.end("queued"))["state"] == "cancelled"
    assert (await slow_generator.end("running"))["state"] == "done"


async def test_a_cancelled_job_alone_leaves_the_card_within_one_step(slow_generator):
    await slow_generator.submit("running", steps=100)
    await slow_generator.submit("next", steps=1)
    await slow_generator.until("running", "progress")
    loop = asyncio.get_running_loop()
    before = loop.time()
    await slow_generator.call("DELETE", "/v1/jobs/running")
    assert (await slow_generator.end("next"))["state"] == "done"
    assert loop.time() - before < 20 * SLOW_STEP_S, "the hundred steps were not drawn"
    job = await slow_generator.end("running")
    assert (job["state"], job["pictures"]) == ("cancelled", [])
    assert len(list(slow_generator.pictures.rglob("*.png"))) == 1


async def test_cancelling_at_any_moment_affects_no_other_job(slow_generator):
    await slow_generator.submit("job-0", steps=2)
    for n in range(1, 12):
        await slow_generator.submit(f"job-{n}", steps=2)
        await asyncio.sleep(SLOW_STEP_S * n / 11)  # a different moment each time
        await slow_generator.call("DELETE", f"/v1/jobs/job-{n - 1}")
    assert (await slow_generator.end("job-11"))["state"] == "done"


async def test_cancelling_an_ended_job_changes_nothing(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    answer = await generator.call("DELETE", "/v1/jobs/job-1")
    assert (answer.status, answer.json["state"]) == (200, "done")


# ---- forgetting


async def test_the_files_of_a_job_are_deleted_on_request(generator):
    await generator.submit("job-1")
    await generator.submit("job-2")
    await generator.end("job-1")
    await generator.end("job-2")
    assert (await generator.call("DELETE", "/v1/jobs/job-1/pictures")).status == 204
    assert (await generator.call("DELETE", "/v1/jobs/job-1/pictures")).status == 204
    assert {path.suffix for path in generator.pictures.rglob("*job-2*")} == {".png", ".yml"}
    assert not list(generator.pictures.rglob("*job-1*"))
    assert (await generator.call("GET", "/v1/jobs/job-1/pictures/0")).status == 404
    assert (await generator.submit("job-1")).json["state"] == "queued"


async def test_a_picture_being_written_to_disk_is_forgotten_too(start_generator, tmp_path):
    class SlowDisk(PictureStore):
        begun, go_on, written = threading.Event(), threading.Event(), threading.Event()

        def save(self, *picture, **more):
            self.begun.set()
            assert self.go_on.wait(10)
            saved = super().save(*picture, **more)
            self.written.set()
            return saved

    disk = SlowDisk(tmp_path / "pictures")
    generator = await start_generator(store=disk)
    await generator.submit("job-1")
    assert await asyncio.to_thread(disk.begun.wait, 10)
    await generator.call("DELETE", "/v1/jobs/job-1")
    forgetting = asyncio.create_task(generator.call("DELETE", "/v1/jobs/job-1/pictures"))
    await asyncio.wait([forgetting], timeout=0.2)  # long enough for a call that does not wait
    disk.go_on.set()
    assert (await forgetting).status == 204
    assert await asyncio.to_thread(disk.written.wait, 10)
    assert not list(generator.pictures.rglob("*.*"))


async def test_a_picture_that_cannot_be_written_ends_the_drawing_of_its_job(start_generator, tmp_path, caplog):
    class FullDisk(PictureStore):
        def save(self, *picture, **more):
            raise DrawingFailed("not_written", "The picture could not be written to disk: it is full.")

    caplog.set_level(logging.INFO)
    generator = await start_generator(Slow, store=FullDisk(tmp_path / "pictures"))
    await generator.submit("sheet", pictures=2, steps=20)
    assert (await generator.end("sheet"))["error"]["code"] == "not_written"
    await generator.submit("other")
    await generator.end("other")
    assert "job sheet left the card" in caplog.text


async def test_a_job_cancelled_during_its_submission_is_not_drawn(start_generator):
    begun, go_on = threading.Event(), threading.Event()

    def slowly():
        begun.set()
        assert go_on.wait(10)
        return stand_in_capabilities()

    generator = await start_generator(capabilities=slowly)
    submitting = asyncio.create_task(generator.submit("job-1"))
    assert await asyncio.to_thread(begun.wait, 10)
    submitting.cancel()
    cancelling = asyncio.create_task(generator.call("DELETE", "/v1/jobs/job-1"))
    await asyncio.wait([cancelling], timeout=0.2)  # long enough for a call that does not wait
    go_on.set()
    assert (await cancelling).json["state"] == "cancelled"


async def test_a_job_has_no_reason_to_wait_after_the_one_that_waited_for_the_card_is_cancelled(
    start_generator, tmp_path
):
    game = tmp_path / "game"
    game.touch()
    generator = await start_generator(functools.partial(Outplayed, game=game), busy_pause_s=0.2)
    await generator.submit("job-1")

    async def waits() -> bool:
        return "Another program" in ((await generator.call("GET", "/v1/jobs/job-1")).json["waiting_for"] or "")

    await eventually(waits)
    await generator.call("DELETE", "/v1/jobs/job-1")
    game.unlink()
    await asyncio.sleep(1)  # longer than the pause
    assert (await generator.submit("job-2")).json["waiting_for"] is None


async def test_the_files_of_a_running_job_are_not_deleted(slow_generator):
    await slow_generator.submit("job-1")
    answer = await slow_generator.call("DELETE", "/v1/jobs/job-1/pictures")
    assert (answer.status, answer.json["error"]["code"]) == (409, "not_ended")


@pytest.mark.parametrize("job", ["*", "**", "a%2F..", "%2e%2e%2f", "a b"])
async def test_only_a_job_id_can_be_forgotten(generator, job):
    await generator.submit("job-1")
    await generator.end("job-1")
    assert (await generator.call("DELETE", f"/v1/jobs/{job}/pictures")).status in (404, 422)
    assert len(list(generator.pictures.rglob("*.png"))) == 1


async def test_a_picture_whose_file_is_gone_is_refused_with_a_sentence(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    for path in generator.pictures.rglob("*.*"):
        path.unlink()
    for what in ("", "/thumbnail", "/recipe"):
        answer = await generator.call("GET", f"/v1/jobs/job-1/pictures/0{what}")
        assert (answer.status, answer.json["error"]["message"]) == (404, "This picture is not kept any more.")


async def test_old_ended_jobs_are_forgotten_and_found_again_on_disk(start_generator):
    generator = await start_generator(max_queued_jobs=2 * MAX_FINISHED_JOBS)
    await generator.submit("job-0", steps=1, width=64, height=64)
    await generator.end("job-0")
    await generator.call("POST", "/v1/pause")
    for n in range(1, MAX_FINISHED_JOBS + 1):
        await generator.submit(f"job-{n}")
        await generator.call("DELETE", f"/v1/jobs/job-{n}")
    assert (await generator.call("GET", "/v1/jobs/job-0")).status == 404
    assert (await generator.submit("job-0", steps=1, width=64, height=64)).json["state"] == "done"


# ---- pause and resume


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
        assert status["waiting_for"].startswith("The card is in use for something else.")
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
        assert any(reason and reason.startswith("The card is in use") for reason in reasons)


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


# ---- refusals


@pytest.mark.parametrize(
    ("job", "body", "status", "code", "field"),
    [
        ("job-1", b"{", 400, "bad_json", None),
        ("job-1", b"", 400, "bad_json", None),
        ("job-1", b"\xff", 400, "bad_json", None),
        ("job-1", b"[" * 60000, 400, "bad_json", None),
        ("job-1", b"[]", 422, "invalid", None),
        ("job-1", b"{}", 422, "invalid", "requester"),
        ("job-1", b'{"requester": "", "recipes": []}', 422, "invalid", "requester"),
        ("job-1", b'{"requester": "a", "recipes": []}', 422, "invalid", "recipes"),
        ("job-1", b'{"requester": "a", "recipes": [{}]}', 422, "invalid", "recipes.0.slots"),
        ("job-1", b'{"requester": "a", "recipes": [{"slots": {}}]}', 422, "empty_prompt", "slots"),
        ("job-1", b'{"requester": "a", "recipes": [{"slots": {"hat": []}}]}', 422, "invalid", "recipes.0.slots.hat"),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "steps": true}]}',
            422,
            "invalid",
            "recipes.0.steps",
        ),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "guidance_scale": NaN}]}',
            422,
            "invalid",
            "recipes.0.guidance_scale",
        ),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "model": "../../etc"}]}',
            422,
            "unknown_choice",
            "model",
        ),
        ("job 1", b"{}", 422, "invalid", None),
        ("j" * 65, b"{}", 422, "invalid", None),
        ("job-1", b" " * (MAX_REQUEST_BYTES + 1), 413, "too_large", None),
    ],
)
async def test_every_refusal_has_the_same_shape(generator, job, body, status, code, field):
    answer = await generator.call("PUT", f"/v1/jobs/{job}", data=body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["field"]) == (status, code, field)
    assert error["message"].endswith(".")
    assert set(error) == {"code", "field", "value", "message", "limit", "choices"}


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("requester", "x" * 256, 255),
        ("recipes", [{"slots": {"subject": ["x"]}}] * 10, 9),
        ("recipes", [{"slots": {"subject": ["x"]}, "seed": 2**53}], 2**53 - 1),
        ("recipes", [{"slots": {"subject": ["x" * 2001]}}], 2000),
        ("recipes", [{"slots": {"subject": ["x" * 1999, "y"]}}], 2000),
        ("recipes", [{"slots": {"subject": ["x"]}, "negative_prompt": "x" * 2001}], 2000),
        ("recipes", [{"slots": {"subject": ["x"]}, "theme": "x" * 65}], 64),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"model_revision": "x" * 201}}], 200),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"plan": {"device": "x" * 201}}}], 200),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"plan": {"x" * 201: 1}}}], 200),
        ("recipes", [{"slots": {"subject": ["(" * 9 + "x" + ")" * 9]}}], 8),
        ("recipes", [{"slots": {"subject": ["(x)3"]}}], [0, 2]),
        ("recipes", [{"slots": {"subject": ["x"]}, "steps": 101}], [1, 100]),
        ("recipes", [{"slots": {"subject": ["x"]}, "width": 4096}], [64, 1024]),
    ],
)
async def test_a_refusal_names_the_limit(generator, field, value, limit):
    body = {"requester": "@ann:home", "recipes": [{"slots": {"subject": ["x"]}}]} | {field: value}
    answer = await generator.call("PUT", "/v1/jobs/job-1", json=body)
    assert (answer.status, answer.json["error"]["limit"]) == (422, limit)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown"),
        ("GET", "/v1/jobs/nobody", 404, "unknown"),
        ("GET", "/v1/jobs/nobody/events", 404, "unknown"),
        ("GET", "/v1/jobs/nobody/pictures/0", 404, "unknown"),
        ("DELETE", "/v1/jobs/nobody", 404, "unknown"),
        ("POST", "/v1/health", 405, "wrong_method"),
    ],
)
async def test_not_found_has_the_same_shape(generator, method, path, status, code):
    answer = await generator.call(method, path)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_a_picture_that_the_job_does_not_have_is_not_found(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    for n in ("1", "-1", "x", "00"):
        assert (await generator.call("GET", f"/v1/jobs/job-1/pictures/{n}")).status == 404


async def test_a_bug_is_a_500_in_the_same_shape(start_generator, caplog):
    def broken():
        raise ZeroDivisionError("a bug")

    generator = await start_generator(capabilities=broken)
    answer = await generator.call("GET", "/v1/capabilities")
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal")
    assert "a bug" not in answer.json["error"]["message"]
    assert "ZeroDivisionError" in caplog.text


# ---- the rest


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
