"""Wildcards: words that a picture's seed chooses from the lists of the settings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.generator.types import Capabilities, read
from bot.easel.jobs.body import job_body
from bot.easel.language import ParseError, Slots, parse_all
from bot.easel.policy.wildcards import resolved, word_lists
from bot.easel.setting_rules import InvalidSettings

LISTS = word_lists("wildcards", {"animal": ["otter", "owl", "cat", "dog"], "Blue_sky": ["fog"]})


@given(st.integers(0, 2**53 - 1))
def test_the_same_seed_chooses_the_same_word(seed):
    slots = Slots(subject=("fat __animal__", "(__animal__)++"), environment=("__BLUE_SKY__",))
    chosen = resolved(slots, seed, LISTS)
    assert chosen == resolved(slots, seed, LISTS)
    assert chosen.subject[0].removeprefix("fat ") in LISTS["animal"]
    assert chosen.environment == ("fog",)


def test_every_seed_and_place_chooses_independently():
    pairs = {resolved(Slots(subject=("__animal__", "__animal__")), seed, LISTS).subject for seed in range(300)}
    assert len(pairs) == 16


def test_every_version_chooses_the_same_words():
    chosen = [resolved(Slots(subject=("__animal__",)), seed, LISTS).subject[0] for seed in range(6)]
    assert chosen == ["dog", "dog", "owl", "dog", "otter", "dog"]


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("__animals__", "There's no word list “__animals__”. Did you mean __animal__?"),
        ("__xyz__", "There's no word list “__xyz__”. There is: animal, blue_sky."),
    ],
)
def test_a_missing_list_is_refused_with_a_sentence(term, sentence):
    with pytest.raises(ParseError) as error:
        resolved(Slots(subject=(term,)), 1, LISTS)
    assert str(error.value) == sentence


def test_without_lists_the_sentence_names_none():
    with pytest.raises(ParseError) as error:
        resolved(Slots(subject=("__animal__",)), 1, {})
    assert str(error.value) == "There's no word list “__animal__”."


@pytest.mark.parametrize("text", ["_animal_", "__ __", "__", "a__b", "____"])
def test_text_without_wildcards_stays(text):
    assert resolved(Slots(subject=(text,)), 1, LISTS).subject == (text,)


@pytest.mark.parametrize(
    "value", [["otter"], {"an animal": ["otter"]}, {"animal": []}, {"animal": [""]}, {"animal": "otter"}]
)
def test_bad_word_lists_are_refused(value):
    with pytest.raises(InvalidSettings, match="wildcards"):
        word_lists("wildcards", value)


def test_every_picture_of_a_sheet_has_its_own_choice_in_its_recipe(fake_generator):
    known = read(Capabilities, json.loads(fake_generator.capabilities.model_dump_json()))
    body = job_body(parse_all("__animal__ -n 9 --seed 1"), known, requester="x", seed=1, wildcards=LISTS)
    subjects = [recipe["slots"]["subject"] for recipe in body["recipes"]]
    assert subjects == [resolved(Slots(subject=("__animal__",)), seed, LISTS).subject for seed in range(1, 10)]
    assert len(set(subjects)) > 1
