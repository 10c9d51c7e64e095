"""The recipe in the room: its name, the three ways in which it comes, on request, and after a kill at any point."""

from typing import Any

import pytest

from bot.easel.commands.recipe_files import NO_PICTURE
from bot.easel.sending.file_names import base_name

ROOM = "!kitchen:example.com"
RECIPE = b"prompt: otter\nseed: 7\nwidth: 768\nheight: 768\n"


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    return {"offer_reactions": "never"}


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("otter, cowboy hat", "otter-cowboy-hat-7"),
        ("otter, (cowboy hat)++, fog--", "otter-cowboy-hat-fog-7"),
        ("(t-shirt)1.3, __x__", "t-shirt-x-7"),
        ("Füchse, カワウソ", "füchse-カワウソ-7"),
        ("a fat orange tabby with one white paw sits on the sofa", "a-fat-orange-tabby-with-one-white-paw-7"),
        ("x" * 500, "x" * 40 + "-7"),
        ("../../etc/passwd", "etc-passwd-7"),
        ("🦦", "picture-7"),
    ],
)
def test_a_files_name_is_short_and_says_what_it_is(prompt, name):
    assert base_name(prompt, 7) == name


def kinds(homeserver) -> list[str]:
    return [event.kind for event in homeserver.events if event.kind in ("picture", "recipe", "recipe-file")]


async def quiet(plugin, homeserver) -> None:
    await homeserver.until(lambda: not plugin.runner._tasks)


async def use(plugin, config: dict[str, Any], way: str) -> None:
    config["recipe"] = way
    await plugin.on_external_config_update()


async def test_in_a_thread_the_recipe_comes_below_the_picture(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict
):
    await use(plugin, maubot_plugin_config_dict, "thread")
    await drawing_room.say("!draw otter")
    await quiet(plugin, homeserver)
    assert kinds(homeserver) == ["picture", "recipe", "recipe-file"]
    picture, recipe = [await homeserver.marked(kind) for kind in ("picture", "recipe")]
    relation = recipe.content["m.relates_to"]
    assert (relation["rel_type"], relation["event_id"]) == ("m.thread", f"$sent-{picture.txn_id}")
    # A thread has no threads in it, and the picture stays its newest message.
    in_thread = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True}
    await drawing_room.say("!draw otter", **{"m.relates_to": in_thread})
    await homeserver.until(lambda: kinds(homeserver)[3:] == ["recipe", "picture", "recipe-file"])


async def test_embedded_the_recipe_is_in_the_pictures_event_and_comes_on_request(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, fake_generator, maubot_test_bot
):
    fake_generator.sins["recipe"] = fake_generator._bytes(RECIPE)
    await use(plugin, maubot_plugin_config_dict, "embedded")
    await drawing_room.say("!easel recipe")
    assert await homeserver.answer() == NO_PICTURE
    await drawing_room.say("!draw otter --seed 7")
    await quiet(plugin, homeserver)
    assert kinds(homeserver) == ["picture"]
    picture = await homeserver.marked("picture")
    assert picture.content["household.easel"]["recipe"] == RECIPE.decode()

    target = f"$sent-{picture.txn_id}"
    relation = {"rel_type": "m.annotation", "event_id": target, "key": "📄"}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction")
    file = await homeserver.marked("recipe-copy")
    assert (file.content["msgtype"], file.content["body"]) == ("m.file", "otter-7.yml")
    assert homeserver.uploads[file.content["url"]] == RECIPE
    asked = await drawing_room.say("!easel recipe")
    copies = await homeserver.until(
        lambda: len(found := [event for event in homeserver.events if event.kind == "recipe-copy"]) == 2 and found
    )
    assert copies[1].content["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}

    # The event alone is enough, without the database.
    for table in ("posted", "recipe"):
        await plugin.database.execute(f"DELETE FROM {table}")
    homeserver.history[ROOM] = homeserver.as_heard(maubot_test_bot.client.mxid)
    await drawing_room.say("!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": target}}})
    await homeserver.until(lambda: kinds(homeserver) == ["picture", "picture"])
    assert list(fake_generator.jobs.values())[-1].recipes[0].slots.subject == ("otter", "hat")


@pytest.mark.parametrize("way", ["file", "thread"])
@pytest.mark.parametrize("replied_to", ["picture", "recipe"])
async def test_the_room_alone_is_enough_for_a_reply(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, fake_generator, maubot_test_bot, way, replied_to
):
    fake_generator.sins["recipe"] = fake_generator._bytes(RECIPE)
    await use(plugin, maubot_plugin_config_dict, way)
    await drawing_room.say("!draw otter")
    await quiet(plugin, homeserver)
    for table in ("posted", "recipe"):
        await plugin.database.execute(f"DELETE FROM {table}")
    homeserver.history[ROOM] = homeserver.as_heard(maubot_test_bot.client.mxid)
    target = f"$sent-{(await homeserver.marked(replied_to)).txn_id}"
    await drawing_room.say("!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": target}}})
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    assert list(fake_generator.jobs.values())[-1].recipes[0].slots.subject == ("otter", "hat")


async def test_a_sheets_recipes_come_in_one_file_on_request(drawing_room, homeserver, noted, fake_generator):
    fake_generator.sins["recipe"] = fake_generator._bytes(RECIPE)
    await drawing_room.say("!draw {otter | owl}")
    sheet = await homeserver.marked("sheet")
    await noted()
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": f"$sent-{sheet.txn_id}"}}}
    await drawing_room.say("!easel recipe", **reply)
    file = await homeserver.marked("recipe-copy")
    assert homeserver.uploads[file.content["url"]] == RECIPE + b"---\n" + RECIPE
    await drawing_room.say("!easel recipe", room_id="!other:example.com", **reply)
    assert await homeserver.answer() == NO_PICTURE


@pytest.mark.parametrize("way", ["file", "thread", "embedded"])
@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
async def test_a_process_that_is_killed_after_any_event_leaves_nothing_out_and_sends_nothing_twice(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, maubot_test_bot, way, arrived
):
    await use(plugin, maubot_plugin_config_dict, way)
    await drawing_room.say("!draw otter --seed 7")
    await quiet(plugin, homeserver)
    everything = kinds(homeserver)
    there = everything[:arrived]
    await plugin.internal_stop()
    # The last event that arrived is not noted as sent.
    for number, kind in enumerate(everything):
        if number >= arrived:
            await plugin.database.execute("DELETE FROM posted WHERE kind = $1", kind)
        elif number == arrived - 1:
            await plugin.database.execute("UPDATE posted SET event_id = NULL WHERE kind = $1", kind)
    is_done = set(there) >= {"picture"} if way == "embedded" else set(there) >= {"picture", "recipe"}
    state = "done" if is_done else "open"
    await plugin.database.execute("UPDATE job SET state = $1, closed = FALSE", state)
    homeserver.events = [event for event in homeserver.events if event.kind in there]
    homeserver.history[ROOM] = homeserver.as_heard(maubot_test_bot.client.mxid)
    homeserver.transactions.clear()
    await plugin.internal_start()
    await quiet(plugin, homeserver)
    assert sorted(kinds(homeserver)) == sorted(everything)
    if way != "embedded":
        recipe, file = [await homeserver.marked(kind) for kind in ("recipe", "recipe-file")]
        assert file.content["m.relates_to"]["event_id"] == f"$sent-{recipe.txn_id}"
        assert (file.content["m.new_content"]["msgtype"], file.content["msgtype"]) == ("m.file", "m.file")
        assert homeserver.uploads[file.content["m.new_content"]["url"]] == b"prompt: otter\n"


async def test_a_removed_picture_takes_every_event_of_its_recipe_along(drawing_room, homeserver, plugin):
    await drawing_room.say("!draw otter")
    await quiet(plugin, homeserver)
    picture = await homeserver.marked("picture")
    relation = {"rel_type": "m.annotation", "event_id": f"$sent-{picture.txn_id}", "key": "🗑️"}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction")
    wanted = {f"$sent-{(await homeserver.marked(kind)).txn_id}" for kind in ("picture", "recipe", "recipe-file")}
    await homeserver.until(
        lambda: wanted <= {event.content["redacts"] for event in homeserver.events if event.type == "m.room.redaction"}
    )
