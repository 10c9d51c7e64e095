"""What several people do to one picture, and one person in one breath, is done in its order."""

import asyncio
import hashlib

import pytest
from aiohttp import web

from bot.easel.room.photos import GONE
from generator.recipes import recipe_file
from tests.bot.test_corrections import edit, redacted, sent
from tests.bot.test_edits import a_picture, react, reply, state
from tests.helpers.fake_homeserver import BOT

KITCHEN = "!kitchen:example.com"
ADA, BOB = "@ada:example.com", "@bob:example.com"


@pytest.mark.parametrize("level", [0, 100])
async def test_removing_a_picture_ends_no_job_that_came_of_it(
    drawing_room, homeserver, fake_generator, noted, closed, plugin, level, quiet
):
    homeserver.power_levels = {BOT: level}
    picture = await a_picture(drawing_room, homeserver, noted)
    await closed()
    drawn = fake_generator.wait_after(1)
    again = await react(drawing_room, picture, "🎲")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await react(drawing_room, picture, "🗑️")
    await homeserver.until(lambda: picture in redacted(homeserver))
    # The homeserver brings the bot's own redaction.
    await drawing_room.put({}, type="m.room.redaction", redacts=picture, sender=BOT)
    await quiet()
    assert await state(plugin, again) == "open"
    drawn.set()
    await homeserver.files(2)


async def test_a_reply_to_the_command_of_a_sheet_changes_no_picture_of_it(
    drawing_room, homeserver, fake_generator, noted, closed, quiet
):
    event_id = await drawing_room.say("!draw {otter | owl}")
    await homeserver.files(1)
    await closed()
    await drawing_room.say("!draw +hat", **reply(event_id))
    await quiet()
    assert len(fake_generator.jobs) == 1, list(fake_generator.jobs.values())[-1]


async def test_an_edit_while_the_generator_is_away_keeps_the_note(room, homeserver, noted, quiet):
    event_id = await room.say("!draw otter")
    await homeserver.marked("note")
    await noted()
    await edit(room, event_id, "!draw owl")
    await quiet()
    await noted()
    assert [event.kind for event in homeserver.events if str(event.kind).startswith("note")] == ["note"]


@pytest.mark.parametrize("how", ["deleted", "left"])
async def test_a_schedule_goes_with_its_message_and_its_person(
    drawing_room, homeserver, plugin, noted, how, monkeypatch
):
    """The homeserver is slow with the names in the room, which the answer asks for first."""
    go_on, names = asyncio.Event(), plugin.homeserver.display_names

    async def slow(room_id):
        await go_on.wait()
        return await names(room_id)

    monkeypatch.setattr(plugin.homeserver, "display_names", slow)
    event_id = await drawing_room.say("!easel every day at 7: otter")
    if how == "deleted":
        await drawing_room.put({}, type="m.room.redaction", redacts=event_id)
    else:
        await drawing_room.put({"membership": "leave"}, type="m.room.member", state_key=ADA)
    go_on.set()
    await homeserver.answers(1)
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM scheduled") == 0


async def test_all_sheets_end_when_their_command_is_deleted(
    drawing_room, homeserver, fake_generator, drawn, plugin, noted, quiet
):
    event_id = await drawing_room.say("!easel style sheet otter")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await homeserver.answers(1)
    await drawing_room.put({}, type="m.room.redaction", redacts=event_id)
    await quiet()
    assert [row["state"] for row in await plugin.database.fetch("SELECT state FROM job")] == ["deleted"] * 2


async def drawn_from_photo(drawing_room, homeserver, fake_generator, number: int, *, text: str = "otter") -> None:
    """Post a photo and have an otter drawn from it, so that the generator's recipe names the photo."""

    async def recipe(request: web.Request) -> web.Response:
        picture = fake_generator.picture(request.match_info["job"], int(request.match_info["n"]))
        return web.Response(text=recipe_file.write(picture.recipe, picture.facts))

    fake_generator.sins["recipe"] = recipe
    homeserver.uploads["mxc://example.com/p"] = b"PHOTO"
    content = {"msgtype": "m.image", "body": "p.jpg", "url": "mxc://example.com/p"}
    event = {"type": "m.room.message", "sender": ADA, "event_id": f"$photo-{number}", "room_id": KITCHEN}
    homeserver.history.setdefault(KITCHEN, []).append({**event, "content": content})
    await drawing_room.say(f"!draw {text} --seed {number}", **reply(f"$photo-{number}"))
    await homeserver.files(number)


async def test_a_picture_that_is_gone_is_not_drawn_larger_over_the_photo_that_it_came_from(
    drawing_room, homeserver, fake_generator, noted, closed
):
    await drawn_from_photo(drawing_room, homeserver, fake_generator, 1)
    await closed()
    await noted()
    await react(drawing_room, sent(homeserver, "picture")[0], "⬆️")
    await homeserver.until(lambda: homeserver.sentences() or len(fake_generator.jobs) == 2)
    assert [event.content["body"] for event in homeserver.sentences()] == [GONE]


@pytest.mark.parametrize("deleted", [1, 2])
@pytest.mark.parametrize("how", ["button", "reply", "reply to the command", "thread", "another recipe in the reply"])
async def test_a_photo_that_was_posted_twice_is_found_though_one_is_deleted(
    drawing_room, homeserver, fake_generator, noted, closed, how, deleted
):
    for number in (1, 2):
        await drawn_from_photo(drawing_room, homeserver, fake_generator, number)
        await closed()
        await noted()
    first = sent(homeserver, "picture")[0]
    del homeserver.history[KITCHEN][deleted - 1]
    await drawing_room.put({}, type="m.room.redaction", redacts=f"$photo-{deleted}")
    if how == "button":
        await react(drawing_room, first, "🎲")
    elif how == "thread":
        await drawing_room.say("!draw +hat", **{"m.relates_to": {"rel_type": "m.thread", "event_id": first}})
    elif how == "reply to the command":
        await drawing_room.say("!draw +hat", **reply("$said-1"))
    else:
        await drawing_room.say("!draw +hat" if how == "reply" else "!draw\nprompt: owl\nseed: 5", **reply(first))
    await homeserver.until(lambda: len(homeserver._kinds("picture")) == 3 or homeserver.sentences())
    assert not homeserver.sentences(), homeserver.sentences()[0].content["body"]
    drawn_from = [*fake_generator.jobs.values()][-1].recipes[0].image
    assert drawn_from == (None if how == "another recipe in the reply" else hashlib.sha256(b"PHOTO").hexdigest())


@pytest.mark.parametrize("deleted", [1, 2])
async def test_a_sheet_is_drawn_again_from_the_second_copy_of_its_photo(
    drawing_room, homeserver, fake_generator, noted, closed, deleted
):
    for number in (1, 2):
        await drawn_from_photo(drawing_room, homeserver, fake_generator, number, text="{otter | owl}")
        await closed()
        await noted()
    del homeserver.history[KITCHEN][deleted - 1]
    await react(drawing_room, sent(homeserver, "sheet")[0], "🎲")
    await homeserver.until(lambda: len(fake_generator.jobs) == 3 or homeserver.sentences())
    assert not homeserver.sentences()
    images = {recipe.image for recipe in [*fake_generator.jobs.values()][-1].recipes}
    assert images == {hashlib.sha256(b"PHOTO").hexdigest()}


async def test_a_cancel_is_done_before_what_its_person_says_next(
    drawing_room, homeserver, fake_generator, drawn, plugin, quiet
):
    first = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!easel cancel"}, event_id="$c"),
        drawing_room.event({"msgtype": "m.text", "body": "!draw owl"}, event_id="$o"),
    )
    (answer,) = await homeserver.answers(1)
    await quiet()
    assert answer.content["body"] == "Cancelled: otter"
    assert [await state(plugin, first), await state(plugin, "$o")] == ["cancelled", "open"]


async def test_a_schedule_and_its_deletion_may_come_at_once(drawing_room, homeserver, plugin, quiet):
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!easel every day at 7: otter, @watercolor"}, event_id="$e"),
        drawing_room.event({}, type="m.room.redaction", redacts="$e", event_id="$r"),
    )
    await homeserver.answers(1)
    await quiet()
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM scheduled") == 0


async def test_a_style_sheet_and_its_deletion_may_come_at_once(
    drawing_room, homeserver, plugin, drawn, fake_generator, quiet
):
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!easel style sheet otter"}, event_id="$e"),
        drawing_room.event({}, type="m.room.redaction", redacts="$e", event_id="$r"),
    )
    await homeserver.answers(1)
    await quiet()
    assert [row["state"] for row in await plugin.database.fetch("SELECT state FROM job")] == ["deleted"] * 2


async def test_what_is_done_to_a_removed_picture_is_no_bug(drawing_room, homeserver, noted, closed, caplog, quiet):
    picture = await a_picture(drawing_room, homeserver, noted)
    await closed()
    await asyncio.gather(
        react(drawing_room, picture, "🗑️"),
        react(drawing_room, picture, "🗑️"),
        react(drawing_room, picture, "🗑️", sender=BOB),
    )
    await homeserver.until(lambda: picture in redacted(homeserver))
    for key in ("🎲", "⬆️", "📋", "📄", "⭐", "❌", "🗑️", "1️⃣"):
        await react(drawing_room, picture, key)
    await drawing_room.say("!draw +hat", **reply(picture))
    await drawing_room.say("+hat", **reply(picture))
    await quiet()
    # The servers of the tests log a traceback when the bot hangs up.
    own = [record for record in caplog.records if record.name != "aiohttp.server"]
    assert not [record for record in own if record.exc_info or "unexpected" in record.getMessage()]
