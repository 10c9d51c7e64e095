"""Recipe files are read back as written, and malformed ones are refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generator.api.types import Facts, Slots
from generator.errors import Refused
from generator.recipes import recipe_file
from tests.helpers.running_generator import recipe_of

FACTS = Facts(
    job="job-1",
    drawn="2026-11-22T20:31:37+01:00",
    seconds=3.25,
    model_revision="no",
    plan={"device": "paint box", "tiling": False, "rows": 2, "limit": None, "scale": 0.5, "ratio": "16:9", "on": "no"},
    notes=("3 tokens were left out.",),
)

# Texts as recipes have them: no lone surrogates, no white space at the ends, and a space for each no-break space.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\u00a0")
TERMS = st.text(CHARACTERS, min_size=1, max_size=80).map(str.strip).filter(bool)


@given(
    slots=st.fixed_dictionaries(
        {slot: st.lists(TERMS, max_size=4).map(tuple) for slot in ("subject", "outfit", "style")}
    ),
    negative=st.text(CHARACTERS, max_size=200),
    theme=TERMS.filter(lambda theme: len(theme) <= 64),
    seed=st.integers(0, 2**53 - 1),
    guidance=st.floats(1, 30),
)
def test_a_recipe_is_read_back_as_written(slots, negative, theme, seed, guidance):
    recipe = recipe_of(**slots).model_copy(
        update={"negative_prompt": negative, "theme": theme, "seed": seed, "guidance_scale": guidance}
    )
    text = recipe_file.write(recipe, FACTS)
    read = recipe_file.read(text)
    assert read.model_dump(exclude={"facts"}) == recipe.model_dump()
    assert read.facts.plan == FACTS.plan
    assert recipe_file.read_facts(text) == FACTS


def test_it_reads_like_a_caption():
    recipe = recipe_of(subject=("otter", "cowboy hat"), style=("watercolor",))
    assert recipe_file.write(recipe, FACTS).startswith(
        "prompt: otter, cowboy hat, watercolor\nnegative_prompt: ugly\nslots:\n"
        "  subject:\n  - otter\n  - cowboy hat\n  style:\n  - watercolor\ntheme: otter\n"
    )


def test_an_edited_prompt_is_the_subject():
    text = recipe_file.write(recipe_of(subject=("otter",), style=("watercolor",)), FACTS)
    edited = text.replace("prompt: otter, watercolor", "prompt: a beaver in a boat", 1)
    assert recipe_file.read(edited).slots == Slots(subject=("a beaver in a boat",))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("prompt: no", "prompt", "no"),
        ("prompt: 16:9", "prompt", "16:9"),
        ("prompt: 0x10", "prompt", "0x10"),
        ("prompt: 2026-11-22", "prompt", "2026-11-22"),
        ("prompt: x\nseed: 007", "seed", 7),
        ("prompt: x\nguidance_scale: 7", "guidance_scale", 7.0),
        ("prompt: x\nnegative_prompt: ''", "negative_prompt", ""),
        ("prompt: x\nnegative_prompt:", "negative_prompt", None),
        ("prompt: x\nmodel: on", "model", "on"),
        ("prompt: x\nslots:", "prompt", "x"),
        ("slots:\n  subject: otter", "prompt", "otter"),
        ("slots: {subject: [otter, hat]}", "prompt", "otter, hat"),
        ("prompt: x\nfacts: {plan: {steps: 0b_}}", "prompt", "x"),
    ],
)
def test_scalars_are_read_as_their_fields_type(text, field, value):
    read = recipe_file.read(text)
    assert (read.slots.joined() if field == "prompt" else getattr(read, field)) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        ("otter", "lines of"),
        ("- otter", "lines of"),
        ("prompt: &a otter", "anchors"),
        ("prompt: *a", "anchors"),
        ("slots: &a {subject: *a}", "anchors"),
        ("prompt: !!python/object:os.system x", "tags"),
        ("prompt: !x otter", "tags"),
        ("slots: " + "[" * 50 + "]" * 50, "levels"),
        ("slots: " + "{a: " * 5000, "levels"),
        ("prompt: a\nprompt: b", "twice"),
        ("prompt: a\n---\nprompt: b", "YAML"),
        ("prompt: [", "YAML"),
        ("prompt: \x07", "YAML"),
        ("prompt: [a]", "prompt must be a single value"),
        ("? [a]\n: b", "a name must be a single value"),
        ("prompt: a\nseed: lots", "seed must be a whole number, not “lots”"),
        ("prompt: a\nseed: 7.5", "seed must be a whole number"),
        ("prompt: a\nseed: -2", "seed is -2; it must be at least 0"),
        ("prompt: a\nseed: 99999999999999999999", "seed is 99999999999999999999; it can be at most"),
        ("prompt: a\nsteps: 1_0", "steps must be a whole number"),
        ("prompt: a\nguidance_scale: .nan", "guidance_scale must be a number"),
        ("prompt: a\nsteeps: 7", "“steeps” is not"),
        ("slots: {hat: [a]}", "hat is not"),
        ("prompt: a\nfacts: {plan: [1]}", "plan must be an object"),
        ("prompt: " + "a" * 3000, "subject"),
        ("prompt: " + "a" * 70000, "at most 65536 characters"),
    ],
)
def test_malformed_recipes_are_refused_with_a_sentence(text, sentence):
    with pytest.raises(Refused, match=sentence):
        recipe_file.read(text)


@given(st.text(max_size=200) | st.text("prompt:slo {}[]&*!-'\"\n#|>%@0", max_size=100))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        recipe_file.read(text)
    except Refused as refused:
        assert refused.error.message.endswith(".")


def test_other_tools_can_read_it():
    text = recipe_file.write(recipe_of(subject=("otter",)), FACTS)
    assert yaml.safe_load(text)["facts"]["plan"]["ratio"] == "16:9"


def test_keys_are_read_in_any_capitals_as_the_bot_reads_them():
    assert recipe_file.read("Prompt: otter\nSeed: 7\nSlots:\n  Subject: [otter]\n").seed == 7
    with pytest.raises(Refused, match="there twice"):
        recipe_file.read("Seed: 7\nseed: 8\nprompt: otter")
