"""With every bad engine, the job ends with a sentence, the server lives, and the next job works."""

import functools
import os
import signal

import pytest

from generator.errors import DIED, WeightsMissing
from tests.helpers import bad_engines


async def fails(generator, subject: str = "otter", job: str = "job-1") -> dict:
    await generator.submit(job, subject, width=64, height=64)
    ended = await generator.end(job)
    assert ended["state"] == "failed"
    assert ended["error"]["message"].endswith(".")
    return ended["error"]


async def works(generator, job: str = "next") -> None:
    await generator.submit(job, "good otter", width=64, height=64)
    assert (await generator.end(job))["state"] == "done"


@pytest.mark.parametrize(
    ("engine", "code", "words"),
    [
        (bad_engines.Raising, "engine_error", "log says more"),
        (bad_engines.Greedy, "out_of_memory", "A smaller --size"),
    ],
)
async def test_an_error_ends_in_a_sentence_and_the_worker_lives_on(start_generator, engine, code, words, capfd):
    generator = await start_generator(engine)
    error = await fails(generator)
    assert error["code"] == code
    assert words in error["message"]
    assert "bug in the engine" not in error["message"]
    pid = generator.worker.pid
    await works(generator)
    assert generator.worker.pid == pid


async def test_the_traceback_is_on_the_servers_stderr(start_generator, capfd):
    generator = await start_generator(bad_engines.Raising)
    await fails(generator)
    assert "ZeroDivisionError: a bug in the engine" in capfd.readouterr().err


async def test_a_garbled_message_fails_its_own_job_only(start_generator):
    generator = await start_generator(bad_engines.Babbling)
    assert (await fails(generator))["code"] == "internal"
    await works(generator)


async def test_the_engines_own_reason_is_reported(start_generator):
    generator = await start_generator(bad_engines.Failing)
    error = await fails(generator)
    assert error["code"] == "not_a_number"
    assert error["message"] == "The picture came out as nothing. Another seed may work."


@pytest.mark.parametrize(("how", "words"), [("exit", "status 3"), ("segfault", "SIGSEGV")])
async def test_a_job_whose_worker_dies_three_times_fails_and_the_next_one_is_drawn(start_generator, how, words, caplog):
    generator = await start_generator(bad_engines.Dying)
    error = await fails(generator, how)
    assert (error["code"], error["message"]) == ("worker_died", DIED.message)
    assert words in caplog.text
    assert (await generator.call("GET", "/v1/health")).json["state"] == "loading"
    await works(generator)
    assert 'easel_worker_deaths_total{worker="cpu"} 3.0' in (await generator.call("GET", "/metrics")).body.decode()


async def test_a_job_whose_worker_dies_once_is_drawn_again(slow_generator, caplog):
    await slow_generator.submit("job-1", pictures=3, steps=10)
    await slow_generator.until("job-1", "picture")
    os.kill(slow_generator.worker.pid, signal.SIGKILL)
    ended = await slow_generator.end("job-1")
    assert (ended["state"], [picture["n"] for picture in ended["pictures"]]) == ("done", [0, 1, 2])
    assert "SIGKILL" in caplog.text


async def test_a_hanging_step_is_killed_after_its_limit(start_generator, caplog):
    generator = await start_generator(bad_engines.Hanging, step_timeout_s=0.3)
    await works(generator, "before")
    hung = generator.worker.pid
    error = await fails(generator)
    assert (error["code"], error["message"]) == ("worker_died", DIED.message)
    assert "nothing for 0.3 s" in caplog.text
    with pytest.raises(ProcessLookupError):
        os.kill(hung, 0)
    await works(generator)


async def test_a_worker_that_is_killed_while_idle_is_started_again(generator):
    await works(generator, "before")
    killed = await generator.kill_worker()
    await works(generator)
    assert generator.worker.pid != killed


async def test_a_worker_that_does_not_start_again_is_not_ready(start_generator, tmp_path):
    weights = tmp_path / "weights"
    weights.touch()
    generator = await start_generator(functools.partial(bad_engines.Forsaken, weights=weights))
    await works(generator)
    weights.unlink()
    await generator.kill_worker()
    assert (await fails(generator))["code"] == "weights_missing"
    health = (await generator.call("GET", "/v1/health")).json
    assert (health["state"], health["models"]) == ("loading", [])


@pytest.mark.parametrize("engine", [bad_engines.Deaf, bad_engines.Unborn, bad_engines.Mumbling, bad_engines.Alien])
async def test_a_worker_that_does_not_start_fails_each_job(start_generator, engine):
    generator = await start_generator(engine, load_timeout_s=1)
    assert (await fails(generator))["code"] == "worker_died"
    assert (await fails(generator, job="job-2"))["code"] == "worker_died"


async def test_missing_weights_are_reported(start_generator, caplog):
    generator = await start_generator(bad_engines.Weightless)
    error = await fails(generator)
    # A person in the room cannot read the log. It has the message for whoever runs the bot.
    sentence = "The drawing computer doesn't have that model yet. Ask whoever runs me."
    assert (error["code"], error["message"]) == (WeightsMissing.CODE, sentence)
    assert "The weights of stand-in are not on this machine." in caplog.text


async def test_weights_that_one_picture_lacks_are_reported_and_the_worker_goes_on(start_generator, caplog):
    generator = await start_generator(bad_engines.Lacking)
    error = await fails(generator)
    assert (error["code"], error["message"]) == (WeightsMissing.CODE, WeightsMissing.SHOWN)
    assert "python -m generator fetch" in caplog.text
    pid = generator.worker.pid
    await works(generator)
    assert generator.worker.pid == pid


@pytest.mark.parametrize(
    ("rubbish", "words"),
    [("black", "one plain colour"), ("constant", "one plain colour"), ("small", "8×8"), ("grey", " L,")],
)
async def test_rubbish_is_refused_as_a_picture(start_generator, rubbish, words):
    generator = await start_generator(bad_engines.Rubbish)
    error = await fails(generator, rubbish)
    assert error["code"] == "bad_picture"
    assert words in error["message"]
    assert not list(generator.pictures.rglob("*.*"))
    await works(generator)


async def test_a_job_that_fails_halfway_keeps_its_pictures(start_generator):
    generator = await start_generator(bad_engines.Dying)
    recipes = [{"slots": {"subject": [subject]}, "steps": 1} for subject in ("good", "exit", "never drawn")]
    await generator.call("PUT", "/v1/jobs/job-1", json={"requester": "@ann:home", "recipes": recipes})
    ended = await generator.end("job-1")
    assert ended["state"] == "failed"
    assert [picture["prompt"] for picture in ended["pictures"]] == ["good"]


@pytest.mark.parametrize("place", [".", "otter"])
async def test_a_disk_that_cannot_be_written_fails_the_job(generator, place):
    in_the_way = generator.pictures / place
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.write_text("in the way")
    error = await fails(generator)
    assert error["code"] == "not_written"
    assert error["message"].startswith("The picture could not be written to disk: ")
    in_the_way.unlink()
    await works(generator)


async def test_a_theme_folder_that_is_a_link_is_not_followed(generator, tmp_path, caplog):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    generator.pictures.mkdir()
    (generator.pictures / "otter").symlink_to(elsewhere)
    error = await fails(generator)
    assert "is a link" in error["message"]
    assert "otter" not in caplog.text
    assert not list(elsewhere.iterdir())
