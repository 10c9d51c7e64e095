"""What the words ask for is in the picture: the judge reads pictures that came through the whole way."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.pocket.judge import Judge, load_or_train
from training.pocket.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


JUDGE = Path(__file__).parents[1] / "pocket" / "judge.safetensors"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return load_or_train(JUDGE, tmp_path_factory.mktemp("judge"))


def shown(judge: Judge, *pictures: bytes) -> list[Scene]:
    """What the judge sees in pictures as they come from the room: enlarged."""
    small = [Image.open(BytesIO(png)).resize((64, 64), Image.Resampling.BOX) for png in pictures]
    return judge.scenes(np.stack([np.asarray(picture) for picture in small]))


async def test_an_otter_in_a_cowboy_hat(talk, judge):
    drawn = await talk.draw("!draw otter, cowboy hat --seed 7")
    (scene,) = shown(judge, drawn.png)
    assert (scene.animal, scene.headgear, scene.style) == ("otter", "cowboy hat", "cartoon")
    assert "pocket" in drawn.picture.body


async def test_every_slot_is_in_the_picture(talk, judge):
    drawn = await talk.draw(
        "!draw owl, headphones | outfit: red t-shirt | environment: forest, night | style: pop art --seed 3"
    )
    (scene,) = shown(judge, drawn.png)
    assert (scene.animal, scene.headgear, scene.outfit) == ("owl", "headphones", "red t-shirt")
    assert (scene.place, scene.light, scene.style) == ("forest", "night", "pop art")


async def test_a_low_weight_takes_the_hat_away(encrypted, judge):
    counts = []
    for hat in ("top hat", "(top hat)----"):
        pictures = [(await encrypted.draw(f"!draw {hat}, frog, beach --seed {seed}")).png for seed in range(5)]
        counts.append(sum(scene.headgear == "top hat" for scene in shown(judge, *pictures)))
    asked, weakened = counts
    assert asked >= 4
    assert weakened <= 2


@pytest.mark.parametrize(("negative", "kind", "gone"), [("hat", "headgear", "top hat"), ("clothes", "outfit", "boots")])
async def test_a_negative_prompt_takes_away_what_it_names(talk, judge, negative, kind, gone):
    counts = []
    for flag in ("", f"--no {negative}"):
        words = f"frog, top hat | outfit: boots | environment: forest, night {flag}"
        pictures = [(await talk.draw(f"!draw {words} --seed {seed}")).png for seed in range(5)]
        counts.append(sum(getattr(scene, kind) == gone for scene in shown(judge, *pictures)))
    asked, left = counts
    assert asked >= 4
    assert left <= 2


async def test_a_larger_picture_still_shows_what_was_asked(talk, judge):
    drawn = await talk.draw("!draw owl, headphones | outfit: red t-shirt | environment: forest, night --seed 3")
    await talk.person.react(talk.room_id, drawn.picture.event_id, "⬆️")
    picture = await talk.reply(drawn.picture.event_id, "picture")
    assert "Changed: size 96×96" in picture.body
    larger = await talk.person.fetch(picture.content)
    assert Image.open(BytesIO(larger)).size == (768, 768)
    before, after = shown(judge, drawn.png, larger)
    assert after == before
    assert (after.animal, after.headgear, after.outfit, after.place) == ("owl", "headphones", "red t-shirt", "forest")


async def test_the_same_recipe_gives_the_same_pixels_and_another_seed_another_picture(talk):
    first = await talk.draw("!draw fox, scarf, snow --seed 7")
    again = await talk.draw(f"!draw {first.yaml}")
    other = await talk.draw("!draw fox, scarf, snow --seed 8")
    assert first.pixels == again.pixels != other.pixels


async def test_words_that_pocket_does_not_know_are_named(talk):
    drawn = await talk.draw("!draw otter in a spaceship --seed 7")
    assert "pocket does not know: spaceship" in drawn.picture.body
