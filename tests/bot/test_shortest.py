"""📋 answers with the shortest command that draws a picture again: in a room, from a photo, and after ⬆️."""

from hashlib import sha256
from typing import Any

import pytest

from bot.easel.commands.shortest import CANNOT_BE_TYPED, REPLY_TO_PHOTO, REPLY_TO_PICTURE, THEN_LARGER

RECIPE = """prompt: {prompt}
negative_prompt: ugly, text
slots: {{subject: [{subject}]}}
theme: otter
model: ssd-1b
seed: {seed}
steps: {steps}
guidance_scale: 12.0
sampler: unipc
width: {side}
height: {side}
tier: exact
"""


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    return {"offer_reactions": "never"}


def gives(fake_generator, *, subject: str = "otter", seed: int = 7, steps: int = 30, side: int = 768, more: str = ""):
    """Have the generator give this recipe from now on."""
    text = RECIPE.format(prompt=subject, subject=subject, seed=seed, steps=steps, side=side) + more
    fake_generator.sins["recipe"] = fake_generator._bytes(text.encode())


async def drawn(room, homeserver, text: str, number: int = 1, **more: Any) -> str:
    """Draw, and return the event of the picture."""
    await room.say(text, **more)
    files = await homeserver.until(
        lambda: len(found := [e for e in homeserver.events if e.kind == "recipe-file"]) == number and found
    )
    job = files[-1].content["household.easel"]["job"]
    return f"$sent-{job}-picture-0"


async def copied(room, homeserver, picture: str, number: int = 1) -> str:
    relation = {"rel_type": "m.annotation", "event_id": picture, "key": "📋"}
    await room.put({"m.relates_to": relation}, type="m.reaction")
    return (await homeserver.answers(number))[-1].content["body"]


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        ({}, "!draw otter --seed 7"),
        ({"steps": 20, "side": 512}, "!draw otter --seed 7 --steps 20 --size 512x512"),
        ({"subject": "'a | b'"}, CANNOT_BE_TYPED),
    ],
)
async def test_defaults_are_left_out(drawing_room, homeserver, fake_generator, recipe, command):
    gives(fake_generator, **recipe)
    picture = await drawn(drawing_room, homeserver, "!draw otter")
    assert await copied(drawing_room, homeserver, picture) == command


async def test_a_persons_own_defaults_count_for_the_one_who_copies(drawing_room, homeserver, fake_generator):
    gives(fake_generator, steps=20)
    picture = await drawn(drawing_room, homeserver, "!draw otter")
    await drawing_room.say("!easel defaults --steps 20 --model pocket")
    await homeserver.answers()
    assert await copied(drawing_room, homeserver, picture, 2) == "!draw otter --model ssd-1b --seed 7 --steps 20"


@pytest.fixture
def kept(homeserver):
    """The fake room has the bot's pictures and a photo, as the generator wants their bytes."""
    photo = {"msgtype": "m.image", "body": "beach.jpg", "url": "mxc://example.com/beach"}
    homeserver.uploads["mxc://example.com/beach"] = b"JPEG"

    def kept() -> None:
        event = {"type": "m.room.message", "sender": "@bot:x", "event_id": "$photo", "origin_server_ts": 1}
        own = homeserver.as_heard("@bot:x")
        homeserver.history["!kitchen:example.com"] = [{**event, "content": photo}, *own]

    kept()
    return kept


async def pressed(room, homeserver, picture: str, key: str, number: int) -> str:
    """Press a button under a picture; return the event of the new one."""
    relation = {"rel_type": "m.annotation", "event_id": picture, "key": key}
    await room.put({"m.relates_to": relation}, type="m.reaction")
    return await newest(homeserver, number)


async def newest(homeserver, number: int) -> str:
    files = await homeserver.until(
        lambda: len(found := [e for e in homeserver.events if e.kind == "recipe-file"]) == number and found
    )
    return f"$sent-{files[-1].content['household.easel']['job']}-picture-0"


FROM_PHOTO = {"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}}
LARGER = {"side": 1152, "more": f"image: {sha256(b'PNG').hexdigest()}\nstrength: 0.35\n"}


async def test_an_enlarged_picture_takes_the_command_of_the_one_before(drawing_room, homeserver, fake_generator, kept):
    gives(fake_generator)
    picture = await drawn(drawing_room, homeserver, "!draw otter")
    kept()
    gives(fake_generator, **LARGER)
    larger = await pressed(drawing_room, homeserver, picture, "⬆️", 2)
    (caption,) = [e.content["body"] for e in homeserver.events if e.kind == "picture"][1:]
    assert "from the picture, strength 0.35" in caption
    assert await copied(drawing_room, homeserver, larger) == f"!draw otter --seed 7\n{THEN_LARGER}"


async def test_a_picture_from_a_photo_takes_a_reply_to_it_also_when_it_is_enlarged(
    drawing_room, homeserver, fake_generator, kept
):
    gives(fake_generator, more=f"image: {sha256(b'JPEG').hexdigest()}\nstrength: 0.6\n")
    picture = await drawn(drawing_room, homeserver, "!draw otter --strength 0.6", **FROM_PHOTO)
    command = f"{REPLY_TO_PHOTO}\n!draw otter --seed 7 --strength 0.6"
    assert await copied(drawing_room, homeserver, picture) == command
    kept()
    gives(fake_generator, **LARGER)
    larger = await pressed(drawing_room, homeserver, picture, "⬆️", 2)
    assert await copied(drawing_room, homeserver, larger, 2) == f"{command}\n{THEN_LARGER}"


async def test_what_was_changed_after_it_was_enlarged_takes_a_reply_to_itself(
    drawing_room, homeserver, fake_generator, kept
):
    gives(fake_generator)
    picture = await drawn(drawing_room, homeserver, "!draw otter")
    kept()
    gives(fake_generator, **LARGER)
    larger = await pressed(drawing_room, homeserver, picture, "⬆️", 2)
    gives(fake_generator, **LARGER, seed=8)
    rolled = await pressed(drawing_room, homeserver, larger, "🎲", 3)
    copy = await copied(drawing_room, homeserver, rolled)
    assert copy == f"{REPLY_TO_PICTURE}\n!draw --seed 8"
    await drawing_room.say(copy.splitlines()[1], **{"m.relates_to": {"m.in_reply_to": {"event_id": rolled}}})
    again = await newest(homeserver, 4)
    jobs = {f"$sent-{job}-picture-0": asked.recipes[0] for job, asked in fake_generator.jobs.items()}
    assert jobs[again].seed == 8 and jobs[again].image == jobs[larger].image
