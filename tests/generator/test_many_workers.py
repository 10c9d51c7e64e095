"""Several workers at once: each card by itself in health, pause and trouble, and one queue for all."""

import functools
from dataclasses import dataclass, field

import pytest
from PIL import Image, ImageChops

from generator.errors import DrawingFailed
from generator.models.registry import KeptCapabilities
from generator.service.dispatcher import Dispatcher
from generator.service.eta import Eta, Speeds, work_left
from generator.service.failures import MAX_FAILURES, Pauses
from generator.service.supervisor import PAUSED, RESTING
from generator.settings import Settings
from generator.workers.cards import Card, engine_on
from tests.helpers.bad_engines import Colour, Dying, Slow
from tests.helpers.running_generator import eventually, recipe_of

TWO = {"cuda:0": Slow, "cuda:1": Slow}


@dataclass
class Small(Colour):
    """A card of so many bytes, which is too small for every picture."""

    bytes: int = field(default=0)

    def start(self, draw):
        message = f"It needs 9 bytes; the drawing computer has {self.bytes}."
        raise DrawingFailed("does_not_fit", message, value=9, limit=self.bytes)


class Unusable(Colour):
    def hello(self):
        raise DrawingFailed("unusable_card", "This card is of no use.")


async def workers(generator):
    health = (await generator.call("GET", "/v1/health")).json
    return {worker["name"]: worker for worker in health["workers"]}


async def both_are_ready(generator):
    async def are_ready() -> bool:
        return all(worker["state"] == "ready" for worker in (await workers(generator)).values())

    await eventually(are_ready)


async def test_two_workers_draw_two_jobs_at_once(start_generator):
    generator = await start_generator(TWO)
    await both_are_ready(generator)
    await generator.submit("one", requester="@ann:home", steps=20)
    await generator.submit("two", requester="@bob:home", steps=20)
    await generator.until("one", "progress")
    await generator.until("two", "progress")
    assert sorted(worker["jobs"] for worker in (await workers(generator)).values()) == [["one"], ["two"]]
    assert (await generator.call("GET", "/v1/health")).json["running"] == 2
    for job in ("one", "two"):
        assert (await generator.end(job))["state"] == "done"
    metrics = (await generator.call("GET", "/metrics")).body.decode()
    assert 'easel_worker_up{worker="cuda:0"} 1.0' in metrics and 'easel_worker_up{worker="cuda:1"} 1.0' in metrics


async def test_a_pause_of_one_card_leaves_the_other(start_generator):
    generator = await start_generator(TWO)
    await both_are_ready(generator)
    await generator.submit("one", steps=40)
    await generator.until("one", "progress")
    drawing = next(name for name, worker in (await workers(generator)).items() if worker["jobs"])
    other = next(name for name in TWO if name != drawing)

    answer = await generator.call("POST", f"/v1/pause?worker={drawing}")
    assert answer.json["state"] == "ready" and generator.workers[drawing].pid is None
    assert (await generator.end("one"))["state"] == "done", "it goes on where there is a card"
    assert (await workers(generator))[drawing]["waiting_for"] == PAUSED

    assert (await generator.call("POST", f"/v1/pause?worker={other}")).json["state"] == "paused"
    await generator.submit("two", steps=1)
    assert (await generator.call("GET", "/v1/jobs/two")).json["waiting_for"] == PAUSED
    await generator.call("POST", f"/v1/resume?worker={drawing}")
    assert (await generator.end("two"))["state"] == "done"
    assert (await workers(generator))[other]["state"] == "paused"


async def test_a_card_that_is_not_there_is_refused_with_those_that_are(start_generator):
    generator = await start_generator(TWO)
    answer = await generator.call("POST", "/v1/pause?worker=cuda:7")
    assert answer.status == 422
    assert answer.json["error"]["message"] == "There is no “cuda:7” here. There is: cuda:0, cuda:1."


async def test_a_worker_that_does_not_start_is_one_worker_less(start_generator):
    generator = await start_generator({"bad": Unusable, "good": Slow}, pauses=Pauses(rest_s=600))

    async def rests() -> bool:
        return (await workers(generator))["bad"]["state"] == "resting"

    await eventually(rests)
    for job in ("one", "two", "three"):
        await generator.submit(job, requester=f"@{job}:home", steps=5)
    for job in ("one", "two", "three"):
        assert (await generator.end(job))["state"] == "done"
    bad = (await workers(generator))["bad"]
    assert (bad["waiting_for"], bad["trouble"]) == (RESTING, "This card is of no use.")
    assert 'easel_worker_up{worker="bad"} 0.0' in (await generator.call("GET", "/metrics")).body.decode()


async def test_after_three_failures_in_a_row_a_worker_rests_longer_each_time(start_generator, caplog):
    generator = await start_generator(Dying, pauses=Pauses(rest_s=0.1))
    for n in range(MAX_FAILURES + 1):
        await generator.submit(f"job-{n}", "exit")
        assert (await generator.end(f"job-{n}"))["error"]["code"] == "worker_died"
    rests = [record.message for record in caplog.records if "rests" in record.message]
    assert rests == [
        "cpu failed 3 times in a row; it rests for 0.1 s",
        "cpu failed 4 times in a row; it rests for 0.2 s",
    ]
    await generator.submit("good", "good")
    assert (await generator.end("good"))["state"] == "done", "after the rest it is tried again"


async def test_a_job_whose_worker_dies_goes_to_another_one(start_generator):
    generator = await start_generator({"bad": Dying, "good": Slow})
    await both_are_ready(generator)
    jobs = ("one", "two", "three", "four")
    for job in jobs:
        await generator.submit(job, "exit", requester=f"@{job}:home", steps=1)
    for job in jobs:
        assert (await generator.end(job))["state"] == "done"


async def test_what_waits_for_a_resting_worker_says_so(start_generator):
    generator = await start_generator(Dying, pauses=Pauses(rest_s=600))
    for n in range(MAX_FAILURES):
        await generator.submit(f"job-{n}", "exit")
        await generator.end(f"job-{n}")
    await generator.submit("waiting", "good")
    assert (await generator.call("GET", "/v1/jobs/waiting")).json["waiting_for"] == RESTING


async def test_a_picture_too_large_for_one_card_is_drawn_by_another(start_generator):
    generator = await start_generator({"small": functools.partial(Small, bytes=4), "large": Slow})
    for job in ("one", "two"):
        await generator.submit(job, requester=f"@{job}:home")
    for job in ("one", "two"):
        assert (await generator.end(job))["state"] == "done"


async def test_a_picture_too_large_for_all_fails_with_the_largest_cards_numbers(start_generator):
    engines = {f"card-{size}": functools.partial(Small, bytes=size) for size in (4, 8, 6)}
    generator = await start_generator(engines)
    await generator.submit("one")
    error = (await generator.end("one"))["error"]
    assert (error["code"], error["limit"]) == ("does_not_fit", 8)


async def test_two_real_workers_draw_at_once_and_alike(start_generator):
    settings = Settings(default_model="pocket", device="cpu")
    engine = engine_on(Card("cpu", "cpu"), settings)
    generator = await start_generator(
        {"cpu:0": engine, "cpu:1": engine}, load_timeout_s=120, capabilities=KeptCapabilities(settings)
    )
    await both_are_ready(generator)
    for person in ("ann", "bob"):
        await generator.submit(person, requester=f"@{person}:home", model="pocket", steps=30, seed=7)
    for person in ("ann", "bob"):
        await generator.until(person, "progress")
    drawn_by = {name: worker["jobs"] for name, worker in (await workers(generator)).items()}
    assert sorted(map(len, drawn_by.values())) == [1, 1]
    ends = [await generator.end(person) for person in ("ann", "bob")]
    assert [end["state"] for end in ends] == ["done", "done"]
    # Equal, unless the one that ended first has helped the other with its last steps.
    cards = max(picture["facts"]["plan"]["cards"] for end in ends for picture in end["pictures"])
    one, two = (Image.open(path) for path in generator.pictures.rglob("*.png"))
    assert levels_apart(one, two) <= cards - 1

    # Alone, a picture is drawn by both, also by a process that has come since.
    for call in ("pause", "resume"):
        await generator.call("POST", f"/v1/{call}?worker=cpu:1")
    await both_are_ready(generator)
    await generator.submit("cat", model="pocket", steps=30, seed=7)
    (picture,) = (await generator.end("cat"))["pictures"]
    assert picture["facts"]["plan"]["cards"] == 2
    (file,) = generator.pictures.rglob("*-cat-*.png")
    with Image.open(file) as shared:
        assert levels_apart(one, shared) <= 1


def levels_apart(one: Image.Image, other: Image.Image) -> int:
    """How far two pictures differ at most, in levels of 255."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


async def test_a_bug_in_the_dispatcher_ends_the_service(start_generator, monkeypatch):
    generator = await start_generator(TWO)
    monkeypatch.setattr(Dispatcher, "_chosen", lambda self: 1 / 0)
    await generator.submit("one")

    async def is_draining() -> bool:
        return (await generator.call("GET", "/v1/health")).json["state"] == "draining"

    await eventually(is_draining)


@pytest.mark.parametrize(
    ("seconds", "eta_s"),
    [
        ((1,), 6 + 3),
        ((1, 1), 6 / 2 + 3),
        # The second does a third of what comes before.
        ((1, 2), 6 * 2 / 3 + (3 + 6) / 2),
    ],
)
def test_workers_share_what_comes_before_a_job(seconds, eta_s):
    recipe = recipe_of(subject=("otter",))
    etas = [Eta() for _ in seconds]
    for eta, step_s in zip(etas, seconds, strict=True):
        eta.loaded = recipe.model
        eta.note(recipe, step_s)
    work = work_left(recipe)
    assert Speeds(*etas, Eta()).eta_s(work + work, work) == pytest.approx(eta_s, abs=0.1)
    assert Speeds(Eta()).eta_s(work, work) is None
