"""A request becomes a full recipe: defaults, rounding, and a refusal for every limit."""

import pytest
from pydantic import ValidationError

from generator.api import limits
from generator.api.refusals import refusal
from generator.api.types import RecipeRequest, Slots
from generator.errors import Refused
from generator.models.registry import capabilities
from generator.recipes.validation import resolve
from generator.settings import Settings
from tests.helpers.stand_in import stand_in_card

CAPABILITIES = capabilities(Settings(device="cpu", default_model="ssd-1b", models={"stand-in": stand_in_card()}))
CARDS = {card.name: card for card in CAPABILITIES.models}
OTTER = Slots(subject=("otter", "cowboy hat"))


def resolved(job_id="job", n=0, **fields):
    request = RecipeRequest(**{"slots": OTTER, **fields})
    return resolve(request, cards=CARDS, default_model=CAPABILITIES.default_model, job_id=job_id, n=n)


def test_missing_fields_come_from_the_models_card():
    recipe = resolved()
    assert (recipe.model, recipe.width, recipe.height, recipe.steps) == ("ssd-1b", 768, 768, 30)
    assert (recipe.guidance_scale, recipe.sampler, recipe.tier) == (12.0, "unipc", "exact")
    assert recipe.negative_prompt.startswith("ugly, poor quality, bad anatomy")
    assert recipe.theme == "otter"
    assert recipe.prompt == "otter, cowboy hat"


def test_given_fields_are_kept():
    given = {"model": "stand-in", "seed": 7, "width": 512, "height": 640, "steps": 12, "guidance_scale": 5.5}
    recipe = resolved(negative_prompt="", theme="hats", **given)
    assert recipe.model_dump(include=given.keys()) == given
    assert (recipe.negative_prompt, recipe.theme) == ("", "hats")


@pytest.mark.parametrize(
    ("model", "size", "steps", "guidance_scale", "sampler"),
    [
        ("sdxl-turbo", 512, 4, 0.0, "euler_a"),
        ("proteus-v0.2", 1024, 30, 7.5, "unipc"),
        ("sd-1.5", 512, 30, 7.5, "unipc"),
        ("sd-2.1", 768, 30, 7.5, "unipc"),
    ],
)
def test_each_model_has_its_own_defaults(model, size, steps, guidance_scale, sampler):
    recipe = resolved(model=model)
    assert (recipe.width, recipe.height) == (size, size)
    assert (recipe.steps, recipe.guidance_scale, recipe.sampler) == (steps, guidance_scale, sampler)
    assert bool(recipe.negative_prompt) == (model != "sdxl-turbo")


@pytest.mark.parametrize(
    ("fields", "steps", "guidance_scale", "sampler"),
    [
        ({}, 8, 1.0, "lcm"),
        ({"steps": 4, "guidance_scale": 1.5, "sampler": "euler"}, 4, 1.5, "euler"),
        ({"model": "stand-in"}, 7, 12.0, "unipc"),
        ({"model": "stand-in", "guidance_scale": 30.0, "steps": 60}, 60, 30.0, "unipc"),
        ({"model": "proteus-v0.2"}, 20, 7.5, "unipc"),
        ({"model": "sdxl-turbo"}, 3, 0.0, "euler_a"),
        ({"model": "pocket"}, 11, 10.0, "unipc"),
    ],
)
def test_a_draft_is_drawn_with_its_models_lora_or_with_two_thirds_of_its_steps(fields, steps, guidance_scale, sampler):
    recipe = resolved(tier="draft", **fields)
    assert (recipe.tier, recipe.steps, recipe.guidance_scale, recipe.sampler) == (
        "draft",
        steps,
        guidance_scale,
        sampler,
    )
    assert resolved(**recipe.model_dump()) == recipe


@pytest.mark.parametrize(
    ("fields", "negative"),
    [
        ({"tier": "draft"}, ""),
        ({"guidance_scale": 1.0}, ""),
        ({"tier": "draft", "guidance_scale": 1.5}, "ugly, poor quality"),
        ({"tier": "draft", "negative_prompt": "hat"}, "hat"),
    ],
)
def test_without_guidance_a_model_has_no_default_negative_prompt(fields, negative):
    assert resolved(**fields).negative_prompt[: len("ugly, poor quality")] == negative


@pytest.mark.parametrize("scale", [0, 1, None])
def test_no_guidance_is_always_recorded_as_zero_and_drawn_again(scale):
    recipe = resolved(model="sdxl-turbo", guidance_scale=scale, negative_prompt=" ")
    assert (recipe.guidance_scale, recipe.negative_prompt) == (0.0, "")
    assert resolved(**recipe.model_dump()) == recipe


def test_the_prompt_joins_the_slots_in_order():
    slots = Slots(
        style=("watercolor",), subject=("otter",), emotions=("cozy",), environment=("beach",), outfit=("boots",)
    )
    assert resolved(slots=slots).prompt == "otter, boots, beach, cozy, watercolor"


def test_a1111_weights_are_converted_in_both_prompts():
    recipe = resolved(slots=Slots(subject=("(otter:1.2)",)), negative_prompt="[text]")
    assert (recipe.prompt, recipe.negative_prompt) == ("(otter)1.2", "(text)-")


def test_white_space_of_every_kind_is_one_space():
    recipe = resolved(
        slots=Slots(subject=("cowboy \n\t hat\u2028otter",)), negative_prompt=" a\x85b ", theme="my\nhats"
    )
    assert (recipe.prompt, recipe.negative_prompt, recipe.theme) == ("cowboy hat otter", "a b", "my hats")


def test_control_characters_become_spaces():
    recipe = resolved(slots=Slots(subject=("\0otter\x1b[31m\x9f",)), theme="\x07hats")
    assert (recipe.prompt, recipe.theme) == ("otter [31m", "hats")


def test_a_theme_does_not_change_the_prompt():
    assert resolved(theme="[wip] hats").theme == "[wip] hats"


def test_sides_are_rounded_to_the_models_multiple():
    recipe = resolved(width=513, height=700)
    assert (recipe.width, recipe.height) == (512, 704)


def test_a_missing_seed_is_derived_from_the_job():
    assert resolved(job_id="a").seed == resolved(job_id="a").seed
    assert len({resolved(job_id=job, n=n).seed for job in "ab" for n in (0, 1)}) == 4


@pytest.mark.parametrize(
    ("slots", "theme"),
    [
        (Slots(subject=("(otter)++", "hat")), "otter"),
        (Slots(style=("pop art",)), "pop art"),
        (Slots(subject=("x" * 100,)), "x" * limits.MAX_THEME_CHARS),
        (Slots(subject=("()",), style=("pop art",)), "untitled"),
        (Slots(subject=("((a) (b)3", "c)0.5")), "((a) (b)3"),
    ],
)
def test_the_theme_is_the_first_term_without_its_weight(slots, theme):
    assert resolved(slots=slots).theme == theme


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"slots": Slots()}, "slots", "The prompt is empty. Say what you want to see."),
        ({"slots": Slots(subject=("\x1c", "\0"))}, "slots", "The prompt is empty. Say what you want to see."),
        (
            {"slots": Slots(subject=("[a]" * 600,))},
            "slots",
            "A prompt takes up to 2000 characters, and that one has 2400.",
        ),
        (
            {"model": "ssd1c"},
            "model",
            "There's no model “ssd1c” here. Did you mean ssd-1b? There is: ssd-1b, sdxl-turbo, proteus-v0.2, sd-1.5, "
            "sd-2.1, pocket, stand-in.",
        ),
        (
            {"sampler": "eular"},
            "sampler",
            "There's no sampler “eular” here. Did you mean euler? There is: unipc, euler_a, pndm, euler, dpmpp_2m, "
            "dpmpp_2m_sde, lcm.",
        ),
        ({"sampler": "lcm", "steps": 51}, "steps", "--steps goes from 1 to 50 with lcm."),
        (
            {"model": "sdxl-turbo", "negative_prompt": "ugly"},
            "negative_prompt",
            "sdxl-turbo draws without guidance, so it can't leave things out.",
        ),
        (
            {"model": "sdxl-turbo", "guidance_scale": 7.5},
            "guidance_scale",
            "sdxl-turbo draws without guidance: leave out --cfg.",
        ),
        ({"model": "sdxl-turbo", "steps": 30}, "steps", "--steps goes from 1 to 10."),
        ({"model": "sd-1.5", "width": 1536}, "width", "sd-1.5 draws sides of 256 to 1024 pixels."),
        ({"tier": "quick"}, "tier", "There's no tier “quick” here. There is: exact, balanced, fast, draft."),
        ({"steps": 0}, "steps", "--steps goes from 1 to 100."),
        ({"steps": 101}, "steps", "--steps goes from 1 to 100."),
        ({"guidance_scale": 0.5}, "guidance_scale", "--cfg goes from 1 to 30."),
        ({"guidance_scale": 31.0}, "guidance_scale", "--cfg goes from 1 to 30."),
        ({"width": 8}, "width", "ssd-1b draws sides of 256 to 1536 pixels."),
        ({"model": "pocket", "width": 512}, "width", "pocket draws 64×64 only."),
        (
            {"tier": "draft", "guidance_scale": 12},
            "guidance_scale",
            "--cfg goes from 1 to 2 in a draft.",
        ),
        (
            {"tier": "draft", "guidance_scale": 0.5},
            "guidance_scale",
            "--cfg goes from 1 to 2 in a draft.",
        ),
        ({"tier": "draft", "steps": 51}, "steps", "--steps goes from 1 to 50 in a draft."),
        (
            {"tier": "draft", "model": "sdxl-turbo", "negative_prompt": "hat"},
            "negative_prompt",
            "sdxl-turbo draws without guidance, so it can't leave things out.",
        ),
        ({"height": 4096}, "height", "ssd-1b draws sides of 256 to 1536 pixels."),
        (
            {"width": 1536, "height": 1536},
            "width",
            "1536×1536 is too large: ssd-1b draws up to 1,048,576 pixels.",
        ),
        (
            {"slots": Slots(subject=("a" * 1500, "b" * 1500))},
            "slots",
            "A prompt takes up to 2000 characters, and that one has 3002.",
        ),
        ({"slots": Slots(subject=("(a)9",))}, "slots", "Weights go from 0 to 2, and “a” has 9."),
        ({"negative_prompt": "(a)9"}, "negative_prompt", "Weights go from 0 to 2, and “a” has 9."),
        (
            {"negative_prompt": "(" * 9},
            "negative_prompt",
            "A prompt can't have more than 8 brackets inside each other.",
        ),
    ],
)
def test_impossible_requests_are_refused_with_value_and_limit(fields, field, message):
    with pytest.raises(Refused) as refused:
        resolved(**fields)
    assert (refused.value.error.field, refused.value.error.message) == (field, message)


@pytest.mark.parametrize(
    ("field", "typed", "name"),
    [
        *(("model", "SSD-1B", "ssd-1b"), ("model", "sd 1.5", "sd-1.5"), ("sampler", "Euler A", "euler_a")),
        *(("sampler", "dpmpp-2m", "dpmpp_2m"), ("tier", "Draft", "draft")),
    ],
)
def test_names_are_found_in_any_spelling(field, typed, name):
    assert getattr(resolved(**{field: typed}), field) == name


def test_the_theme_of_a_weighted_prompt_is_its_words():
    term = "red++ otter in a (cowboy hat)1.3 at night"
    assert resolved(slots=Slots(subject=(term,))).theme == "red otter in a cowboy hat at night"


def test_a_path_in_the_settings_has_its_variables(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert str(Settings(socket="$XDG_RUNTIME_DIR/g.sock").socket) == "/run/user/7/g.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(ValueError, match=r"\$XDG_RUNTIME_DIR/g.sock has a variable that is not set"):
        Settings(socket="$XDG_RUNTIME_DIR/g.sock")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"strength": 0}, "strength is 0; it can be more than 0, up to 1."),
        ({"strength": 1.5}, "strength is 1.5; it can be more than 0, up to 1."),
        ({"image": "abc"}, "image is a picture's SHA-256, 64 of the digits 0 to 9 and letters a to f."),
    ],
)
def test_limits_have_sentences_of_their_own(given, sentence):
    with pytest.raises(ValidationError) as error:
        RecipeRequest(slots=Slots(subject=("otter",)), **given)
    assert refusal(error.value).error.message == sentence
