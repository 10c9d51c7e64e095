"""How a job ends early, and what is forgotten of it: cancelled, failed, or its files deleted."""

import asyncio
import functools
import logging
import threading

import pytest

from generator.errors import CardBusy, CardLost, CardUnusable, DrawingFailed
from generator.pictures.store import PictureStore
from generator.service.failures import Pauses
from generator.service.jobs import MAX_FINISHED_JOBS
from tests.helpers.bad_engines import SLOW_STEP_S, Cardless, Outplayed, Slow
from tests.helpers.running_generator import eventually, stand_in_capabilities


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
    assert loop.time() - before < 60 * SLOW_STEP_S, "the hundred steps were not drawn"
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


async def test_a_job_that_is_forgotten_while_it_is_submitted_again_has_no_picture_that_is_gone(
    start_generator, tmp_path
):
    class SlowDisk(PictureStore):
        found, go_on = threading.Event(), threading.Event()

        def restore(self, *job):
            restored = super().restore(*job)
            if restored:
                self.found.set()
                assert self.go_on.wait(10)
            return restored

    disk = SlowDisk(tmp_path / "pictures")
    before = await start_generator(store=disk)
    await before.submit("job-1")
    await before.end("job-1")
    await before.stop()
    generator = await start_generator(store=disk)
    submitting = asyncio.create_task(generator.submit("job-1"))
    assert await asyncio.to_thread(disk.found.wait, 10)
    forgetting = asyncio.create_task(generator.call("DELETE", "/v1/jobs/job-1/pictures"))
    await asyncio.wait([forgetting], timeout=0.2)  # long enough for a call that does not wait
    disk.go_on.set()
    assert (await submitting).status == 201
    assert (await forgetting).status == 204
    assert not list(generator.pictures.rglob("*.*"))
    assert (await generator.call("GET", "/v1/jobs/job-1")).status == 404


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
    generator = await start_generator(functools.partial(Outplayed, game=game), pauses=Pauses(busy_s=0.2))
    await generator.submit("job-1")

    async def waits() -> bool:
        return (await generator.call("GET", "/v1/jobs/job-1")).json["waiting_for"] == CardBusy.SHOWN

    await eventually(waits)
    await generator.call("DELETE", "/v1/jobs/job-1")
    game.unlink()
    await asyncio.sleep(1)  # longer than the pause
    assert (await generator.submit("job-2")).json["waiting_for"] is None


async def test_a_job_waits_for_a_card_that_is_away_and_is_drawn_when_it_is_back(start_generator, tmp_path, caplog):
    """People in a room read one sentence, and the log has the reason."""
    away = tmp_path / "away"
    away.touch()
    generator = await start_generator(functools.partial(Cardless, card_is_away=away), pauses=Pauses(busy_s=0.2))
    await generator.submit("job-1")

    async def waits() -> bool:
        return (await generator.call("GET", "/v1/jobs/job-1")).json["waiting_for"] == CardLost.SHOWN

    await eventually(waits)
    assert "job-1: CUDA finds no card: No CUDA GPUs are available" in caplog.text
    away.unlink()
    assert (await generator.end("job-1"))["state"] == "done"


async def test_a_card_that_cannot_be_used_fails_the_job_and_the_log_has_the_advice(start_generator, tmp_path, caplog):
    away = tmp_path / "away"
    away.touch()
    generator = await start_generator(functools.partial(Cardless, card_is_away=away, error=CardUnusable))
    await generator.submit("job-1")
    job = await generator.end("job-1")
    assert (job["error"]["code"], job["error"]["message"]) == ("unusable_card", CardUnusable.SHOWN)
    assert "does not start: CUDA finds no card: No CUDA GPUs are available" in caplog.text


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
