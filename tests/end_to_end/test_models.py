"""Every model and every tier, requested in a room."""

import pytest

from tests.helpers.miniatures import NAMES

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_model_draws(encrypted):
    commands = [await encrypted.say(f"!draw otter --model {name} --steps 2") for name in NAMES]
    for name, command in zip(NAMES, commands, strict=True):
        drawn = await encrypted.drawn(command)
        assert drawn.record["model"] == name
        assert f" · {name} · " in drawn.picture.body


async def test_turbo_refuses_what_it_does_not_support(plain):
    refusal = await plain.answer("!draw otter --model sdxl-turbo --negative ugly")
    assert refusal == "sdxl-turbo draws without guidance, so it can't leave things out."


@pytest.mark.parametrize("tier", ["balanced", "fast", "draft"])
async def test_every_tier_is_named_in_caption_and_recipe(encrypted, tier):
    exact = await encrypted.draw("!draw otter, top hat --seed 7")
    drawn = await encrypted.draw(f"!draw otter, top hat --seed 7 --tier {tier}")
    assert drawn.record["tier"] == tier
    assert f" · {tier} · " in drawn.picture.body
    assert "exact" not in exact.picture.body
    assert drawn.pixels != exact.pixels
