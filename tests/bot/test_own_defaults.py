"""A person's own defaults: set, shown in captions, left where they do not belong, and forgotten."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.easel.commands.defaults import FORGOTTEN, NO_NAMES, ONLY
from bot.easel.generator.types import Capabilities, read
from bot.easel.language import parse_all
from bot.easel.language.chat import parse_chat
from bot.easel.policy.own_defaults import described, with_own_defaults
from bot.easel.policy.room_profiles import RoomProfile
from tests.helpers.fake_generator import capabilities

OWN = parse_chat("--model pocket --style watercolor --size 512x640 --steps 20")
RECIPE = "prompt: otter\nslots: {subject: [otter]}\ntheme: otter\nmodel: ssd-1b\nseed: 7\n"


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    return {"offer_reactions": "never"}


def filled(text: str, profile: RoomProfile = RoomProfile()) -> tuple[object, ...]:  # noqa: B008  # it is frozen
    (request,) = with_own_defaults(parse_all(text), OWN, profile, None).requests
    return request.model, request.slots.style, request.size, request.steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otter", ("pocket", ("watercolor",), (512, 640), 20)),
        ("otter | style: pop art --steps 9", ("pocket", ("pop art",), (512, 640), 9)),
        # Steps and size were chosen for another model.
        ("otter --model ssd-1b", ("ssd-1b", ("watercolor",), None, None)),
        ("otter | style: none", ("pocket", (), (512, 640), 20)),
        ("otter --ar 3:4", ("pocket", ("watercolor",), None, 20)),
        # A draft has few steps of its own.
        ("otter --draft", ("pocket", ("watercolor",), (512, 640), None)),
        (f"```yaml\n{RECIPE}```", ("ssd-1b", (), None, None)),
        ("otter\nNegative prompt: hat\nSteps: 9, Sampler: UniPC, Seed: 1", (None, (), None, 9)),
    ],
)
def test_they_fill_in_what_is_open(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize("text", ["otter", "otter --model Pocket"])
@pytest.mark.parametrize("profile", [RoomProfile(), RoomProfile(models=("pocket",))])
def test_a_model_is_known_in_any_capitals(text, profile):
    known = read(Capabilities, json.loads(capabilities().model_dump_json()))
    (request,) = with_own_defaults(parse_all(text), replace(OWN, model="POCKET"), profile, known).requests
    assert (request.model.lower(), request.steps) == ("pocket", 20)


def test_a_room_that_does_not_draw_with_a_persons_model_draws_with_its_own():
    assert filled("otter", RoomProfile(models=("ssd-1b",)))[0] is None


def test_they_are_noted_in_the_caption_as_far_as_they_count():
    (request,) = with_own_defaults(parse_all("otter --steps 9"), OWN, RoomProfile(), None).requests
    assert request.notes == ("Your defaults: model pocket · style watercolor · 512×640",)
    (request,) = with_own_defaults(parse_all(RECIPE), OWN, RoomProfile(), None).requests
    assert request.notes == ()
    assert described(parse_chat("--ar 3:4")) == "3:4"


async def test_they_are_set_shown_used_and_forgotten(drawing_room, homeserver, fake_generator):
    asked = 0

    async def ask(text: str, **more: Any) -> str:
        nonlocal asked
        asked += 1
        await drawing_room.say(text, **more)
        return (await homeserver.answers(asked))[-1].content["body"]

    assert (await ask("!easel defaults")).startswith("You have no defaults.")
    assert await ask("!easel defaults --style watercolor --steps 20") == "Your defaults: style watercolor · 20 steps"
    assert await ask("!easel defaults --steps 10") == "Your defaults: style watercolor · 10 steps"
    assert await ask("!easel defaults reset") == FORGOTTEN
    assert await ask("!easel defaults --style ink") == "Your defaults: style ink"
    assert await ask("!easel defaults --style none") == FORGOTTEN
    assert await ask("!easel defaults --style watercolor --steps 10") == "Your defaults: style watercolor · 10 steps"
    assert await ask("!easel defaults otter") == ONLY
    assert await ask("!easel defaults --cfg 7") == ONLY
    assert await ask("!easel defaults --style @cosy") == NO_NAMES

    await drawing_room.say("!draw otter")
    picture = await homeserver.marked("picture")
    assert picture.content["body"].endswith("\nYour defaults: style watercolor · 10 steps")
    await drawing_room.say("!draw owl", sender="@bob:example.com")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    mine, theirs = (job.recipes[0] for job in fake_generator.jobs.values())
    assert (mine.slots.style, mine.steps) == (("watercolor",), 10)
    assert (theirs.slots.style, theirs.steps) == ((), None)

    assert await ask("!easel defaults --style none --model SSD-1B") == "Your defaults: model ssd-1b · 10 steps"
    assert await ask("!easel defaults --model ssd") == "There's no model “ssd”. Did you mean ssd-1b?"
    assert await ask("!easel defaults off") == FORGOTTEN
    assert (await ask("!easel defaults")).startswith("You have no defaults.")


async def test_a_reply_to_a_picture_keeps_the_pictures_own(drawing_room, homeserver, fake_generator):
    await drawing_room.say("!draw otter")
    await homeserver.marked("recipe-file")
    await drawing_room.say("!easel defaults --style watercolor --steps 10")
    await homeserver.answers()
    target = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    await drawing_room.say("!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": target}}})
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    recipe = list(fake_generator.jobs.values())[-1].recipes[0]
    assert (recipe.slots.subject, recipe.slots.style, recipe.steps) == (("otter", "hat"), (), None)
