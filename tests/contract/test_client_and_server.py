"""The bot's client and the real server, with its worker process, understand each other."""

import asyncio
import io
from dataclasses import fields

import pytest
import yaml
from PIL import Image

from bot.easel.commands.status import CARD_STATES, STATES
from bot.easel.generator import types as words
from bot.easel.generator.client import GeneratorClient, Server
from bot.easel.generator.errors import GeneratorError, Interrupted, NotRunning, QueueFull, Refused
from bot.easel.jobs.body import job_body
from bot.easel.language import Asked, parse_all, parse_draw
from generator import __version__
from generator.api import types as api
from generator.api.capabilities import Capabilities, CardDefaults, CardDraft, CardLimits, ModelCard, RequestLimits, Size
from tests.helpers.bad_engines import (
    Dying,
    Failing,
    Greedy,
    Hanging,
    Raising,
    Rubbish,
    Showing,
    Slow,
    Unborn,
    Weightless,
)
from tests.helpers.shipped_settings import settings


def client(socket) -> GeneratorClient:
    return GeneratorClient(Server.of(settings(generator_url=f"unix://{socket}")), __version__)


async def submit(client: GeneratorClient, typed: str, job: str = "job") -> words.JobStatus:
    """Parse a command and submit its job, as the bot does."""
    known, _ = await client.capabilities()
    body = job_body(parse_all(f"{typed} --steps 3"), known, requester="@ada:home", seed=41)
    return await client.submit(job, body)


async def follow(client: GeneratorClient, job: str = "job") -> list[words.JobEvent]:
    async with asyncio.timeout(20):
        return [event async for event in client.follow(job)]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Size, words.Size),
        (CardDefaults, words.CardDefaults),
        (CardLimits, words.CardLimits),
        (CardDraft, words.CardDraft),
        (ModelCard, words.ModelCard),
        (RequestLimits, words.RequestLimits),
        (Capabilities, words.Capabilities),
        (api.Health, words.Health),
        (api.WorkerHealth, words.WorkerHealth),
        (api.Memory, words.Memory),
        (api.Recipe, words.Recipe),
        (api.Facts, words.Facts),
        (api.Picture, words.Picture),
        (api.Error, words.Error),
        (api.JobStatus, words.JobStatus),
        (api.PositionEvent, words.Position),
    ],
)
def test_the_bot_reads_only_fields_of_the_contract(theirs, ours):
    assert {field.name for field in fields(ours)} <= set(theirs.model_fields)


def test_the_bot_knows_every_state_of_the_generator():
    assert STATES.keys() == set(api.ServiceState)
    assert CARD_STATES.keys() == set(api.WorkerStatus)


async def test_previews_are_ignored(start_generator):
    generator = await start_generator(Showing)
    bot = client(generator.socket)
    await submit(bot, "otter")
    assert [type(event).__name__ for event in await follow(bot)][-1] == "JobStatus"


async def test_health_and_capabilities(generator):
    bot = client(generator.socket)
    health = await bot.health()
    assert health.state in set(api.ServiceState)
    known, answer = await bot.capabilities()
    assert Capabilities.model_validate_json(answer).default_model == known.default_model == "stand-in"
    assert known.card(None).name == "stand-in"


async def test_a_command_becomes_a_picture(generator):
    bot = client(generator.socket)
    status = await submit(bot, "otter, (cowboy hat)++ | style: watercolor --seed 7 --size 64x96 --no bokeh")
    assert not status.state.is_final
    events = await follow(bot)
    (picture,) = [event for event in events if isinstance(event, words.Picture)]
    assert isinstance(events[-1], words.JobStatus)
    assert events[-1].state == "done"
    assert events[-1].pictures == (picture,)
    assert (picture.recipe.seed, picture.width, picture.height) == (7, 64, 96)

    png = (await bot.picture("job", 0)).data
    assert len(png) == picture.size
    assert Image.open(io.BytesIO(png)).size == (64, 96)
    assert len(await bot.thumbnail("job", 0)) == picture.thumbnail_size
    recipe = yaml.safe_load(await bot.recipe("job", 0))
    assert recipe["slots"]["subject"] == ["otter", "(cowboy hat)++"]
    assert recipe["slots"]["style"] == ["watercolor"]
    assert recipe["negative_prompt"] == "ugly, poor quality, bokeh"


async def test_a_picture_is_made_to_fit_and_its_png_is_kept(generator):
    bot = client(generator.socket)
    await submit(bot, "otter --seed 7 --size 64x96")
    await follow(bot)
    # Noise, which needs many bytes.
    (path,) = generator.pictures.rglob("*.png")
    Image.effect_noise((400, 400), 80).convert("RGB").save(path)
    png = path.read_bytes()
    assert await bot.picture("job", 0, max_bytes=len(png)) == words.ImageData(png)
    copy = await bot.picture("job", 0, max_bytes=70_000)
    assert (copy.mimetype, len(copy.data) <= 70_000) == ("image/jpeg", True)
    assert Image.open(io.BytesIO(copy.data)).size == copy.size
    # No smaller one is made.
    assert len((await bot.picture("job", 0, max_bytes=1)).data) > 30_000
    assert path.read_bytes() == png


async def test_a_damaged_picture_is_made_to_fit_by_nobody(generator):
    bot = client(generator.socket)
    await submit(bot, "otter --seed 7 --size 64x96")
    await follow(bot)
    (path,) = generator.pictures.rglob("*.png")
    path.write_bytes(b"x" * 70_000)
    with pytest.raises(Interrupted):
        await bot.picture("job", 0, max_bytes=65_536)
    refused = await generator.call("GET", "/v1/jobs/job/pictures/0?max_bytes=many")
    assert (refused.status, refused.json["error"]["code"]) == (422, "invalid")


async def test_a_recipe_file_pasted_into_the_chat_is_drawn_again(generator):
    bot = client(generator.socket)
    await submit(bot, "otter, cowboy hat | outfit: denim jacket --theme rivers --seed 7 --size 64x96")
    await follow(bot)
    pasted = parse_draw((await bot.recipe("job", 0)).decode())
    known, _ = await bot.capabilities()
    await bot.submit("again", job_body(Asked((pasted,)), known, requester="@bob:home", seed=1))
    await follow(bot, "again")
    again, first = await bot.picture("again", 0), await bot.picture("job", 0)
    assert _pixels(again.data) == _pixels(first.data)
    first, second = [yaml.safe_load(await bot.recipe(job, 0)) for job in ("job", "again")]
    assert {key: first[key] for key in first if key != "facts"} == {
        key: second[key] for key in second if key != "facts"
    }


async def test_one_job_brings_three_pictures(generator):
    bot = client(generator.socket)
    await submit(bot, "otter -n 3")
    pictures = [event for event in await follow(bot) if isinstance(event, words.Picture)]
    assert [(picture.n, picture.recipe.seed) for picture in pictures] == [(0, 41), (1, 42), (2, 43)]


async def test_submitting_twice_makes_one_job_and_a_finished_job_can_be_followed(generator):
    bot = client(generator.socket)
    await submit(bot, "otter")
    await follow(bot)
    assert (await submit(bot, "otter")).state == "done"
    (last,) = await follow(bot)
    assert isinstance(last, words.JobStatus)
    assert len(last.pictures) == 1


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("otter --model ssd-1c", ["ssd-1c", "stand-in"]),
        ("otter --model standing", ["Did you mean stand-in?"]),
        ("otter --sampler magic", ["magic", "unipc", "euler_a"]),
        ("otter --tier quick", ["quick", "exact", "draft"]),
        ("otter --cfg 99", ["--cfg", "30"]),
        ("(" * 20 + "otter" + ")" * 20, ["8"]),
        (f"otter --theme {'x' * 70}", ["64"]),
    ],
)
async def test_refusals_are_sentences_that_name_limit_and_choices(generator, typed, parts):
    with pytest.raises(GeneratorError) as error:
        await submit(client(generator.socket), typed)
    assert type(error.value) is Refused
    sentence = str(error.value)
    assert sentence[0].isupper() or sentence.startswith("--") or sentence.split()[0].replace("-", "_").isidentifier()
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 300
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("typed", ["--size 8x64", "--size 9000x64", "--size 5000x5000", "--ar 99:1", "--ar 2.39:1"])
async def test_every_size_that_the_bot_fits_is_accepted(generator, typed):
    assert (await submit(client(generator.socket), f"otter {typed}")).state is words.GeneratorJobState.QUEUED


async def test_a_full_queue_is_refused(slow_generator):
    bot = client(slow_generator.socket)
    with pytest.raises(QueueFull, match="The queue is full") as full:
        for n in range(20):
            await submit(bot, "otter", f"job-{n}")
    assert full.value.retry_after_s >= 1


@pytest.mark.parametrize(
    ("engine", "typed"),
    [
        (Raising, "bad"),
        (Failing, "bad"),
        (Dying, "exit"),
        (Dying, "segfault"),
        (Rubbish, "black"),
        (Greedy, "bad"),
        (Unborn, "otter"),
        (Weightless, "otter"),
    ],
)
async def test_a_bad_engine_ends_in_a_sentence(start_generator, engine, typed):
    bot = client((await start_generator(engine)).socket)
    await submit(bot, typed)
    last = (await follow(bot))[-1]
    assert isinstance(last, words.JobStatus)
    assert last.state == "failed"
    assert last.error.message[0].isupper()
    assert last.error.message.endswith(".")
    assert "Traceback" not in last.error.message


async def test_a_job_on_a_hanging_engine_fails(start_generator):
    bot = client((await start_generator(Hanging, step_timeout_s=0.5)).socket)
    await submit(bot, "otter")
    last = (await follow(bot))[-1]
    assert isinstance(last, words.JobStatus)
    assert last.state == "failed"


async def test_a_pause_is_given_as_the_reason_to_wait(start_generator):
    generator = await start_generator(Slow)
    await generator.call("POST", "/v1/pause")
    bot = client(generator.socket)
    await submit(bot, "otter")
    assert (await bot.health()).state == "paused"
    reasons = set()
    async for event in bot.follow("job"):
        if isinstance(event, words.JobStatus | words.Position):
            reasons.add(event.waiting_for)
        if reasons - {None} and (await bot.health()).state == "paused":
            await generator.call("POST", "/v1/resume")
    assert any(reason and reason.endswith(".") for reason in reasons)


async def test_a_corrected_command_takes_the_place_of_the_waiting_one(generator):
    bot = client(generator.socket)
    await generator.call("POST", "/v1/pause")
    await submit(bot, "otter", "old")
    await submit(bot, "owl", "other")
    known, _ = await bot.capabilities()
    body = job_body(parse_all("otter, hat"), known, requester="@ada:home", seed=41, replaces="old")
    assert (await bot.submit("new", body)).position == 1
    assert (await follow(bot, "old"))[-1].state == "cancelled"


async def test_a_job_that_someone_else_cancels_ends_as_cancelled(slow_generator):
    bot = client(slow_generator.socket)
    await submit(bot, "otter")
    await slow_generator.call("DELETE", "/v1/jobs/job")
    last = (await follow(bot))[-1]
    assert isinstance(last, words.JobStatus)
    assert last.state == "cancelled"


async def test_a_generator_that_stops_for_good_is_not_running(slow_generator):
    bot = client(slow_generator.socket)
    await submit(bot, "otter")
    with pytest.raises(Interrupted):
        async for _ in bot.follow("job"):
            await slow_generator.runner.cleanup()
    with pytest.raises(NotRunning):
        await bot.health()


async def test_a_job_can_be_submitted_again_after_a_restart(start_generator):
    first = await start_generator(Slow)
    bot = client(first.socket)
    await submit(bot, "otter -n 9")
    with pytest.raises(Interrupted):
        async for _ in bot.follow("job"):
            await first.stop()
    await start_generator(Slow, socket=first.socket)
    with pytest.raises(Interrupted):
        await follow(bot)
    await submit(bot, "otter -n 9")
    last = (await follow(bot))[-1]
    assert isinstance(last, words.JobStatus)
    assert last.state == "done"


def _pixels(png: bytes) -> bytes:
    return Image.open(io.BytesIO(png)).tobytes()
