"""Drawing from photos and enlarging pictures: the requests to the generator."""

import hashlib

import pytest
from aiohttp import web

from bot.easel.generator.types import Capabilities, read
from bot.easel.jobs.body import NO_PHOTO, CannotAsk, job_body, with_image
from bot.easel.language import ParseError, larger, parse_all, parse_recipe
from bot.easel.room.photos import NOT_FETCHED, NOT_HERE, is_photo
from tests.helpers.fake_generator import capabilities as theirs

RECIPE = "slots:\n  subject: [otter]\nseed: 7\nsteps: {steps}\nwidth: 640\nheight: 896\n"
PERSON = "@ada:example.com"


def body(text: str, *, has_photo: bool = True):
    known = read(Capabilities, theirs().model_dump(mode="json"))
    return job_body(parse_all(text), known, requester=PERSON, seed=1, has_photo=has_photo)


def test_every_picture_of_a_job_is_drawn_from_the_photo():
    (first, second) = with_image(body("{otter | owl} --strength 0.3"), "abc")["recipes"]
    assert (first["image"], first["strength"], second["image"]) == ("abc", 0.3, "abc")
    assert [recipe["strength"] for recipe in body("otter --strength 0.3,0.6")["recipes"]] == [0.3, 0.6]


def test_a_strength_without_a_photo_is_refused_with_a_sentence():
    with pytest.raises(CannotAsk, match=r"--strength needs a photo"):
        body("otter --strength 0.5", has_photo=False)
    assert NO_PHOTO.startswith("--strength")


@pytest.mark.parametrize(("steps", "strength"), [(30, 0.35), (4, 0.35), (2, 0.5), (1, 1)])
def test_a_larger_picture_is_drawn_from_the_picture_at_low_strength(steps, strength):
    request = larger(parse_recipe(RECIPE.format(steps=steps)))
    assert (request.size, request.strength, request.seed) == ((960, 1344), strength, 7)
    assert f"Now: size 960×1344 · strength {strength:g}" in request.notes


def test_a_recipe_without_a_size_cannot_be_enlarged():
    with pytest.raises(ParseError, match="doesn't say how large"):
        larger(parse_recipe("prompt: otter\n"))


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        ({"msgtype": "m.image"}, True),
        ({"msgtype": "m.image", "household.easel": {"kind": "picture"}}, False),
        ({"msgtype": "m.file"}, False),
        ({}, False),
    ],
)
def test_photos_are_pictures_from_people(content, is_one):
    assert is_photo(content) is is_one


@pytest.fixture
def photo(homeserver) -> bytes:
    """A photo that Bob sent to the room."""
    data = b"a photo, as far as the bot knows"
    homeserver.uploads["mxc://example.com/photo"] = data
    content = {"msgtype": "m.image", "body": "IMG.jpg", "url": "mxc://example.com/photo"}
    event = {"type": "m.room.message", "sender": "@bob:example.com", "event_id": "$photo", "content": content}
    homeserver.history["!kitchen:example.com"] = [{**event, "room_id": "!kitchen:example.com", "origin_server_ts": 1}]
    return data


async def test_the_photo_of_a_reply_is_uploaded_to_the_generator_before_its_job(
    drawing_room, homeserver, fake_generator, photo
):
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}}
    await drawing_room.say("!draw otter --strength 0.4", **reply)
    await homeserver.files()
    sha256 = hashlib.sha256(photo).hexdigest()
    assert fake_generator.images == {sha256: photo}
    (job,) = fake_generator.jobs.values()
    assert (job.recipes[0].image, job.recipes[0].strength) == (sha256, 0.4)
    assert fake_generator.asked.index("image") < fake_generator.asked.index("submit")
    assert " · from a photo, strength 0.4 · " in (await homeserver.marked("picture")).content["body"]

    # The recipe draws from the photo again in this room only.
    recipe = f"!draw\n```yaml\nprompt: owl\nimage: {sha256}\nstrength: 0.5\n```"
    await drawing_room.say(recipe)
    await homeserver.files(2)
    assert list(fake_generator.jobs.values())[-1].recipes[0].image == sha256
    await drawing_room.say(recipe, room_id="!other:example.com")
    assert await homeserver.answer() == NOT_HERE
    assert len(fake_generator.jobs) == 2


async def test_pictures_name_the_photo_that_they_were_drawn_from(drawing_room, homeserver, plugin, photo):
    """The picture's event names the photo, so that a recipe works even without the database."""
    await drawing_room.say("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}})
    recipe = (await homeserver.files())[0]
    for sent in (await homeserver.marked("picture"), recipe):
        assert sent.content["household.easel"]["photo"] == "$photo"
    event = {"type": "m.room.message", "sender": "@bot:example.com", "origin_server_ts": 1}
    homeserver.history["!kitchen:example.com"].append(
        {**event, "event_id": "$sent", "room_id": "!kitchen:example.com", "content": recipe.content}
    )
    for table in ("image", "posted", "recipe"):
        await plugin.database.execute(f"DELETE FROM {table}")
    homeserver.uploads[recipe.content["url"]] = b"prompt: owl\nimage: " + b"a" * 64
    await drawing_room.say("!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$sent"}}})
    await homeserver.files(2)


async def test_a_photo_that_the_generator_cannot_read_is_reported(
    drawing_room, homeserver, fake_generator, refusal, photo
):
    fake_generator.sins["image"] = refusal(422, "I can't read that picture.")
    await drawing_room.say("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}})
    assert await homeserver.answer() == "I can't read that picture."
    assert not fake_generator.jobs


async def test_a_photo_that_the_generator_has_lost_is_uploaded_again(
    drawing_room, homeserver, fake_generator, refusal, photo
):
    lost = refusal(422, "It is not here any more.", code="image_missing")
    sins = [lost]

    async def submit(request):
        if sins:
            return await sins.pop()(request)
        return await fake_generator._submit(request)

    fake_generator.sins["submit"] = submit
    await drawing_room.say("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}})
    await homeserver.files()
    assert fake_generator.asked.count("image") == 2


@pytest.mark.parametrize(("status", "sentence"), [(404, NOT_FETCHED), (503, None), (429, None)])
async def test_fetching_a_photo_is_retried_unless_it_is_gone(
    drawing_room, homeserver, fake_generator, photo, status, sentence
):
    homeserver.download_sins = [web.Response(status=status)]
    await drawing_room.say("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}})
    if sentence:
        assert await homeserver.answer() == sentence
    else:
        await homeserver.files()
