"""The JSON of a job for every kind of request."""

import json

import pytest

from bot.easel.generator.types import Capabilities, read
from bot.easel.jobs.body import PICK, CannotAsk, job_body
from bot.easel.jobs.job import job_id
from bot.easel.language import Asked, DrawRequest, EarlierFacts, Slots, parse_all
from generator.api import limits
from generator.api import types as api

OTTER = Slots(subject=("otter",))


@pytest.fixture
def known(fake_generator) -> Capabilities:
    return read(Capabilities, json.loads(fake_generator.capabilities.model_dump_json()))


def body(known: Capabilities, **given):
    job = job_body(Asked((DrawRequest(slots=OTTER, **given),)), known, requester="@ada:example.com", seed=41)
    # Every body follows the contract.
    api.JobRequest.model_validate(json.loads(json.dumps(job)))
    return job


def test_only_fields_that_were_given_are_sent(known):
    assert body(known) == {
        "requester": "@ada:example.com",
        "recipes": [
            {
                "slots": {"subject": ("otter",), "outfit": (), "environment": (), "emotions": (), "style": ()},
                "model": "ssd-1b",
                "seed": 41,
            }
        ],
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"steps": 12, "guidance_scale": 7.5, "sampler": "x", "tier": "fast"}, None),
        ({"theme": "otters", "model": "pocket"}, None),
        ({"negative_prompt": "cars"}, None),
        ({"negative_prompt": ""}, None),
        ({"no": ("bokeh", "cars")}, {"negative_prompt": "ugly, text, bokeh, cars"}),
        ({"no": ("bokeh",), "negative_prompt": "cars"}, {"negative_prompt": "cars, bokeh"}),
        ({"no": ("bokeh",), "negative_prompt": ""}, {"negative_prompt": "bokeh"}),
        ({"size": (512, 640)}, {"width": 512, "height": 640}),
        ({"size": "portrait"}, {"width": 640, "height": 896}),
        ({"size": "landscape"}, {"width": 896, "height": 640}),
        ({"size": "square"}, {"width": 768, "height": 768}),
        ({"aspect_ratio": (1, 1)}, {"width": 768, "height": 768}),
        ({"aspect_ratio": (3, 4)}, {"width": 664, "height": 888}),
        ({"aspect_ratio": (16, 9)}, {"width": 1024, "height": 576}),
        ({"aspect_ratio": (4, 1)}, {"width": 1536, "height": 384}),
        ({"aspect_ratio": (6, 1)}, {"width": 1536, "height": 256}),
        (
            {"facts": EarlierFacts(model_revision="r", plan={"dtype": "fp16"})},
            {"facts": {"model_revision": "r", "plan": {"dtype": "fp16"}}},
        ),
    ],
)
def test_fields_that_were_given_are_sent(known, given, sent):
    (recipe,) = body(known, **given)["recipes"]
    expected = given if sent is None else sent
    assert {key: recipe[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ({}, [41]),
        ({"count": 3}, [41, 42, 43]),
        ({"seed": 7, "count": 2}, [7, 8]),
        ({"seed": 2**53 - 1, "count": 2}, [2**53 - 1, 0]),
    ],
)
def test_every_picture_has_its_own_seed(known, given, seeds):
    assert [recipe["seed"] for recipe in body(known, **given)["recipes"]] == seeds


@pytest.mark.parametrize("count", [0, -1, 10, 10**12])
def test_a_count_out_of_range_is_refused_before_anything_is_built(known, count):
    with pytest.raises(CannotAsk, match="-n goes from 1 to 9"):
        job_body(Asked((DrawRequest(slots=OTTER, count=count),)), known, requester="x", seed=1)


@pytest.mark.parametrize("width", range(1, 12))
@pytest.mark.parametrize("height", range(1, 12))
def test_every_ratio_keeps_the_models_limits(known, width, height):
    (recipe,) = body(known, aspect_ratio=(width, height))["recipes"]
    sides = recipe["width"], recipe["height"]
    assert all(256 <= side <= 1536 and side % 8 == 0 for side in sides)
    assert recipe["width"] * recipe["height"] <= 1024 * 1024
    nearest = min(max(width / height, 1 / 6), 6)
    assert sides[0] / sides[1] == pytest.approx(nearest, rel=0.03)


def test_an_unknown_model_is_left_to_the_generator_to_refuse(known):
    (recipe,) = body(known, model="nope", size="portrait", no=("cars",))["recipes"]
    assert recipe["model"] == "nope"
    assert "width" not in recipe


def test_a_message_is_always_the_same_job():
    assert job_id("$a:example.com") == job_id("$a:example.com") != job_id("$b:example.com")
    assert len(job_id("$a")) == 32
    assert set(job_id("$a")) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@pytest.mark.parametrize(
    ("text", "sheet"),
    [
        ("otter", None),
        ("otter -n 3 --seed 7", {"columns": ["seed 7", "seed 8", "seed 9"]}),
        ("otter | style: {watercolor | pop art}", {"columns": ["watercolor", "pop art"]}),
        (
            "otter | style: {watercolor | pop art} --steps 10,20,30",
            {"columns": ["steps 10", "steps 20", "steps 30"], "rows": ["watercolor", "pop art"]},
        ),
        (
            "{otter | owl} --steps 10,20 --cfg 7,12",
            {
                "columns": ["cfg 7", "cfg 12"],
                "rows": ["otter, steps 10", "otter, steps 20", "owl, steps 10", "owl, steps 20"],
            },
        ),
        ("{otter | owl} -n 2", {"columns": ["seed 41", "seed 42"], "rows": ["otter", "owl"]}),
    ],
)
def test_several_pictures_come_on_a_sheet_with_headings(known, text, sheet):
    job = job_body(parse_all(text), known, requester="@ada:example.com", seed=41)
    assert job.get("sheet") == (sheet and {**sheet, "notes": [PICK]})
    asked = api.JobRequest.model_validate(json.loads(json.dumps(job)))
    assert sheet is None or asked.sheet.pictures == len(asked.recipes) == parse_all(text).pictures


def test_all_cells_share_the_seed_unless_it_varies(known):
    def seeds(text: str) -> list[int]:
        job = job_body(parse_all(text), known, requester="x", seed=41)
        return [recipe["seed"] for recipe in job["recipes"]]

    assert seeds("{otter | owl} --steps 1,2") == [41] * 4
    assert seeds("{otter | owl} --seed 3,5") == [3, 5, 3, 5]
    assert seeds("{otter | owl} -n 2") == [41, 42, 41, 42]


def test_long_headings_are_cut_to_the_generators_limit(known):
    long = "very " * 60
    job = job_body(parse_all(f"{{{long}otter | owl}} --steps 1,2"), known, requester="x", seed=1)
    assert [len(row) for row in job["sheet"]["rows"]] == [limits.MAX_HEADING_CHARS, 3]
    api.JobRequest.model_validate(json.loads(json.dumps(job)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{otter -n 2 | owl}", "-n counts all pictures. Put it outside the braces."),
        ("{otter -n 2 | owl -n 3}", "-n counts all pictures. Put it outside the braces."),
        (
            "otter --seed 1,2 -n 2",
            "Use a list of seeds or -n, not both.",
        ),
    ],
)
def test_lists_that_conflict_with_n_are_refused(known, text, sentence):
    with pytest.raises(CannotAsk) as refused:
        job_body(parse_all(text), known, requester="x", seed=1)
    assert str(refused.value) == sentence


def test_a_sheet_too_large_is_refused_with_its_lists(known):
    with pytest.raises(CannotAsk, match=r"3 × 4 makes 12 pictures. One !draw draws up to 9\."):
        job_body(parse_all("{a|b|c} --steps 1,2,3,4"), known, requester="x", seed=1)
    with pytest.raises(CannotAsk, match=r"3 × 4 makes 12 pictures. One !draw draws up to 9\."):
        job_body(parse_all("{a|b|c} -n 4"), known, requester="x", seed=1)
