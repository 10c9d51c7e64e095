"""A request is drawn as near to what was asked as its model can, and the caption says so."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.easel.commands.starter_styles import STARTER_STYLES
from bot.easel.generator.types import Capabilities, read
from bot.easel.jobs.body import job_body
from bot.easel.jobs.fitting import fitted, nearest_size
from bot.easel.language import DrawRequest, Slots, parse_all, parse_draw, unused_note
from generator.models.cards import SAMPLERS
from generator.recipes.prompt import parse
from tests.helpers.fake_generator import capabilities

ROOT = Path(__file__).parents[2]
OTTER = DrawRequest(slots=Slots(subject=("otter",)))


@pytest.fixture
def known() -> Capabilities:
    """A generator with three models, of which pocket draws one size and turbo takes no guidance."""
    known = read(Capabilities, json.loads(capabilities().model_dump_json()))
    ssd, pocket, other = known.models
    small = replace(pocket.limits, min_side=64, max_side=64, max_pixels=4096, max_side_from_image=96)
    pocket = replace(
        pocket,
        limits=replace(small, max_pixels_from_image=9216),
        defaults=replace(pocket.defaults, width=64, height=64),
        sizes={"square": replace(pocket.sizes["square"], width=64, height=64)},
    )
    turbo = replace(ssd, name="turbo", limits=replace(ssd.limits, max_guidance_scale=0, max_steps=10))
    return replace(known, models=(ssd, pocket, other, turbo), samplers=SAMPLERS)


def fit(text: str, known: Capabilities, *, has_photo: bool = False):
    return fitted(parse_draw(text), known, has_photo=has_photo)


@pytest.mark.parametrize(
    ("text", "size", "notes"),
    [
        ("otter --size 768x1024", (768, 1024), ()),
        ("otter --size portrait", (640, 896), ()),
        ("otter --ar 3:4", (664, 888), ()),
        ("otter --ar 2.39:1", (1184, 496), ()),
        ("otter --size 2048x2048", (1024, 1024), ("ssd-1b can't draw 2048×2048. This is 1024×1024, the nearest.",)),
        ("otter --size 4000x1000", (1536, 384), ("ssd-1b can't draw 4000×1000. This is 1536×384, the nearest.",)),
        ("otter --size 64x64", (256, 256), ("ssd-1b can't draw 64×64. This is 256×256, the nearest.",)),
        ("otter --size 64x4000", (256, 1536), ("ssd-1b can't draw 64×4000. This is 256×1536, the nearest.",)),
        ("otter --ar 9:1", (1536, 256), ("ssd-1b can't draw 9:1. This is 1536×256, the nearest.",)),
        ("otter --model pocket --size 512x768", (64, 64), ("pocket draws 64×64 only, not 512×768.",)),
        ("otter --model pocket --size portrait", (64, 64), ("pocket draws 64×64 only, not portrait.",)),
        ("otter --model pocket --ar 3:4", (64, 64), ("pocket draws 64×64 only, not 3:4.",)),
        ("otter --model pocket --ar 1:1", (64, 64), ()),
        ("otter --model Pocket\nSteps: 20, Size: 512x768", (64, 64), ("pocket draws 64×64 only, not 512×768.",)),
    ],
)
def test_a_size_is_the_nearest_that_the_model_draws(known, text, size, notes):
    found = fit(text.replace("--model Pocket\n", "\nModel: Pocket, "), known)
    assert (found.request.size, found.request.aspect_ratio, found.notes) == (size, None, notes)


def test_from_a_photo_a_picture_may_be_larger(known):
    assert fit("otter --model pocket --size 96x96", known, has_photo=True).request.size == (96, 96)
    assert fit("otter --model pocket --size 144x144", known, has_photo=True).request.size == (96, 96)


@pytest.mark.parametrize("sides", [(1, 10**30), (10**30, 1), (7, 9), (10**15, 10**15)])
def test_any_size_fits(known, sides):
    for card in known.models:
        width, height = nearest_size(*sides, card.limits)
        assert card.limits.min_side <= min(width, height) and max(width, height) <= card.limits.max_side
        assert width * height <= card.limits.max_pixels


@pytest.mark.parametrize("sides", [(0, 8), (-8, 64)])
def test_a_size_that_is_none_is_left_to_the_generator(known, sides):
    assert fitted(replace(OTTER, size=sides), known, has_photo=False).request.size == sides


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        *(("--model SSD-1B", "ssd-1b"), ("--model ssd_1b", "ssd-1b"), ("--sampler Euler_A", "euler_a")),
        *(('--sampler "Euler a"', "euler_a"), ("--sampler DPM++ 2M", "dpmpp_2m"), ("--sampler PLMS", "pndm")),
        ("--tier Draft", "draft"),
    ],
)
def test_names_are_found_in_any_spelling(known, typed, name):
    request = fit(f"otter {typed}", known).request
    assert name in (request.model, request.sampler, request.tier)


def test_what_was_typed_is_left_to_the_generator_to_refuse(known):
    request = fit("otter --model dreamy --sampler ddim --steps 5000", known).request
    assert (request.model, request.sampler, request.steps) == ("dreamy", "ddim", 5000)


BLOCK = (
    "((((tail:1.7)))), otter\nNegative prompt: (((((((((ugly)))))))))\n"
    "Steps: 5000, Sampler: DDIM, CFG scale: 99, Seed: 99999999999999999999, Model: dreamy, Denoising strength: 0.4"
)


def test_what_was_pasted_is_left_out_or_bounded_and_said(known):
    found = fit(BLOCK, known)
    request = found.request
    assert request.slots.subject == ("(tail)2", "otter")
    assert request.negative_prompt == "(ugly)2"
    assert (request.steps, request.guidance_scale) == (100, 30)
    assert (request.sampler, request.model, request.seed, request.strength) == (None, None, None, None)
    assert found.unused == (
        "Model dreamy",
        "Sampler DDIM",
        "Seed 99999999999999999999",
        "Denoising strength 0.4",
    )
    assert found.notes == (
        "CFG scale 99 is 30 here: ssd-1b has 1 to 30.",
        "Steps 5000 is 100 here: ssd-1b has 1 to 100.",
        "Weights go from 0 to 2 here; some were outside.",
    )
    assert fit(BLOCK, known, has_photo=True).request.strength == 0.4
    assert unused_note(found.unused).startswith("Not used: Model dreamy, Sampler DDIM, ")


def test_a_pasted_model_that_is_not_here_yet_is_not_used(known):
    found = fit("otter\nSteps: 20, Model: Other", known)
    assert (found.request.model, found.unused) == (None, ("Model Other",))


def test_guidance_is_not_used_by_a_model_that_takes_none(known):
    found = fit("otter\nNegative prompt: blurry\nSteps: 8, CFG scale: 7, Model: turbo", known)
    assert found.request == replace(OTTER, model="turbo", steps=8)
    assert found.unused == ("CFG scale 7", "Negative prompt")


def test_a_flag_behind_a_block_is_typed(known):
    found = fit("otter\nSteps: 20, Sampler: DDIM\n--sampler ddim --steps 5000", known)
    assert (found.request.sampler, found.request.steps, found.unused) == ("ddim", 5000, ())


def test_weights_inside_the_limits_stay_as_they_are(known):
    text = "(otter, (hat:1.2)), [fog]\nSteps: 20"
    found = fit(text, known)
    assert (found.request.slots, found.notes) == (parse_draw(text).slots, ())


EXAMPLES = [
    example
    for document in ("README.md", "docs/using.md")
    for example in re.findall(
        r"^!draw (.+(?:\n(?!!|`).+)*)", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE
    )
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_documents_is_drawn_by_the_model_of_a_fresh_machine(known, example):
    styles = {**STARTER_STYLES, "watercolour-cosy": "cosy", "grandpa-cat": "cat", "cosy": "soft light"}
    asked = parse_all(example, styles=styles)
    fresh = replace(known, default_model="pocket")
    body = job_body(asked, fresh, requester="@ada:example.com", seed=1, wildcards={"animal": ("otter",)})
    here = [recipe for recipe in body["recipes"] if recipe.get("model", "pocket") == "pocket"]
    assert all((recipe.get("width", 64), recipe.get("height", 64)) == (64, 64) for recipe in here)


@pytest.mark.parametrize("pasted", ["{}", "Prompt: {}\nSteps: 20", "{}\nNegative prompt: x\nSteps: 20, Seed: 7"])
def test_a_long_prompt_is_drawn_as_far_as_the_generator_takes_it(known, pasted):
    most = known.limits.max_prompt_chars
    terms = [f"word {n}" for n in range(most // 8)]
    fit_one = fit(pasted.format(", ".join(terms)), known)
    kept = fit_one.request.slots.subject
    assert list(kept) == terms[: len(kept)] and most - 12 <= len(", ".join(kept)) <= most
    assert [*kept, *fit_one.unused] == terms
    assert unused_note(fit_one.unused).startswith(f"Not used: {terms[len(kept)]}, ")


def test_a_long_prompt_without_commas_is_cut_between_two_words(known):
    fit_one = fit("otter " * 400, known)
    assert fit_one.request.slots.subject == (" ".join(["otter"] * 333),) and len(fit_one.unused[0].split()) == 67


def test_long_words_to_leave_out_are_cut_too(known):
    terms = [f"word {n}" for n in range(300)]
    assert len(fit(f"otter --negative {', '.join(terms)}", known).request.negative_prompt) <= 2000
    request = fit(f"otter --no {', '.join(terms)}", known)
    default = known.models[0].defaults.negative_prompt
    assert len(", ".join((default, *request.request.no))) <= 2000 and [*request.request.no, *request.unused] == terms


@pytest.mark.parametrize("weakened", ["[{}]", "({}:0.5)", "({})-"])
def test_a_pasted_prompt_weakens_as_many_parts_as_the_generator_reads(known, weakened):
    most = known.limits.max_weakened
    text = ", ".join(weakened.format(f"word{n}") for n in range(most + 5))
    fit_one = fit(f"{text}\nNegative prompt: {text}\nSteps: 20, Seed: 7", known)
    for prompt in (fit_one.request.slots.joined(), fit_one.request.negative_prompt):
        assert sum(weight < 1 for _, weight in parse(prompt)) == most
        assert f"(word{most})" in prompt
    assert fit_one.notes == (f"I can weaken up to {most} parts of a prompt; the others keep their weight.",)
