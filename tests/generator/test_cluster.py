"""Two machines on loopback, with the real Ray: pictures from the other one, whatever dies in between.

One cluster for all tests, which come in this order; each leaves it whole.
"""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import aiohttp
import psutil
import pytest

from generator.errors import DIED
from generator.service.jobs import AWAY
from tests.helpers.cluster import MODEL, OTHER_VERSION, OWN_MODEL, Part, parts
from tests.helpers.running_generator import RunningGenerator, eventually

# Starting Ray takes ten seconds, on a busy machine several times that.
START_S = 240


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    yield from parts(tmp_path_factory.mktemp("cluster"))


@pytest.fixture
async def generator(cluster):
    """The server, once the other machine has joined."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(cluster.socket))) as session:
        generator = RunningGenerator(cluster.socket, cluster.socket.parent / "pictures", {}, session, None, None)
        await has_joined(generator)
        yield generator


async def attic(generator) -> dict | None:
    try:
        health = (await generator.call("GET", "/v1/health")).json
    except aiohttp.ClientError:
        return None
    return next((worker for worker in health["workers"] if worker["name"] == "attic/cpu"), None)


async def has_joined(generator) -> None:
    async def is_there() -> bool:
        return await attic(generator) is not None

    await eventually(is_there, within_s=START_S)


async def is_away(generator) -> None:
    async def has_left() -> bool:
        return await attic(generator) is None

    await eventually(has_left, within_s=START_S)


async def drawing_pid(generator) -> int:
    return int((await attic(generator))["device"].rpartition(" ")[2])


async def submit(generator, job: str, subject: str = "otter", **recipe):
    answer = await generator.submit(job, subject, model=MODEL, width=512, height=512, **recipe)
    assert answer.status == 201, answer.json


async def is_done(generator, job: str) -> None:
    ended = await generator.end(job)
    assert ended["state"] == "done", ended


async def test_a_picture_comes_from_the_machine_that_has_its_model(generator):
    await submit(generator, "one", "slow otter", steps=10)
    steps = [event["step"] async for event in generator.events("one") if event["event"] == "progress"]
    assert steps[-1] == 10 and len(steps) > 2
    await is_done(generator, "one")
    assert (await generator.call("GET", "/v1/jobs/one/pictures/0")).body.startswith(b"\x89PNG")
    cards = (await generator.call("GET", "/v1/capabilities")).json["models"]
    assert {card["name"] for card in cards if card["available"]} == {MODEL, OWN_MODEL, "pocket"}


async def test_a_photo_travels_and_is_deleted(generator, cluster):
    photo = Path(__file__).parents[2].joinpath("avatar.png").read_bytes()
    sha256 = hashlib.sha256(photo).hexdigest()
    assert (await generator.call("PUT", f"/v1/images/{sha256}", data=photo)).status == 200
    await submit(generator, "photo", image=sha256, steps=10)
    await is_done(generator, "photo")
    recipe = (await generator.call("GET", "/v1/jobs/photo/pictures/0/recipe")).body.decode()
    kept = next(cluster.socket.parent.glob(f"pictures/.images/{sha256}"))
    assert f"photo: {kept.stat().st_size}" in recipe
    folder = machines_folder(cluster)
    assert not [file for file in folder.glob("photos-*/*")]


def machines_folder(cluster) -> Path:
    return Path(machine_process(cluster).environ()["EASEL_CLUSTER_FOLDER"])


def machine_process(cluster) -> psutil.Process:
    """The actor: what raylet starts on the other machine, and what starts the drawing processes."""
    return next(process for process in cluster.machine.below() if process.name().startswith("ray::Machine"))


async def test_a_wrong_token_or_version_is_refused_with_a_sentence(generator, cluster):
    wrong = cluster.folder / "wrong"
    wrong.write_text("f" * 64)
    log = cluster.folder / "refused.log"
    join = ["worker", *cluster.join]
    refused = [
        Part([*join, "--token-file", str(wrong)], log),
        Part(join, log, {OTHER_VERSION: "0.0.9"}),
    ]
    for part in refused:
        part.start()
    for part in refused:
        assert await asyncio.to_thread(part.process.wait, START_S) == 1
    said = log.read_text()
    assert "refuses the token: copy its token file to this machine." in said
    assert "runs Easel 0.1.0 on Python" in said and "and this machine Easel 0.0.9 on Python" in said


async def test_a_cancelled_job_leaves_the_card_at_once(generator):
    await submit(generator, "long", "slow otter", steps=100, pictures=9)
    await generator.until("long", "progress")
    await generator.call("DELETE", "/v1/jobs/long")
    before = asyncio.get_running_loop().time()
    await submit(generator, "after", steps=1)
    await is_done(generator, "after")
    assert asyncio.get_running_loop().time() - before < 4, "a picture of the cancelled job takes longer"


async def test_a_killed_drawing_process_costs_no_picture(generator):
    await submit(generator, "killed", "slow otter", steps=20)
    await generator.until("killed", "progress")
    os.kill(await drawing_pid(generator), signal.SIGKILL)
    await is_done(generator, "killed")


async def test_after_three_deaths_a_job_fails_with_a_sentence(generator):
    await submit(generator, "deadly", "it dies")
    ended = await generator.end("deadly")
    assert ended["error"]["message"] == DIED.message


async def test_a_frozen_machine_is_killed_and_its_job_drawn(generator, cluster):
    frozen = machine_process(cluster)
    await submit(generator, "frozen", "slow otter", steps=40)
    await generator.until("frozen", "progress")
    frozen.suspend()
    await is_done(generator, "frozen")
    assert not frozen.is_running()


async def test_a_frozen_drawing_process_is_killed_and_its_job_drawn(generator):
    await submit(generator, "stuck", "slow otter", steps=40)
    await generator.until("stuck", "progress")
    frozen = psutil.Process(await drawing_pid(generator))
    frozen.suspend()
    await is_done(generator, "stuck")
    assert not frozen.is_running()


async def test_what_waits_for_a_killed_machine_says_so(generator, cluster):
    await submit(generator, "lost", "slow otter", steps=40)
    await generator.until("lost", "progress")
    await asyncio.to_thread(cluster.machine.kill)
    await is_away(generator)
    status = (await generator.call("GET", "/v1/jobs/lost")).json
    assert (status["state"], status["waiting_for"]) == ("queued", AWAY)
    cluster.machine.start()
    await is_done(generator, "lost")


async def test_a_lost_head_comes_back_and_the_server_stays(generator, cluster):
    await submit(generator, "headless", "slow otter", steps=40, pictures=2)
    await generator.until("headless", "picture")
    cluster.server.find("gcs_server").kill()
    await is_done(generator, "headless")
    assert cluster.server.process.poll() is None


async def test_a_killed_server_leaves_no_process_and_draws_no_picture_twice(generator, cluster):
    await submit(generator, "twice", "slow otter", steps=40, pictures=2)
    first = (await generator.until("twice", "picture"))["picture"]
    await asyncio.to_thread(cluster.server.kill)
    cluster.server.start()

    async def answers() -> bool:
        try:
            return (await generator.call("GET", "/v1/health")).status == 200
        except aiohttp.ClientError:
            return False

    await eventually(answers, within_s=START_S)
    await submit(generator, "twice", "slow otter", steps=40, pictures=2)
    status = (await generator.call("GET", "/v1/jobs/twice")).json
    assert status["pictures"] == [first]
    assert status["waiting_for"] in (AWAY, "Warming up, your picture is next.")
    await is_done(generator, "twice")


async def test_a_machine_that_is_asked_to_leave_ends_its_picture_first(generator, cluster):
    await submit(generator, "last", "slow otter", steps=20)
    await generator.until("last", "progress")
    assert await asyncio.to_thread(cluster.machine.end) == 0
    status = (await generator.call("GET", "/v1/jobs/last")).json
    assert status["state"] == "done"
    await is_away(generator)
