"""Room profiles: a room's style, defaults and limits, and the words that it refuses."""

import json
import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bot.easel.generator.types import Capabilities, read
from bot.easel.language import DrawRequest, Slots, parse_draw
from bot.easel.policy.room_profiles import RoomProfile, has_own_rules, profile_for
from bot.easel.settings import InvalidSettings
from tests.helpers.fake_generator import FakeGenerator, capabilities, card
from tests.helpers.shipped_settings import BASE, settings

KITCHEN = "!kitchen:example.com"


@pytest.fixture(scope="module")
def known() -> Capabilities:
    return read(Capabilities, json.loads(FakeGenerator().capabilities.model_dump_json()))


def profile(**keys) -> RoomProfile:
    return profile_for(KITCHEN, settings(rooms={KITCHEN: keys}).rooms)


def typed(words: str, known: Capabilities, **keys) -> DrawRequest:
    return profile(**keys).applied_to(parse_draw(words), known)


def refusal(words: str, known: Capabilities, **keys) -> str | None:
    """The room's refusal of a prompt, if any. The body has only the fields that refusals read."""
    request = typed(words, known, **keys)
    recipe = {"slots": asdict(request.slots), "theme": request.theme, "model": request.model}
    recipe |= {"guidance_scale": request.guidance_scale, "tier": request.tier}
    if request.size:
        recipe |= {"width": request.size[0], "height": request.size[1]}
    fields = {key: value for key, value in recipe.items() if value is not None}
    return profile(**keys).refusal({"recipes": [{**fields, "seed": seed} for seed in range(request.count or 1)]}, known)


@pytest.mark.parametrize(
    ("room_id", "style"),
    [
        (KITCHEN, "first"),
        ("!cellar:example.com", "pattern"),
        ("!kDwZq0J5mMgyY8r4kW9Y", "others"),
        ("!Kitchen:example.com", "pattern"),
    ],
)
def test_a_room_gets_the_profile_of_the_first_matching_key(room_id, style):
    styles = {"*": "others", KITCHEN: "first", "!*:example.com": "pattern", "!cellar:example.com": "too late"}
    rooms = settings(rooms={room: {"style": [style]} for room, style in styles.items()}).rooms
    assert profile_for(room_id, rooms).style == (style,)


@pytest.mark.parametrize(
    ("rooms", "has_own"),
    [
        ({}, False),
        ({KITCHEN: {"blocked_words": ["gun"]}}, True),
        ({KITCHEN: {"no": ["scary"]}}, True),
        ({KITCHEN: {"model": "ssd-1b"}}, False),
        ({"!kit*": {"no": ["scary"]}}, True),
        ({"*": {"no": ["scary"]}}, False),
        ({"*": {"no": ["scary"]}, KITCHEN: {}}, False),
    ],
)
def test_a_room_that_keeps_something_out_unlike_others_has_its_own_rules(rooms, has_own):
    assert has_own_rules(KITCHEN, settings(rooms=rooms).rooms) is has_own


def test_a_room_without_a_profile_has_no_rules(known):
    rooms = settings(rooms={KITCHEN: {"style": ["ink"]}}).rooms
    request = parse_draw("otter --steps 12")
    assert profile_for("!cellar:example.com", rooms).applied_to(request, known) == request
    assert profile_for("!cellar:example.com", rooms) == profile_for(KITCHEN, settings(rooms={KITCHEN: None}).rooms)


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"modle": "x"}, r"modle is no setting; did you mean model\?"),
        ({"model": 5}, "model must be text"),
        ({"model": "pocket", "models": ["ssd-1b"]}, "model must be one of models, and pocket is not"),
        ({"defaults": ["steps"]}, "defaults must be a mapping of steps, cfg, size, ar, sampler, tier"),
        ({"defaults": {"model": "x"}}, "defaults: model is no default; there is steps, cfg"),
        ({"defaults": {"steps": "many"}}, "defaults: --steps takes a whole number, not “many”"),
        ({"defaults": {"steps": 20.5}}, "defaults: --steps takes a whole number, not “20.5”"),
        ({"defaults": {"steps": True}}, "defaults: --steps takes a whole number, not “True”"),
        ({"defaults": {"size": "huge"}}, "defaults: --size takes portrait, landscape, square or pixels"),
        ({"defaults": {"size": "square", "ar": "3:4"}}, "defaults: --size and --ar both set the shape"),
        ({"defaults": {"steps": ""}}, "defaults: --steps needs a value"),
        ({"defaults": {"steps": "20 otters"}}, "defaults must be one value for each flag"),
        ({"defaults": {"steps": "20 --seed 7"}}, "defaults must be one value for each flag"),
        ({"defaults": {"tier": "fast --steps 3", "steps": 20}}, "defaults: --steps is there twice"),
        ({"style": "ink"}, r"style must be a list of texts, such as style: \[one, two\]"),
        ({"style": ["(ink:-1)"]}, "style: Weights start at 0"),
        ({"no": [7]}, "no must be a list of texts"),
        ({"models": {"ssd-1b": True}}, "models must be a list of texts"),
        ({"max_megapixels": 0}, "max_megapixels must be a number above 0"),
        ({"blocked_words": ["--"]}, "blocked_words: “--” has no letters in it"),
        ({"style": ["(Ink)++"], "blocked_words": ["ink"]}, "style has “ink” in it, which blocked_words forbids"),
        ({"no": ["blood"], "defaults": {"cfg": 1}}, "defaults: cfg must be above 1, since no takes guidance"),
    ],
)
def test_a_bad_profile_is_refused_with_the_room_and_the_rule(keys, rule):
    with pytest.raises(InvalidSettings, match=f"^rooms: {KITCHEN}: {rule}"):
        profile(**keys)


@pytest.mark.parametrize(
    ("keys", "words", "expected"),
    [
        ({"model": "pocket"}, "otter", {"model": "pocket"}),
        ({"model": "pocket"}, "otter --model ssd-1b", {"model": "ssd-1b"}),
        ({"models": ["pocket", "ssd-1b"]}, "otter", {"model": "pocket"}),
        ({"models": ["pocket", "ssd-1b"], "model": "ssd-1b"}, "otter", {"model": "ssd-1b"}),
        ({}, "otter", {"model": None}),
        ({"defaults": {"steps": 20, "cfg": 7}}, "otter", {"steps": 20, "guidance_scale": 7.0}),
        ({"defaults": {"steps": 20, "cfg": 7}}, "otter --steps 9", {"steps": 9, "guidance_scale": 7.0}),
        ({"defaults": {"size": "portrait"}}, "otter", {"size": "portrait"}),
        ({"defaults": {"size": "512x640"}}, "otter --ar 3:4", {"size": None, "aspect_ratio": (3, 4)}),
        ({"defaults": {"ar": "3:4"}}, "otter", {"aspect_ratio": (3, 4)}),
        ({"defaults": {"ar": "3:4"}}, "otter --size square", {"size": "square", "aspect_ratio": None}),
        ({"defaults": {"sampler": "euler a", "tier": "fast"}}, "otter", {"sampler": "euler a", "tier": "fast"}),
        ({"defaults": {"tier": "fast"}}, "otter --draft", {"tier": "draft"}),
        ({"defaults": {"steps": 20}}, "prompt: otter\nsteps: 9", {"steps": 9}),
        # The fake generator's own default is "ugly, text".
        ({"no": ["blood", "(scary)++"]}, "otter", {"negative_prompt": "blood, (scary)++, ugly, text"}),
        ({"no": ["blood"]}, "otter --no hat", {"negative_prompt": "blood, ugly, text", "no": ("hat",)}),
        ({"no": ["blood"]}, "otter --negative cars", {"negative_prompt": "blood, cars"}),
        ({"no": ["blood"]}, 'prompt: otter\nnegative_prompt: ""', {"negative_prompt": "blood"}),
        ({"no": ["blood"]}, "otter --negative cars, blood", {"negative_prompt": "blood, cars, blood"}),
        ({"no": ["blood"]}, "otter --negative (blood)0.1", {"negative_prompt": "blood, (blood)0.1"}),
        ({"no": ["blood"]}, "otter --negative bloodhound", {"negative_prompt": "blood, bloodhound"}),
        ({}, "otter --negative cars", {"negative_prompt": "cars"}),
        ({}, "otter", {"negative_prompt": None}),
    ],
)
def test_a_profile_fills_in_missing_fields_and_always_adds_its_own_terms(known, keys, words, expected):
    request = typed(words, known, **keys)
    assert {name: getattr(request, name) for name in expected} == expected
    assert request.slots == Slots(subject=("otter",))


@pytest.mark.parametrize(
    ("words", "style"),
    [
        ("otter", ("(ink)+", "friendly")),
        ("otter | style: noir, noir", ("noir", "noir", "(ink)+", "friendly")),
        ("otter | style: friendly, noir", ("friendly", "noir", "(ink)+")),
        ("otter | style: ink", ("ink", "(ink)+", "friendly")),
        ("otter | style: (ink, friendly)0", ("(ink, friendly)0", "(ink)+", "friendly")),
    ],
)
def test_a_rooms_style_is_always_added(known, words, style):
    assert typed(words, known, style=["(ink:1.1)", "friendly"]).slots.style[: len(style) - 2] == style[:-2]
    assert typed(words, known, style=["(ink)+, friendly"]).slots.style == style


def test_a_recipe_from_the_room_is_not_changed(known):
    keys = {"no": ["blood", "gun"], "style": ["ink"], "defaults": {"steps": 20}}
    first = typed("otter | style: noir --no hat", known, **keys)
    # A recipe has the terms of --no at the end of its negative prompt.
    recipe = replace(first, negative_prompt=f"{first.negative_prompt}, hat", no=())
    assert profile(**keys).applied_to(recipe, known) == recipe


TERMS = st.lists(st.sampled_from(["ink", "noir", "blood", "(gun)0", "text"]) | st.text(min_size=1), max_size=4).map(
    tuple
)


@given(TERMS, st.none() | TERMS.map(", ".join), TERMS)
def test_a_rooms_terms_are_added_once_to_any_request(known, style, negative_prompt, no):
    rules = profile(no=["blood", "gun"], style=["ink", "friendly"])
    request = DrawRequest(slots=Slots(subject=("otter",), style=style), negative_prompt=negative_prompt, no=no)
    drawn = rules.applied_to(request, known)
    assert drawn.slots.style[: len(style)] == style and {"ink", "friendly"} <= set(drawn.slots.style)
    assert drawn.negative_prompt.startswith("blood, gun") and drawn.no == no
    assert drawn.negative_prompt.endswith("ugly, text" if negative_prompt is None else negative_prompt)
    assert rules.applied_to(drawn, known) == drawn


CHILDREN = {"models": ["ssd-1b"], "max_megapixels": 0.6, "blocked_words": ["gun", "horror movie", "🔫"]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("otter", None),
        ("otter --size 768x768", None),
        ("otter --model pocket", "This room doesn't draw with “pocket”. It has ssd-1b."),
        ("otter --model nonsense", "This room doesn't draw with “nonsense”. It has ssd-1b."),
        (
            "otter --size 800x768",
            "800×768 is too large for this room, which draws up to 0.6 megapixels. Ask for a smaller --size.",
        ),
        ("otter, (Gun)++ -n 4", "This room doesn't draw “gun”."),
        ("otter | outfit: ＧＵＮ", "This room doesn't draw “gun”."),
        ("prompt: otter with a g\u200bun", "This room doesn't draw “gun”."),
        ("(gun:1.2)\nNegative prompt: hat\nSteps: 9, Seed: 1", "This room doesn't draw “gun”."),
        ("otter | emotions: horror | style: movie", "This room doesn't draw “horror movie”."),
        ("otter 🔫", "This room doesn't draw “🔫”."),
        ("otter --theme guns and gun", "This room doesn't draw “gun”."),
        ("otter, gun1", "This room doesn't draw “gun”."),
        ("otter --theme 1gun", "This room doesn't draw “gun”."),
        ("horror1 movie", "This room doesn't draw “horror movie”."),
        ("otter, gunner --theme begun", None),
        ("otter --no gun", None),
        ("otter --negative gun", None),
    ],
)
def test_a_room_names_what_it_does_not_draw(known, words, sentence):
    assert refusal(words, known, **CHILDREN) == sentence
    assert refusal("otter, gun, horror movie --model pocket --size 1536x1536", known) is None


KEEPS_OUT = "This room keeps out blood, and that needs a higher --cfg, such as 2."


@pytest.mark.parametrize(
    ("words", "keys", "sentence"),
    [
        ("otter --cfg 1", {"no": ["blood"]}, KEEPS_OUT),
        ("otter --cfg 0.5 --model pocket", {"no": ["blood"]}, KEEPS_OUT),
        ("prompt: otter\nguidance_scale: 1.0", {"no": ["blood"]}, KEEPS_OUT),
        ("otter\nSteps: 9, CFG scale: 1", {"no": ["blood"]}, KEEPS_OUT),
        # The fake generator's drafts have no guidance unless somebody asks for it.
        ("otter --draft", {"no": ["blood"]}, KEEPS_OUT),
        ("otter", {"no": ["blood"], "defaults": {"tier": "draft"}}, KEEPS_OUT),
        ("otter --draft --cfg 2", {"no": ["blood"]}, None),
        ("otter --cfg 1.1", {"no": ["blood"]}, None),
        ("otter", {"no": ["blood"]}, None),
        ("otter --cfg 1", {"style": ["ink"]}, None),
    ],
)
def test_nobody_turns_off_what_keeps_the_rooms_terms_out(known, words, keys, sentence):
    assert refusal(words, known, **keys) == sentence


def test_a_model_that_takes_no_guidance_is_not_refused():
    turbo = FakeGenerator(capabilities("0.1.0", card(), card("turbo", max_guidance_scale=0)))
    known = read(Capabilities, json.loads(turbo.capabilities.model_dump_json()))
    assert refusal("otter --model turbo --cfg 1", known, no=["blood"]) is None


@pytest.mark.parametrize("maubot_plugin_config_overrides", [{"rooms": {"*": {"blocked_words": ["gun"]}}}])
@pytest.mark.parametrize("words", ["{otter --no gun1 | owl}", "{otter | {owl, a --negative gun | cat}} --steps 2,3"])
async def test_a_sheets_headings_have_no_blocked_word(drawing_room, homeserver, fake_generator, words):
    await drawing_room.say(f"!draw {words}")
    assert await homeserver.answer() == "This room doesn't draw “gun”."
    assert not fake_generator.jobs


def test_without_a_size_the_models_default_counts(known):
    # The fake generator's default is 768 × 768.
    assert "768×768 is too large for this room, which draws up to 0.5 megapixels" in (
        refusal("otter", known, max_megapixels=0.5) or ""
    )
    assert refusal("otter", known, max_megapixels=0.589824) is None


def test_the_example_of_a_room_for_children_is_a_valid_profile(known):
    lines = re.search(r"# rooms:\n(?:#.+\n)+", BASE.read_text(encoding="utf-8"))
    assert lines
    written = YAML(typ="safe", pure=True).load(lines[0].replace("# ", "", 1).replace("\n# ", "\n"))
    ((room, children),) = settings(**written).rooms.items()
    assert room == "!abc123:example.org"
    # The example shows every key.
    assert all(vars(children).values())
    request = children.applied_to(parse_draw("otter"), known)
    assert request.size == "square" and "picture book" in request.slots.style
