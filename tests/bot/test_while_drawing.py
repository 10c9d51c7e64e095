"""Events while a picture is being drawn: the plugin stops, settings change, other rooms ask."""

import asyncio
import gc

import pytest

from bot.easel.garbage import freeze_what_is_loaded
from bot.easel.jobs.job import job_id
from tests.helpers.fake_generator import FakeGenerator


@pytest.fixture
async def drawn(fake_generator) -> asyncio.Event:
    """The generator keeps drawing until this event is set."""
    return fake_generator.wait_after(2)


def our_tasks() -> list[str]:
    """The bot's tasks by name. The fake servers' tasks have no names."""
    return [name for task in asyncio.all_tasks() if not (name := task.get_name()).startswith("Task-")]


async def test_stopping_leaves_no_task_behind(drawing_room, homeserver, plugin, drawn, caplog):
    await drawing_room.say("!draw otter")
    await homeserver.marked("reaction")
    await homeserver.until(lambda: homeserver.typing)
    assert {"send queue", f"job {job_id('$said-1')}", "typing in !kitchen:example.com"} <= set(our_tasks())
    await plugin.internal_stop()
    assert our_tasks() == []
    assert homeserver.typing[-1] is False
    assert [event.kind for event in homeserver.events] == ["reaction"]
    # The doctor warns that the bot has no device here.
    # The servers of the tests log it when the bot hangs up.
    own = [record for record in caplog.records if record.name != "aiohttp.server"]
    logged = [record for record in own if not record.getMessage().startswith("Doctor: ")]
    assert not [record for record in logged if record.levelname in ("WARNING", "ERROR")]


async def test_a_full_garbage_collection_leaves_out_what_maubot_has_loaded_but_nothing_later(plugin):
    await plugin.internal_stop()
    gc.unfreeze()
    freeze_what_is_loaded.cache_clear()
    await plugin.internal_start()
    frozen = gc.get_freeze_count()
    assert frozen > 10 * len(gc.get_objects())
    await plugin.internal_stop()
    # As a new version of the plugin does, which maubot loads beside the old one.
    freeze_what_is_loaded.cache_clear()
    await plugin.internal_start()
    assert gc.get_freeze_count() <= frozen


async def test_the_plugin_can_stop_before_anything_is_sent(drawing_room, homeserver, plugin, drawn):
    homeserver.in_silence.add("!kitchen:example.com")
    saying = asyncio.create_task(drawing_room.say("!draw otter"))
    await homeserver.until(lambda: homeserver.asked_of)
    await plugin.internal_stop()
    await saying
    assert our_tasks() == []
    assert not homeserver.events


async def test_running_jobs_move_to_another_generator_and_keep_their_seed(
    drawing_room, homeserver, fake_generator, plugin, drawn, serve, tmp_path, maubot_plugin_config_dict
):
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    other = FakeGenerator()
    await serve.unix(other.app(), tmp_path / "other.sock")
    maubot_plugin_config_dict["generator_url"] = f"unix://{tmp_path}/other.sock"
    await plugin.on_external_config_update()
    await homeserver.files()
    assert other.jobs == fake_generator.jobs
    drawn.set()


async def test_a_command_that_is_read_while_settings_change_is_drawn_and_ends_with_the_plugin(
    drawing_room, homeserver, fake_generator, plugin, drawn, maubot_plugin_config_dict
):
    event_id = await drawing_room.say("good morning")
    content = {"msgtype": "m.text", "body": "good morning"}
    homeserver.history["!kitchen:example.com"] = [
        {
            "type": "m.room.message",
            "event_id": event_id,
            "sender": "@ada:example.com",
            "origin_server_ts": 1,
            "content": content,
        }
    ]
    # The homeserver is slow to send the message that the command replies to.
    await drawing_room.say("!draw owl")
    homeserver.in_silence.add("!kitchen:example.com")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": event_id}}}
    saying = asyncio.create_task(drawing_room.say("!draw otter", **reply))
    await asyncio.sleep(0.1)
    maubot_plugin_config_dict["wait_hours"] = 1
    await plugin.on_external_config_update()
    await homeserver.end_silence("!kitchen:example.com")
    await saying
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await plugin.internal_stop()
    assert our_tasks() == []


async def test_editing_the_settings_starts_each_job_once(
    drawing_room, homeserver, fake_generator, plugin, drawn, maubot_plugin_config_dict
):
    edits = []
    for number in range(3):
        await drawing_room.say(f"!draw otter {number}")
        maubot_plugin_config_dict["wait_hours"] = number + 1
        edits.append(asyncio.create_task(plugin.on_external_config_update()))
    await asyncio.gather(*edits)
    assert len([name for name in our_tasks() if name.startswith("job ")]) == 3
    drawn.set()
    await homeserver.files(3)
    assert len(fake_generator.jobs) == 3
    assert len([event for event in homeserver.events if event.kind == "picture"]) == 3
    await plugin.internal_stop()
    assert our_tasks() == []


async def test_each_room_gets_its_own_picture(drawing_room, homeserver, drawn):
    rooms = [f"!room{n}:example.com" for n in range(3)]
    for seed, room_id in enumerate(rooms):
        await drawing_room.say(f"!draw otter --seed {seed}", room_id=room_id)
    drawn.set()
    files = await homeserver.files(3)
    assert {file.room_id: file.content["body"] for file in files} == {
        room_id: f"otter-{seed}.yml" for seed, room_id in enumerate(rooms)
    }
