"""A reply to a recipe replaces slots, adds and removes terms, and notes the changes."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.language import SLOTS, ParseError, as_command, parse_all, parse_draw
from bot.easel.language.chat import MAX_CHANGES
from bot.easel.language.parse import parse_recipe
from bot.easel.language.refine import KEEP_THE_REST

RECIPE = """\
prompt: otter, (cowboy hat)++, boots, beach, (watercolor)+
negative_prompt: text, ugly
slots:
  subject: [otter, (cowboy hat)++]
  outfit: [boots]
  environment: [beach]
  style: [(watercolor)+]
theme: river
model: pocket
seed: 7
steps: 16
guidance_scale: 5.0
sampler: unipc
width: 64
height: 64
tier: exact
facts:
  model_revision: one
"""
BEFORE = parse_draw(RECIPE)


def refine(text: str, recipe: str = RECIPE):
    return parse_draw(text, recipe=recipe)


def slots(request) -> dict[str, tuple[str, ...]]:
    return {slot: terms for slot in SLOTS if (terms := getattr(request.slots, slot))}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("outfit: pirate coat", {"outfit": ("pirate coat",)}),
        ('--outfit "pirate coat, scarf"', {"outfit": ("pirate coat", "scarf")}),
        ("emotions: cozy", {"emotions": ("cozy",)}),
        ("owl, party hat", {"subject": ("owl", "party hat")}),
        ("owl | style: pop art", {"subject": ("owl",), "style": ("pop art",)}),
        ("+scarf", {"subject": ("otter", "(cowboy hat)++", "scarf")}),
        ("outfit: +scarf", {"outfit": ("boots", "scarf")}),
        ("outfit: +scarf, red t-shirt", {"outfit": ("boots", "scarf", "red t-shirt")}),
        ("+ scarf", {"subject": ("otter", "(cowboy hat)++", "scarf")}),
        ("-boots", {"outfit": ()}),
        ("-hat", {"subject": ("otter",)}),
        ("-(cowboy hat)", {"subject": ("otter",)}),
        ("-Cowboy Hat", {"subject": ("otter",)}),
        ("-boots, beach", {"outfit": (), "environment": ()}),
        ("-hat +party hat", {"subject": ("otter", "party hat")}),
        ("outfit: +cargo pants -boots", {"outfit": ("cargo pants",)}),
        ("+__animal__", {"subject": ("otter", "(cowboy hat)++", "__animal__")}),
        ("+🎩 -boots", {"subject": ("otter", "(cowboy hat)++", "🎩"), "outfit": ()}),
        ("boots -> cat", {"outfit": ("cat",)}),
        ("+cowboy hat", {"subject": ("otter", "cowboy hat")}),
        ("+(watercolor)+++", {"style": ("(watercolor)+++",)}),
        ("outfit: +well-lit t-shirt", {"outfit": ("boots", "well-lit t-shirt")}),
        (
            "+16-bit, 2000s fashion -beach",
            {"subject": ("otter", "(cowboy hat)++", "16-bit", "2000s fashion"), "environment": ()},
        ),
        ("owl +scarf", {"subject": ("owl", "scarf")}),
    ],
)
def test_slots_and_terms_are_changed(text, changed):
    request = refine(text)
    expected = {slot: terms for slot, terms in (slots(BEFORE) | changed).items() if terms}
    assert slots(request) == expected
    assert (request.seed, request.model, request.steps, request.size) == (7, "pocket", 16, (64, 64))
    assert request.negative_prompt == "text, ugly"
    assert request.facts is None


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("--seed 8", "seed", 8),
        ("--seed new", "seed", None),
        ("--seed NEW +scarf", "seed", None),
        ("--seed -1 -boots", "seed", None),
        ("--steps 30 +scarf", "steps", 30),
        ("--cfg 7 -hat", "guidance_scale", 7.0),
        ("--ar 3:4", "aspect_ratio", (3, 4)),
        ("--ar 3:4", "size", None),
        ("--no fog", "no", ("fog",)),
        ("--no text, fog", "no", ("fog",)),
        ("--negative fog", "negative_prompt", "fog"),
        ("-n 4", "count", 4),
        ("-n4 -hat", "count", 4),
        ("+scarf", "theme", "river"),
        ("owl", "theme", None),
        ("--model sd-1.5", "steps", None),
        ("--model sd-1.5", "size", None),
        ("--model sd-1.5", "negative_prompt", "text, ugly"),
        ("--model sd-1.5 --steps 9", "steps", 9),
        ("--model pocket", "steps", 16),
    ],
)
def test_flags_override_the_recipe(text, field, value):
    assert getattr(refine(text), field) == value


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("outfit: pirate coat", "Now: outfit: pirate coat (was: boots)"),
        ("-hat +scarf --steps 30", "Now: scarf (was: (cowboy hat)++) · steps 30"),
        ("--seed new", "Now: another roll"),
        ("--seed 8 --cfg 7.5 --no fog", "Now: no fog · seed 8 · guidance 7.5"),
        ("--size 128x64 --tier fast --sampler euler", "Now: size 128×64 · sampler euler · tier fast"),
        ("--ar 3:4 --model sd-1.5", "Now: model sd-1.5 · shape 3:4"),
    ],
)
def test_changes_are_noted(text, note):
    assert refine(text).notes == (note,)


def test_a_long_list_of_changes_is_noted_in_short():
    note, hint = refine(", ".join(f"term {n}" for n in range(20))).notes
    assert hint == KEEP_THE_REST
    assert note == f"Now: {', '.join(f'term {n}' for n in range(8))}, … (was: otter, (cowboy hat)++)"
    (note,) = refine("outfit: a term that goes on and on and on and on and on").notes
    assert note == "Now: outfit: a term that goes on and on and on and on… (was: boots)"


def test_a_reply_adds_and_removes_a_limited_number_of_terms():
    terms = [f"term {n}" for n in range(MAX_CHANGES)]
    assert refine(f"+{', '.join(terms)}").slots.subject[2:] == tuple(terms)
    with pytest.raises(ParseError, match=f"changes {MAX_CHANGES + 1} terms. One reply changes up to {MAX_CHANGES}"):
        refine(f"+{', '.join(terms)} -boots")


@pytest.mark.parametrize("text", ["-n 2", "+otter", "outfit: boots", "--seed 7", "--no text"])
def test_changes_without_effect_are_not_noted(text):
    assert refine(text).notes == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "-spaceship",
            "There's no “spaceship” in that recipe. "
            "It has “otter”, “(cowboy hat)++”, “boots”, “beach” and “(watercolor)+”.",
        ),
        ("-style pop art", "Flags start with two hyphens. Did you mean --style?"),
        ("-otter, hat, boots, beach, watercolor", "That would leave nothing to draw. "),
        ("--seed newer", "--seed takes a whole number, or new, not “newer”."),
    ],
)
def test_impossible_changes_are_refused_with_a_sentence(text, sentence):
    with pytest.raises(ParseError) as error:
        refine(text)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "text", ["prompt: owl\nseed: 1", "```\nprompt: owl\nseed: 1\n```", '{"prompt": "owl", "seed": 1}']
)
def test_a_recipe_in_the_reply_replaces_the_original(text):
    request = refine(text)
    assert (slots(request), request.seed, request.notes) == ({"subject": ("owl",)}, 1, ())


def test_a_file_that_is_no_recipe_is_refused_with_a_sentence():
    with pytest.raises(ParseError, match="A recipe has no key “services”"):
        refine("+scarf", "services: {}\n")


words = st.sampled_from(["scarf", "boots", "(cowboy hat)++", "beach", "fog-", "(top hat)1.3", "otter"])
signed = st.builds(lambda sign, word: f"{sign}{word}", st.sampled_from("+-"), words)


@given(st.lists(words, min_size=1, max_size=4), st.sampled_from(SLOTS))
def test_adding_and_replacing_are_idempotent(terms, slot):
    for text in (f"{slot}: {', '.join(terms)}", f"{slot}: +{', '.join(terms)}", "--no " + ", ".join(terms)):
        once = refine(text)
        twice = refine(text, _file(once))
        assert slots(twice) == slots(once)
        assert not twice.no or set(twice.no) <= set(terms)


@given(words)
def test_an_added_term_can_be_removed(word):
    added = refine(f"emotions: +{word}")
    taken = refine(f"-{word}", _file(added))
    assert not any(word in terms for terms in slots(taken).values())


@given(st.lists(signed, min_size=1, max_size=5))
def test_any_changes_give_a_request_or_a_sentence(changes):
    try:
        request = refine(" ".join(changes))
    except ParseError as error:
        assert str(error)
    else:
        assert len(set(request.slots.joined().split(", "))) == len(request.slots.joined().split(", "))


def _file(request) -> str:
    lines = [f"  {slot}: [{', '.join(repr(term) for term in terms)}]" for slot, terms in slots(request).items()]
    return "\n".join(["slots:", *lines, f"negative_prompt: {request.negative_prompt}", "model: pocket"])


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        (
            RECIPE,
            "!draw otter, (cowboy hat)++ | outfit: boots | environment: beach | style: (watercolor)+ "
            '--negative "text, ugly" --theme "river" --model pocket --seed 7 --steps 16 --cfg 5 --sampler unipc '
            "--size 64x64 --tier exact",
        ),
        ("slots:\n  style: [pop art]\nseed: 3\n", "!draw style: pop art --seed 3"),
        ("slots:\n  subject: [otter, hat]\ntheme: Otter\n", "!draw otter, hat"),
        ("slots:\n  subject: [a | b]\n", None),
        ("slots:\n  subject: ['otter --seed 3']\n", None),
    ],
)
def test_a_recipe_becomes_the_command_that_a_person_types(recipe, command):
    assert as_command(recipe) == command


def test_the_command_of_a_recipe_leaves_out_what_is_usual():
    usual = parse_recipe(RECIPE)
    words = "!draw otter, (cowboy hat)++ | outfit: boots | environment: beach | style: (watercolor)+"
    assert as_command(RECIPE, usual) == f'{words} --theme "river" --seed 7'
    assert as_command(RECIPE, replace(usual, steps=30)) == f'{words} --theme "river" --seed 7 --steps 16'


# Text that can stand in fenced YAML: YAML has no surrogates, and backticks end the fence.
written = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="`"), min_size=1, max_size=12)


@given(st.lists(written, min_size=1, max_size=3), written)
def test_the_command_of_a_recipe_draws_it(terms, negative):
    recipe = yaml.safe_dump({"slots": {"subject": terms}, "negative_prompt": negative, "seed": 7}, allow_unicode=True)
    try:
        request = parse_recipe(recipe)
    except ParseError:
        return
    if request.slots and (command := as_command(recipe)) is not None:
        assert parse_draw(command.removeprefix("!draw").strip()) == request


def test_a_programs_block_takes_the_place_of_the_picture_that_it_answers():
    block = "owl\nNegative prompt: text\nSteps: 20, Sampler: Euler a, Seed: 9"
    assert parse_draw(block, recipe=RECIPE) == parse_draw(block)
    assert parse_draw("Prompt: owl\nSteps: 20", recipe=RECIPE) == parse_draw("owl --steps 20")


def test_words_in_braces_can_be_typed_again():
    assert as_command("slots:\n  subject: ['{red, blue} otter']") == "!draw {red, blue} otter"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("replace the park with a forest", "Now: forest (was: park)"),
        ("without the umbrella", "Now: −with an umbrella"),
        ("somebody else on skis, far above", "Now: somebody else on skis, far above (was: an old man riding"),
    ],
)
def test_of_a_long_phrase_the_words_that_change_are_noted(text, note):
    recipe = parse_draw("an old man riding a red bicycle with an umbrella through the park")
    (request,) = parse_all(text, recipe=recipe).requests
    assert request.notes[0].startswith(note)
