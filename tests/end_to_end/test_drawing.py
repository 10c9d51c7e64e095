"""A command typed in a room brings a picture and a recipe that another client fetches and reads."""

from io import BytesIO

import pytest
from PIL import Image

from household.json_api import JsonApi

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"
OTTER = f"!draw otter, (cowboy hat)++ | style: watercolor --no bokeh --cfg 7.5 --seed 7 {SMALL}"


async def test_a_picture_and_its_recipe(talk):
    drawn = await talk.draw(OTTER)
    image = Image.open(BytesIO(drawn.png))
    thumbnail = Image.open(BytesIO(await talk.person.fetch(drawn.picture.content, thumbnail=True)))
    content, info = drawn.picture.content, drawn.picture.content["info"]

    assert (image.format, image.size) == ("PNG", (512, 512))
    assert (info["w"], info["h"], info["size"], info["mimetype"]) == (512, 512, len(drawn.png), "image/png")
    assert thumbnail.size == (info["thumbnail_info"]["w"], info["thumbnail_info"]["h"])
    assert info["xyz.amorgan.blurhash"]
    assert info["org.matrix.msc4230.is_animated"] is False

    assert content["msgtype"] == "m.image"
    assert content["filename"].endswith(".png") and content["filename"] != content["body"]
    assert content["body"].startswith("otter, (cowboy hat)++, watercolor\n")
    facts = ("seed 7", "pocket", "2 steps", "guidance 7.5", "64×64 enlarged to 512×512", "pocket does not know: bokeh")
    assert all(fact in content["body"] for fact in facts)
    assert content["filename"] == "otter-cowboy-hat-watercolor-7.png"
    # It rings no phone, and becomes a file afterwards.
    assert (drawn.recipe.content["msgtype"], drawn.recipe.body) == ("m.notice", "otter-cowboy-hat-watercolor-7.yml")
    file = (await talk.reply(drawn.recipe.event_id, "recipe-file")).content["m.new_content"]
    assert file["msgtype"] == "m.file"
    assert await talk.person.fetch(file) == drawn.yaml.encode()
    for event in (drawn.picture, drawn.recipe):
        assert event.reply_to == drawn.command and event.content["m.mentions"] == {}
        assert event.was_encrypted == talk.is_encrypted
        assert ("file" in event.content, "url" in event.content) == (talk.is_encrypted, not talk.is_encrypted)
    assert ("thumbnail_file" in info, "thumbnail_url" in info) == (talk.is_encrypted, not talk.is_encrypted)


async def test_the_recipe_holds_what_was_typed(encrypted):
    drawn = await encrypted.draw(OTTER)
    asked = {
        "prompt": "otter, (cowboy hat)++, watercolor",
        "theme": "otter",
        "model": "pocket",
        "seed": 7,
        "steps": 2,
        "guidance_scale": 7.5,
        "width": 64,
        "height": 64,
    }
    assert drawn.record.items() >= asked.items()
    assert drawn.record["slots"]["subject"] == ["otter", "(cowboy hat)++"]
    assert drawn.record["slots"]["style"] == ["watercolor"]
    assert drawn.record["negative_prompt"] == "bokeh"


async def test_a_recipe_draws_the_same_pixels_again(encrypted):
    first = await encrypted.draw(OTTER)
    pasted = await encrypted.draw(f"!draw {first.yaml}")
    fenced = await encrypted.draw(f"!draw\n```yaml\n{first.yaml}```")
    assert first.pixels == pasted.pixels == fenced.pixels
    other = await encrypted.draw(OTTER.replace("--seed 7", "--seed 8"))
    assert other.pixels != first.pixels


async def test_each_slot_may_have_its_own_line(plain):
    drawn = await plain.draw(f"!draw\nsubject: owl, anthropomorphic\noutfit: (headphones)++\n{SMALL}")
    assert drawn.record["prompt"] == "owl, anthropomorphic, (headphones)++"


async def test_the_authors_own_example(encrypted):
    drawn = await encrypted.draw(
        '!draw {"theme": "owl", "prompt": {"subject": ["owl", "anthropomorphic"], "outfit": ["groceries", '
        '"(headphones)++"], "environment": ["(sunset)++", "busy city street"], "emotions": ["normcore", "cozy", '
        '"happy"], "style": ["(pointillism)+", "backlit", "high quality"]}, "negative_prompt": '
        '"cars, ugly, poor quality"}'
    )
    assert drawn.record["theme"] == "owl" and drawn.record["negative_prompt"] == "cars, ugly, poor quality"
    assert drawn.record["slots"]["emotions"] == ["normcore", "cozy", "happy"]
    assert drawn.record["seed"] == int(drawn.picture.content["body"].split("seed ")[1].split(" ")[0])


async def test_replies_stay_in_the_thread(encrypted):
    root = await encrypted.say("look at these")
    drawn = await encrypted.draw(f"!draw otter {SMALL}", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
    for event in (drawn.picture, drawn.recipe):
        relation = event.content["m.relates_to"]
        assert (relation["rel_type"], relation["event_id"]) == ("m.thread", root)
        assert event.reply_to == drawn.command
    assert drawn.recipe.content["m.relates_to"]["is_falling_back"], "no quote of its own"


async def test_a_command_is_acknowledged(encrypted):
    command = await encrypted.say(f"!draw otter {SMALL}")
    reaction = await encrypted.reply(command, "reaction")
    assert reaction.type == "m.reaction" and reaction.content["m.relates_to"]["key"].startswith("🎨")
    await encrypted.drawn(command)
    person, room_id, bot = encrypted.person, encrypted.room_id, encrypted.home.bot.user_id
    seen = await person.until(lambda: person.sees_read(room_id, bot))
    heard = [event.event_id for event in person.heard]
    assert heard.index(seen) >= heard.index(command)
    await person.until(lambda: not person.sees_typing(room_id, bot))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("!draw", ["!draw otter, cowboy hat"]),
        ("!draw otter --stesp 5", ["stesp", "--steps"]),
        ("!draw otter --steps 9999", ["--steps", "100"]),
        ("!draw otter --model dall-e", ["dall-e", "pocket"]),
        ("!draw otter --sampler magic", ["magic", "unipc"]),
        ("!draw ((((((((((((otter))))))))))))", ["8"]),
        ("!easel hlep", ["hlep", "help"]),
        ("!easel help", ["!draw"]),
        ("!easel status", ["drawing computer", "Easel 0.1.0"]),
    ],
)
async def test_answers_in_words(encrypted, typed, words):
    answer = await encrypted.answer(typed)
    assert all(word in answer for word in words), answer


async def test_an_answer_is_a_quiet_reply(talk):
    command = await talk.say("!draw otter --stesp 5")
    answer = await talk.reply(command, "answer")
    assert (answer.content["msgtype"], answer.content["m.mentions"]) == ("m.notice", {})
    assert answer.reply_to == command and answer.was_encrypted == talk.is_encrypted


async def test_it_greets_a_room_that_it_joins(talk):
    hello = await talk.person.hear(lambda event: event.room_id == talk.room_id and event.mark.get("kind") == "hello")
    assert all(part in hello.body for part in ("!draw", "Reply", "react", "!easel help"))
    assert hello.was_encrypted == talk.is_encrypted


async def test_unencrypted_messages_in_an_encrypted_room_are_not_read(encrypted):
    async with JsonApi(encrypted.home.url) as api:
        api.token = encrypted.person.account.access_token
        path = f"/_matrix/client/v3/rooms/{encrypted.room_id}/send/m.room.message/in-clear"
        sent = await api.call("PUT", path, {"msgtype": "m.text", "body": f"!draw otter {SMALL}"})
    await encrypted.draw(f"!draw otter {SMALL}")
    assert encrypted.replies(sent["event_id"]) == []


async def test_notices_and_the_bots_own_messages_are_not_read(plain):
    notice = await plain.say(f"!draw otter {SMALL}", msgtype="m.notice")
    # This picture's caption begins like a command.
    own = await plain.draw(f"!draw subject: !draw otter {SMALL}")
    assert own.picture.body.startswith("!draw otter")
    await plain.draw(f"!draw otter {SMALL}")
    assert plain.replies(notice) == plain.replies(own.picture.event_id) == []
