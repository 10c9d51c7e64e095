"""The small world that pocket is trained on: scenes, their pictures and their captions."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.pocket.canvas import LARGER_SIDE
from training.pocket.captions import ABSENT, BROAD, PHRASES, caption, known_words
from training.pocket.render import render
from training.pocket.renders import training_pictures
from training.pocket.scene import ATTRIBUTES, PLAIN, Scene, is_held_out, random_scene

OTTER = Scene("otter", "cowboy hat", "scarf", "happy", "beach", "day", "cartoon")


def test_the_same_scene_and_seed_give_the_same_picture():
    assert render(OTTER, 3).tobytes() == render(OTTER, 3).tobytes()
    assert render(OTTER, 3).size == (64, 64)


def test_cached_pictures_match_their_scenes(tmp_path: Path):
    owl = replace(OTTER, animal="owl")
    for scene in (OTTER, owl, OTTER):
        assert np.array_equal(training_pictures(tmp_path, [scene])[0], np.asarray(render(scene, 0)))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("style", ATTRIBUTES["style"])
def test_a_larger_render_is_the_same_picture_in_more_pixels(style):
    scene = replace(OTTER, style=style)
    small = render(scene, 3)
    larger = render(scene, 3, side=LARGER_SIDE)
    assert larger.size == (96, 96)

    def coarse(picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.resize((16, 16), Image.Resampling.BOX), dtype=float)

    another = coarse(render(replace(scene, headgear="headphones", animal="owl"), 3))
    difference = np.abs(coarse(small) - coarse(larger)).mean()
    assert difference < 10
    assert difference < np.abs(coarse(small) - another).mean() / 2


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ATTRIBUTES.items() for value in values])
def test_every_value_changes_the_picture(name, value):
    others = [other for other in ATTRIBUTES[name] if other != value]
    picture = np.asarray(render(replace(OTTER, **{name: value}), 3), dtype=float)
    for other in others:
        difference = np.abs(picture - np.asarray(render(replace(OTTER, **{name: other}), 3), dtype=float))
        assert (difference > 30).sum() > 20, f"{value} looks like {other}"


def test_every_value_is_trained_on_with_every_other_and_some_combinations_are_held_out():
    rng = random.Random(1)
    scenes = [random_scene(rng) for _ in range(20_000)]
    kept, held_out = [s for s in scenes if not is_held_out(s)], [s for s in scenes if is_held_out(s)]
    assert 0.03 < len(held_out) / len(scenes) < 0.1
    for one, other in (("animal", "headgear"), ("animal", "outfit"), ("headgear", "outfit"), ("outfit", "style")):
        pairs = {(getattr(scene, one), getattr(scene, other)) for scene in kept}
        assert len(pairs) == len(ATTRIBUTES[one]) * len(ATTRIBUTES[other])


def test_captions_are_made_of_known_words():
    rng = random.Random(2)
    known = set(known_words())
    for _ in range(2000):
        words = "".join(text for text, _ in caption(random_scene(rng), rng)).replace(",", " ").split()
        # At most one made-up word: it teaches that unknown words mean nothing.
        assert sum(word not in known for word in words) <= 1


def test_attributes_that_a_caption_omits_are_plain():
    rng = random.Random(3)
    animals = {word for value in ATTRIBUTES["animal"] for word in PHRASES[value]} | {"animal"}
    for _ in range(2000):
        scene = random_scene(rng)
        text = "".join(text for text, _ in caption(scene, rng))
        if not any(animal in text for animal in animals):
            continue  # a single word omits the rest
        for name, plain in PLAIN.items():
            value = getattr(scene, name)
            if value != plain:
                broad = [word for word, values in BROAD.items() if value in values]
                assert any(phrase in text for phrase in (*PHRASES[value], *broad)), f"{value} is not in {text!r}"


def test_low_weights_are_on_words_that_the_picture_does_not_show():
    rng = random.Random(4)
    weakened = 0
    for _ in range(4000):
        scene = random_scene(rng)
        for text, weight in caption(scene, rng):
            if weight != 1:
                weakened += 1
                assert 0.5 < weight < 0.75
                assert text not in PHRASES.get(scene.headgear, ()) + PHRASES.get(scene.outfit, ())
    assert weakened > 50


def test_single_words_are_never_wrong():
    rng = random.Random(5)
    hats = 0
    for _ in range(6000):
        scene = random_scene(rng)
        # This matches no longer caption that starts with a low-weight fragment.
        if caption(scene, rng) == [("hat", 1.0)]:
            hats += 1
            assert scene.headgear in BROAD["hat"]
    assert hats > 20
    assert "no hat" in ABSENT["headgear"]
