"""Pictures show what the prompt asks for: the judge reads pictures that went through every process."""

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
    """The scenes that the judge sees in pictures from the room, which are enlarged."""
    small = [Image.open(BytesIO(png)).resize((64, 64), Image.Resampling.BOX) for png in pictures]
    return judge.scenes(np.stack([np.asarray(picture) for picture in small]))


async def test_an_otter_in_a_cowboy_hat(encrypted, judge):
    drawn = await encrypted.draw("!draw otter, cowboy hat --seed 7")
    (scene,) = shown(judge, drawn.png)
    assert (scene.animal, scene.headgear, scene.style) == ("otter", "cowboy hat", "cartoon")
    assert "pocket" in drawn.picture.body


async def test_the_picture_shows_every_slot(encrypted, judge):
    drawn = await encrypted.draw(
        "!draw owl, headphones | outfit: red t-shirt | environment: forest, night | style: pop art --seed 3"
    )
    (scene,) = shown(judge, drawn.png)
    assert (scene.animal, scene.headgear, scene.outfit) == ("owl", "headphones", "red t-shirt")
    assert (scene.place, scene.light, scene.style) == ("forest", "night", "pop art")


async def test_a_larger_picture_still_shows_the_prompt(encrypted, judge):
    drawn = await encrypted.draw("!draw owl, headphones | outfit: red t-shirt | environment: forest, night --seed 3")
    await encrypted.person.react(encrypted.room_id, drawn.picture.event_id, "⬆️")
    picture = await encrypted.reply(drawn.picture.event_id, "picture")
    assert "Now: size 96×96" in picture.body
    larger = await encrypted.person.fetch(picture.content)
    assert Image.open(BytesIO(larger)).size == (768, 768)
    before, after = shown(judge, drawn.png, larger)
    assert after == before
    assert (after.animal, after.headgear, after.outfit, after.place) == ("owl", "headphones", "red t-shirt", "forest")
