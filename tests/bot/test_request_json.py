"""Every request is read back from its JSON exactly as it was written."""

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.easel.jobs.job import NOTHING
from bot.easel.jobs.request_json import UnknownRequest, request_from_json, request_to_json
from bot.easel.language import SLOTS, Asked, DrawRequest, EarlierFacts, ParseError, Slots, parse_all
from tests.bot.test_language_any_text import MIXED, RECIPES

TEXT = st.text(max_size=20)
TERMS = st.lists(TEXT, max_size=3).map(tuple)
WHOLE = st.integers(-(10**32), 10**32)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SIDES = st.tuples(WHOLE, WHOLE)
FACTS = st.builds(
    EarlierFacts,
    model_revision=st.none() | TEXT,
    plan=st.none() | st.dictionaries(TEXT, st.none() | st.booleans() | WHOLE | NUMBER | TEXT, max_size=3),
)
FIELDS = {
    "slots": st.builds(Slots, **dict.fromkeys(SLOTS, TERMS)),
    "negative_prompt": TEXT,
    "no": TERMS,
    "theme": TEXT,
    "model": TEXT,
    "seed": WHOLE,
    "steps": WHOLE,
    "guidance_scale": NUMBER,
    "size": SIDES | TEXT,
    "aspect_ratio": SIDES,
    "sampler": TEXT,
    "tier": TEXT,
    "count": WHOLE,
    "image": TEXT,
    "strength": NUMBER,
    "facts": FACTS,
    "notes": TERMS,
    "unused": TERMS,
    "pasted": TERMS,
    "emptied": TERMS,
}


def test_every_field_of_a_request_is_generated():
    assert set(FIELDS) == {field.name for field in fields(DrawRequest)}


def draw_request(values: dict) -> DrawRequest:
    if "size" in values:
        values.pop("aspect_ratio", None)
    return DrawRequest(**values)


ASKED = st.builds(
    Asked,
    st.lists(st.fixed_dictionaries({}, optional=FIELDS).map(draw_request), max_size=3).map(tuple),
    st.lists(TERMS, max_size=3).map(tuple),
    st.lists(st.integers(1, 9), max_size=3).map(tuple),
)


def check(asked: Asked) -> None:
    text = request_to_json(asked)
    again = request_from_json(text)
    assert again == asked
    # 7 and 7.0 are equal but differ as text.
    assert repr(again) == repr(asked)
    assert text.isascii() and "\x00" not in text, "PostgreSQL cannot store this character"


@given(ASKED)
def test_any_request_is_read_back(asked):
    check(asked)


@settings(max_examples=300)
@given(MIXED | RECIPES.map(json.dumps))
def test_any_accepted_text_is_read_back(text):
    try:
        asked = parse_all(text)
    except ParseError:
        return
    check(asked)


@pytest.mark.parametrize(
    "text",
    [
        "otter, (cowboy hat)++ | outfit: denim jacket | style: (watercolor)+ --no bokeh, text --seed 7 --ar 3:4",
        "otter --size portrait --steps 10,20,30 --cfg 7,12.5 --sampler unipc --fast --theme rivers --strength 0.4",
        "{otter | owl} | style: {watercolor | } -n 2 <lora:a:1>",
        f'prompt: owl\nnegative_prompt: ""\nimage: {"a" * 64}\nfacts: {{plan: {{dtype: fp16, n: 2}}}}',
        "a __animal__\nNegative prompt: text\nSteps: 20, Seed: 1, CFG scale: 7.5, Size: 512x768, Model: x",
    ],
)
def test_typical_commands_are_read_back(text):
    check(parse_all(text))
    check(parse_all("-n 2 --seed new +scarf", recipe="slots:\n  subject: [owl]\nseed: 3\nsteps: 9\n"))


def test_fields_that_were_not_given_are_omitted():
    assert json.loads(request_to_json(parse_all("otter --steps 9"))) == {
        "requests": [{"slots": {"subject": ["otter"]}, "steps": 9}]
    }
    assert request_from_json(request_to_json(NOTHING)) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "otter --steps 9",
        "[]",
        "5",
        "{}",
        '{"requests": [{"colour": "red"}]}',
        '{"requests": [{"slots": {"hat": ["x"]}}]}',
        '{"requests": [5]}',
        '{"requests": [], "version": 2}',
        '{"requests": [{"size": "square", "aspect_ratio": [3, 4]}]}',
    ],
)
def test_a_request_of_another_shape_is_not_read_in_part(text):
    with pytest.raises(UnknownRequest):
        request_from_json(text)
