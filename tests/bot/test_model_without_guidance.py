"""A model without guidance takes no negative prompt. A room's negative terms are dropped with a note, not refused."""

from typing import Any

import pytest

from tests.helpers.fake_generator import FakeGenerator, capabilities, card

NOTE = "turbo can't leave things out, so this may have blood, gun."


@pytest.fixture
async def fake_generator() -> FakeGenerator:
    return FakeGenerator(capabilities("0.1.0", card(), card("turbo", max_guidance_scale=0)))


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    return {"rooms": {"*": {"no": ["blood", "gun"], "defaults": {"cfg": 7, "steps": 60, "size": "portrait"}}}}


@pytest.mark.parametrize(
    ("typed", "sent", "is_noted"),
    [
        ("otter", {"negative_prompt": "blood, gun, ugly, text", "guidance_scale": 7.0}, False),
        ("otter --model turbo", {"negative_prompt": None, "guidance_scale": None, "width": 640}, True),
        # A person's negative prompt reaches the generator, which refuses it with its own sentence.
        ("otter --model turbo --no hat --cfg 3", {"negative_prompt": "ugly, text, hat", "guidance_scale": 3.0}, True),
        ('prompt: otter\nmodel: turbo\nnegative_prompt: ""\nguidance_scale: 0', {"negative_prompt": ""}, True),
    ],
)
async def test_a_rooms_negative_terms_are_dropped_with_a_note(
    drawing_room, homeserver, fake_generator, typed, sent, is_noted
):
    await drawing_room.say(f"!draw {typed}")
    await homeserver.files()
    ((recipe,),) = (job.recipes for job in fake_generator.jobs.values())
    assert {key: getattr(recipe, key) for key in sent} == sent
    picture = await homeserver.marked("picture")
    assert (NOTE in picture.content["body"].splitlines()) == is_noted


async def test_a_default_of_steps_is_lowered_to_the_models_limit(drawing_room, homeserver, fake_generator):
    limits = fake_generator.capabilities.models[1].limits.model_copy(update={"max_steps": 10})
    few = fake_generator.capabilities.models[1].model_copy(update={"name": "few", "limits": limits})
    fake_generator.capabilities = capabilities("0.1.0", card(), few)
    for words in ("otter", "otter --model few", "otter --model few --steps 20"):
        await drawing_room.say(f"!draw {words}")
    await homeserver.files(3)
    assert [job.recipes[0].steps for job in fake_generator.jobs.values()] == [60, None, 20]


async def test_models_are_listed_with_their_licence(drawing_room, homeserver):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await drawing_room.say("!easel models")
    lines = (await homeserver.answer()).splitlines()
    sizes = "30 steps · square 768×768, portrait 640×896, landscape 896×640"
    assert lines == [f"• ssd-1b · the default · {sizes}", f"• turbo · {sizes}"]
