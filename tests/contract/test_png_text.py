"""What the generator writes into a PNG is A1111's syntax, and the bot reads it back as the same request."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager
from sd_parsers.data import Generators

from bot.easel.language import ParseError, parse_draw
from generator.api.types import SLOTS, Recipe, Slots
from generator.models.cards import SAMPLERS, TIERS
from generator.pictures.parameters import SAMPLER_NAMES, a1111_parameters
from generator.recipes import prompt
from generator.recipes.validation import _prompt

WORDS = st.sampled_from(
    [
        "otter",
        "cowboy hat",
        "sci-fi",
        "16:9",
        "猫",
        "don't",
        "hat!",
        '5" tall',
        "R2D2",
        "re: zero",
        "fog AND sea",
        "a; b",
    ]
)
WEIGHTS = st.sampled_from(["", "+", "++", "-", "--", "1.3", "0.55", "2"])
ODD = st.sampled_from([r"\(animal\)", r"\[x\]", "[", "(", ")", "[a|b]", "#1", "50%", ":)", ":-(", "<3", "a_b", "{x}"])


def weighted(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    words = st.lists(inside, min_size=1, max_size=2).map(", ".join)
    return st.tuples(words, WEIGHTS).map(lambda spelling: f"({spelling[0]}){spelling[1]}")


TERMS = st.recursive(WORDS, weighted, max_leaves=3) | st.tuples(WORDS, ODD).map(" ".join)
RECIPES = st.builds(
    Recipe,
    slots=st.builds(
        Slots,
        **dict.fromkeys(SLOTS, st.lists(TERMS, max_size=2).map(tuple)),
    ).filter(lambda slots: slots.subject),
    negative_prompt=st.lists(TERMS, max_size=3).map(", ".join),
    theme=st.sampled_from(["otter", "otters, owls", 'the "best": 1', "猫"]),
    model=st.sampled_from(["ssd-1b", "sd-1.5", "pocket"]),
    seed=st.integers(0, 2**53 - 1),
    width=st.integers(8, 512).map(lambda side: side * 8),
    height=st.integers(8, 512).map(lambda side: side * 8),
    steps=st.integers(1, 100),
    guidance_scale=st.floats(0, 30).map(lambda scale: round(scale, 3)),
    sampler=st.sampled_from(SAMPLERS),
    tier=st.sampled_from(TIERS),
    image=st.none(),
    strength=st.none(),
) | st.builds(
    Recipe,
    slots=st.just(Slots(subject=("otter", "(hat)++"))),
    negative_prompt=st.just(""),
    theme=st.just("otter"),
    model=st.just("pocket"),
    seed=st.just(7),
    width=st.just(64),
    height=st.just(64),
    steps=st.just(9),
    guidance_scale=st.just(7.5),
    sampler=st.just("unipc"),
    tier=st.just("exact"),
    image=st.text("0123456789abcdef", min_size=64, max_size=64),
    strength=st.sampled_from([0.35, 0.6, 1.0]),
)


def weights(text: str) -> list[tuple[str, float]]:
    """Each word with its weight; white space and where commas stand do not reach the model as words."""
    return [
        (word, pytest.approx(weight, abs=1e-5))
        for words, weight in prompt.parse(_prompt(text))
        for word in words.replace(",", " , ").casefold().split()
        if word != ","
    ]


def is_drawable(text: str) -> bool:
    try:
        prompt.parse(_prompt(text))
    except prompt.PromptError:
        return False
    return True


@settings(max_examples=300)
@given(RECIPES)
@example(
    Recipe(
        slots=Slots(subject=("otter", "(cowboy hat)1.3", "(fog)--")),
        negative_prompt="(text)1.2",
        theme="otter",
        model="ssd-1b",
        seed=7,
        width=768,
        height=768,
        steps=20,
        guidance_scale=12.0,
        sampler="unipc",
        tier="exact",
    )
)
def test_the_text_of_a_png_draws_its_recipe_again(recipe):
    if not is_drawable(recipe.prompt) or not is_drawable(recipe.negative_prompt):
        return
    read = parse_draw(a1111_parameters(recipe, enlarged=8))
    assert weights(read.slots.joined()) == weights(recipe.prompt)
    assert weights(read.negative_prompt) == weights(recipe.negative_prompt)
    assert (read.size, read.seed, read.steps) == ((recipe.width, recipe.height), recipe.seed, recipe.steps)
    assert read.guidance_scale == pytest.approx(recipe.guidance_scale)
    assert (read.model, read.sampler, read.theme) == (recipe.model, recipe.sampler, recipe.theme)
    assert (read.tier or "exact", read.image, read.strength) == (recipe.tier, recipe.image, recipe.strength)
    assert read.unused == ()


def test_every_sampler_has_a_name_of_the_web_uis():
    assert SAMPLER_NAMES.keys() == set(SAMPLERS)


@pytest.mark.parametrize("negative", ["(text)1.2, ugly", ""])
def test_sd_parsers_reads_a_png_as_a1111s(negative):
    recipe = Recipe(
        slots=Slots(subject=("otter", "(cowboy hat)++"), style=("ink",)),
        negative_prompt=negative,
        theme="otter",
        model="ssd-1b",
        seed=7,
        width=64,
        height=96,
        steps=20,
        guidance_scale=7.5,
        sampler="euler_a",
        tier="exact",
    )
    texts, out = PngInfo(), io.BytesIO()
    texts.add_text("parameters", a1111_parameters(recipe))
    Image.new("RGB", (64, 96)).save(out, "PNG", pnginfo=texts)
    out.seek(0)
    read = ParserManager().parse(Image.open(out))
    assert read is not None and read.generator is Generators.AUTOMATIC1111
    (sampler,) = read.samplers
    assert (sampler.name, sampler.parameters["steps"], sampler.parameters["cfg_scale"]) == ("Euler a", "20", "7.5")
    assert sampler.parameters["seed"] == "7"
    assert read.full_prompt == "otter, (cowboy hat:1.21), ink"
    assert read.full_negative_prompt == ("(text:1.2), ugly" if negative else "")
    assert [model.name for model in read.models] == ["ssd-1b"]


@given(st.text(alphabet='ab ,()[]:"\\+-12.\n', max_size=60))
def test_any_prompt_is_written_so_that_it_is_read(text):
    if not is_drawable(text):
        return
    recipe = Recipe.model_construct(
        slots=Slots.model_construct(subject=(text,)),
        negative_prompt="",
        theme="a",
        model="m",
        seed=1,
        width=64,
        height=64,
        steps=1,
        guidance_scale=1.0,
        sampler="unipc",
        tier="exact",
        image=None,
        strength=None,
    )
    try:
        assert parse_draw(a1111_parameters(recipe)).seed == 1
    except ParseError as error:
        assert str(error).endswith((".", "?"))
