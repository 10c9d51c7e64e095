"""The evaluation of the shipped weights. ``make test LONG=1`` runs it in full, without margins."""

import os
from math import sqrt
from pathlib import Path

import pytest

from training.pocket.captions import known_words
from training.pocket.evaluate import LONG, MOST_LEFT, MOST_UNASKED, REQUIRED, SHORT, evaluate, failures
from training.pocket.judge import load_or_train
from training.pocket.train import WEIGHTS

JUDGE = Path(__file__).parent / "judge.safetensors"
IS_LONG = bool(os.environ.get("LONG"))

# The sampling error to allow at this size: three standard deviations of a share.
MARGIN = 0 if IS_LONG else 3 * sqrt(0.05 * 0.95 / (SHORT.scenes * SHORT.seeds))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return evaluate(load_or_train(JUDGE, tmp_path_factory.mktemp("judge")), LONG if IS_LONG else SHORT, progress=False)


@pytest.mark.parametrize("name", REQUIRED)
def test_held_out_scenes_show_their_prompt(figures, name):
    assert figures["drawn"][name] >= REQUIRED[name] - MARGIN


def test_the_judge_reads_rendered_pictures_better_than_required(figures):
    assert all(figures["rendered"][name] >= least for name, least in REQUIRED.items())


@pytest.mark.parametrize("kind", ["headgear", "outfit"])
def test_a_low_weight_removes_its_words(figures, kind):
    assert figures["left"][f"({kind})----"] <= MOST_LEFT + MARGIN


@pytest.mark.parametrize("words", ["with the headgear's own name", "hat", "with the outfit's own name", "clothes"])
def test_a_negative_prompt_removes_what_it_names(figures, words):
    assert figures["left"][f"--no {words}"] <= MOST_LEFT


def test_animals_wear_no_unrequested_hat(figures):
    assert figures["unasked"]["headgear"] <= MOST_UNASKED + MARGIN


def test_failures_name_the_figure_and_the_requirement(figures):
    bad = {**figures, "drawn": {**figures["drawn"], "animal": 0.5}, "unasked": {"headgear": 0.2}}
    messages = failures(bad)
    assert "animal is 0.500, required is 0.95" in messages
    assert "0.200 have a headgear unasked, at most 0.03 may" in messages


def test_the_weights_are_small_and_know_the_words_of_the_captions():
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*")) <= 16 * 1024**2
    assert (WEIGHTS / "words.txt").read_text(encoding="utf-8").split() == known_words()
