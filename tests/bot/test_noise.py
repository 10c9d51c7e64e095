"""How many events and notifications a picture, a first one, a slow one, a sheet and an error bring.

Notifications are counted by Matrix's default push rules on the events that were sent, for a person in the room. Before,
as the recipe came as a file behind its picture, in reply to the command: 4 events with 2 notifications for a picture,
8 with 2 for someone's first, 14 with 2 for a first that took 39 s, 5 with 2 for a sheet, 2 with 0 for an error.
"""

import asyncio
from typing import Any

import pytest

from bot.easel.sending import progress
from generator.api import types as api
from tests.helpers.fake_generator import FakeGenerator
from tests.helpers.push_rules import notifies


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    """Everything comes at once."""
    return {"offer_reactions": "never"}


async def all_sent(plugin, homeserver) -> list[Any]:
    """The events, once every job is closed."""
    await homeserver.until(lambda: not plugin.runner._tasks)
    return homeserver.events


def pings(events: list[Any], members: int) -> list[str]:
    """The kinds of the events that notify a person in a room of so many."""
    sent = [(event.kind, {"type": event.type, "content": event.content}) for event in events]
    return [kind for kind, event in sent if notifies(event, "@bob:example.com", members=members)]


@pytest.mark.parametrize("members", [2, 5])
async def test_a_picture_rings_once(drawing_room, homeserver, plugin, members):
    await drawing_room.say("!draw otter")
    events = await all_sent(plugin, homeserver)
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["reaction", "recipe", "picture"]
    # The sign goes, and the recipe's notice becomes a file.
    assert sorted(map(str, kinds[3:])) == ["None", "recipe-file"]
    assert pings(events, members) == ["picture"]


@pytest.mark.parametrize(("way", "number"), [("embedded", 3), ("thread", 5)])
async def test_a_picture_rings_once_however_its_recipe_comes(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, way, number
):
    maubot_plugin_config_dict["recipe"] = way
    await plugin.on_external_config_update()
    await drawing_room.say("!draw otter")
    events = await all_sent(plugin, homeserver)
    assert len(events) == number
    assert pings(events, 2) == ["picture"]


async def test_a_first_picture(drawing_room, homeserver, plugin, maubot_plugin_config_dict, fake_generator):
    maubot_plugin_config_dict["offer_reactions"] = "first"
    await plugin.on_external_config_update()
    fake_generator.sins["recipe"] = fake_generator._bytes(b"prompt: otter\nwidth: 512\nheight: 512\n")
    await drawing_room.say("!draw otter")
    events = await all_sent(plugin, homeserver)
    assert [event.content["m.relates_to"]["key"] for event in events if event.kind == "offer"] == [
        "🎲",
        "⬆️",
        "⭐",
        "📋",
    ]
    assert (len(events), pings(events, 2)) == (9, ["picture"])


async def test_a_slow_picture(drawing_room, homeserver, plugin, monkeypatch, fake_generator: FakeGenerator):
    """A picture that takes 39 s, at a hundredth of the time, with a step each second."""
    monkeypatch.setattr(progress, "AGAIN_AFTER_S", 0.1)

    async def slowly(request):
        lines = fake_generator.lines(request.match_info["job"])
        steps = [api.ProgressEvent(n=0, step=step, steps=39) for step in range(39)]
        response = await fake_generator.stream(request, lines[:1])
        for step in steps:
            await response.write(step.model_dump_json().encode() + b"\n")
            await asyncio.sleep(0.01)
        for line in lines[4:]:
            await response.write(line.model_dump_json().encode() + b"\n")
        return response

    fake_generator.sins["events"] = slowly
    await drawing_room.say("!draw otter")
    events = await all_sent(plugin, homeserver)
    signs = [event.content["m.relates_to"]["key"] for event in events if event.kind == "reaction"]
    assert signs[0] == "🎨" and 1 <= len(signs[1:]) <= 2 and all(sign.endswith("%") for sign in signs[1:])
    # Without the offers of a first picture; before, these were ten.
    assert len(events) <= 9
    assert pings(events, 2) == ["picture"]


async def test_a_sheet_rings_once(drawing_room, homeserver, plugin):
    await drawing_room.say("!draw {otter | owl}")
    events = await all_sent(plugin, homeserver)
    assert [event.kind for event in events][:3] == ["reaction", "recipes", "sheet"]
    assert (len(events), pings(events, 2)) == (5, ["sheet"])


async def test_numbers_are_offered_on_a_first_sheet(drawing_room, homeserver, plugin, maubot_plugin_config_dict):
    maubot_plugin_config_dict["offer_reactions"] = "first"
    await plugin.on_external_config_update()
    for _ in range(2):
        await drawing_room.say("!draw {otter | owl}")
        events = await all_sent(plugin, homeserver)
    assert [event.content["m.relates_to"]["key"] for event in events if event.kind == "offer"] == ["1️⃣", "2️⃣", "🎲"]


async def test_an_error_rings_nobody(drawing_room, homeserver, plugin):
    await drawing_room.say("!draw otter --steps")
    events = await all_sent(plugin, homeserver)
    assert [event.kind for event in events] == ["answer", "ended"]
    assert pings(events, 2) == []


async def test_people_who_wait_for_the_same_get_one_note_together(
    room, homeserver, plugin, fake_generator, serve, socket
):
    for person in ("@ada:example.com", "@bob:example.com", "@cleo:example.com"):
        await room.say("!draw otter", sender=person)
    signs = ("⏳ next", "⏳ 2nd", "⏳ 3rd")

    def shown() -> set[str]:
        return {event.content["m.relates_to"]["key"] for event in homeserver.events if event.kind == "reaction"}

    await homeserver.until(lambda: shown() >= set(signs))
    await homeserver.marked("note")
    await serve.unix(fake_generator.app(), socket)
    await homeserver.files(3)
    events = await all_sent(plugin, homeserver)
    (note,) = [event for event in events if event.kind == "note"]
    assert note.content["body"] == "Drawing isn't running on the drawing computer. I'll draw when it's back."
    assert "m.relates_to" not in note.content
    (end,) = [event for event in events if event.kind == "note-end"]
    assert end.content["m.relates_to"] == {"rel_type": "m.replace", "event_id": f"$sent-{note.txn_id}"}
    assert pings(events, 2) == ["picture"] * 3


async def test_a_note_of_the_process_before_is_ended(room, homeserver, plugin, fake_generator, serve, socket):
    await room.say("!draw otter")
    await homeserver.marked("note")
    # The report ends once the note is known to be there.
    await homeserver.until(lambda: all(report.done() for _, report in plugin.runner._waits._reports.values()))
    await plugin.internal_stop()
    await serve.unix(fake_generator.app(), socket)
    await plugin.internal_start()
    await homeserver.marked("note-end")
    assert len([event for event in homeserver.events if event.kind == "note"]) == 1
