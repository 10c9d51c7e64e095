"""What a message replies to or comes with: a picture, a photo sent in any way, a recipe file; or it is told."""

from typing import Any

import pytest

from bot.easel.commands.help import DRAW_FROM_PHOTO
from bot.easel.room.replies import NOT_DRAWN_YET

ROOM = "!kitchen:example.com"
ADA = "@ada:example.com"


@pytest.fixture
def post(homeserver):
    """Put an event with a file into the room's past."""

    def post(msgtype: str, name: str, data: bytes = b"", **more: Any) -> str:
        event_id, url = f"$past-{len(homeserver.history.get(ROOM, []))}", f"mxc://example.com/{len(homeserver.uploads)}"
        homeserver.uploads[url] = data
        content = {"msgtype": msgtype, "body": name, "url": url, **more}
        event = {"type": "m.room.message", "sender": "@bob:example.com", "event_id": event_id, "content": content}
        homeserver.history.setdefault(ROOM, []).append({**event, "room_id": ROOM, "origin_server_ts": 1})
        return event_id

    return post


def reply(event_id: str) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": event_id}}}


def in_thread(event_id: str) -> dict[str, Any]:
    relation = {"rel_type": "m.thread", "event_id": event_id, "is_falling_back": True}
    return {"m.relates_to": {**relation, "m.in_reply_to": {"event_id": event_id}}}


async def drawn_recipe(homeserver, fake_generator):
    await homeserver.marked("picture")
    return list(fake_generator.jobs.values())[-1].recipes[0]


@pytest.mark.parametrize("to_photo", [reply, in_thread])
@pytest.mark.parametrize(
    ("msgtype", "name", "info"),
    [
        ("m.image", "IMG.jpg", {}),
        ("m.file", "IMG.jpg", {"info": {"mimetype": "image/jpeg"}}),
        ("m.file", "scan", {"info": {"mimetype": "image/png"}}),
        ("m.file", "PHOTO.WEBP", {}),
    ],
)
async def test_a_photo_sent_in_any_way_is_drawn_from(
    drawing_room, homeserver, fake_generator, post, to_photo, msgtype, name, info
):
    photo = post(msgtype, name, b"a photo", **info)
    await drawing_room.say("!draw otter", **to_photo(photo))
    assert (await drawn_recipe(homeserver, fake_generator)).image


async def test_a_photo_sent_as_a_file_with_a_command_is_drawn_from(drawing_room, homeserver, fake_generator, post):
    photo = post("m.file", "IMG.jpg", b"a photo", info={"mimetype": "image/jpeg"})
    content = {**homeserver.history[ROOM][0]["content"], "body": "!draw otter", "filename": "IMG.jpg"}
    await drawing_room.put(content, event_id=photo)
    assert (await drawn_recipe(homeserver, fake_generator)).image


@pytest.mark.parametrize("name", ["otter.yml", "otter.yaml", "otter.yml.txt", "otter.txt"])
async def test_a_recipe_file_of_any_ending_is_one(drawing_room, homeserver, fake_generator, post, name):
    file = post("m.file", name, b"prompt: otter\nseed: 7\n")
    await drawing_room.say("!draw +hat", **reply(file))
    recipe = await drawn_recipe(homeserver, fake_generator)
    assert (recipe.slots.subject, recipe.seed) == (("otter", "hat"), 7)


@pytest.mark.parametrize("body", ["!draw", "!draw --seed 7"])
async def test_a_recipe_file_sent_with_a_command_is_drawn(drawing_room, homeserver, fake_generator, post, body):
    file = post("m.file", "otter.yml", b"prompt: otter\nseed: 7\n")
    content = {**homeserver.history[ROOM][0]["content"], "body": body, "filename": "otter.yml"}
    await drawing_room.put(content, event_id=file)
    assert (await drawn_recipe(homeserver, fake_generator)).seed == 7


async def test_a_bare_command_draws_the_recipe_that_it_replies_to(drawing_room, homeserver, fake_generator, post):
    file = post("m.file", "otter.yml", b"prompt: otter\nseed: 7\n")
    await drawing_room.say("!draw", **reply(file))
    assert (await drawn_recipe(homeserver, fake_generator)).seed == 7


@pytest.mark.parametrize(
    ("msgtype", "name", "body", "sentence"),
    [
        ("m.image", "IMG.jpg", "!draw", DRAW_FROM_PHOTO),
        ("m.video", "a.mp4", "!draw otter", "I draw from photos, not from videos."),
        ("m.audio", "a.ogg", "!draw otter", "I draw from photos, not from sounds."),
        ("m.file", "a.pdf", "!draw otter", "I draw from photos and recipes, and “a.pdf” is neither."),
        ("m.file", "\ud800\0.pdf", "!draw otter", "I draw from photos and recipes, and “\ufffd\ufffd.pdf” is neither."),
    ],
)
async def test_what_cannot_be_drawn_from_is_told(drawing_room, homeserver, post, msgtype, name, body, sentence):
    await drawing_room.say(body, **reply(post(msgtype, name)))
    assert await homeserver.answer() == sentence


@pytest.mark.parametrize("body", ["+scarf", "+ scarf", "style: +ink", "-otter +owl"])
async def test_signs_in_a_reply_to_a_picture_need_no_command(drawing_room, homeserver, fake_generator, noted, body):
    await drawing_room.say("!draw otter --seed 7")
    picture = await homeserver.marked("picture")
    await noted()
    await drawing_room.say(body, **reply(f"$sent-{picture.txn_id}"))
    await homeserver.files(2)
    recipe = list(fake_generator.jobs.values())[-1].recipes[0]
    assert recipe.slots.joined() != "otter" and len(fake_generator.jobs) == 2


@pytest.mark.parametrize("body", ["+1", "-1", "nice", "- fine", "+"])
async def test_other_words_in_a_reply_to_a_picture_draw_nothing(drawing_room, homeserver, fake_generator, noted, body):
    await drawing_room.say("!draw otter --seed 7")
    picture = await homeserver.marked("picture")
    await noted()
    await drawing_room.say(body, **reply(f"$sent-{picture.txn_id}"))
    await drawing_room.say("!easel status")
    await homeserver.answers(1)
    assert len(fake_generator.jobs) == 1


async def test_a_reply_to_ones_own_command_changes_its_picture(drawing_room, homeserver, fake_generator, plugin):
    command = await drawing_room.say("!draw otter --seed 7")
    await homeserver.files(1)
    await drawing_room.say("!draw +hat", **reply(command))
    await homeserver.files(2)
    assert list(fake_generator.jobs.values())[-1].recipes[0].slots.subject[-1] == "hat"
    await plugin.database.execute("DELETE FROM recipe")
    await drawing_room.say("!draw +hat", **reply(command))
    assert await homeserver.answer() == NOT_DRAWN_YET


async def test_a_reply_to_a_command_that_is_not_drawn_yet_changes_its_request(
    drawing_room, homeserver, fake_generator, drawn
):
    command = await drawing_room.say("!draw otter, scarf | style: ink --steps 9")
    await homeserver.until(lambda: fake_generator.jobs)
    await drawing_room.say("!draw +hat -scarf", **reply(command))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    drawn.set()
    await homeserver.files(2)
    first, second = (job.recipes[0] for job in fake_generator.jobs.values())
    assert (second.slots.subject, second.slots.style) == (("otter", "hat"), ("ink",))
    assert (second.seed, second.steps) == (first.seed, 9)


@pytest.mark.parametrize("command", ["!draw otter --sede 7", "!draw otter -n 2"])
async def test_what_cannot_be_changed_yet_is_told(drawing_room, homeserver, fake_generator, drawn, command):
    event_id, is_refused = await drawing_room.say(command), "--sede" in command
    if is_refused:
        await homeserver.answers(1)
    await drawing_room.say("!draw +hat", **reply(event_id))
    assert (await homeserver.answers(1 + is_refused))[-1].content["body"] == NOT_DRAWN_YET


async def test_words_that_replace_the_subject_say_how_to_keep_the_rest(drawing_room, homeserver, fake_generator, post):
    file = post("m.file", "otter.yml", b"prompt: otter, hat\nseed: 7\n")
    await drawing_room.say("!draw night", **reply(file))
    picture = await homeserver.marked("picture")
    assert "To keep the rest: +night" in picture.content["body"].splitlines()
