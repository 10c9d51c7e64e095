"""Nobody's turn is taken: by floods of commands and invitations, or by files that do not come."""

import asyncio
from typing import Any

import pytest

from bot.easel.commands.help import HELLO
from bot.easel.jobs.job import job_id
from bot.easel.room import invitations
from bot.easel.sending.rich import written
from bot.easel.sending.send_queue import MAX_WAITING_A_PERSON, TOO_MANY

ROOM = "!kitchen:example.com"
MALLORY = {"room_id": "!lair:example.com", "sender": "@mallory:example.com"}


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    """Slow enough that a flood has to wait, and fast enough for a test."""
    return {"rate_limit_burst": 1, "rate_limit_per_second": 5, "max_open_jobs": 0}


def said_in(homeserver, room_id: str) -> list[str]:
    """The bot's sentences in a room."""
    events = [event for event in homeserver.events if event.room_id == room_id]
    return [event.content["body"] for event in events if "body" in event.content]


def before(homeserver, room_id: str) -> int:
    """How many events were sent before the first in that room."""
    return next(at for at, event in enumerate(homeserver.events) if event.room_id == room_id)


async def sent_before_the_answer(homeserver, plugin) -> int:
    """How many events are sent before the first in the usual room, from when that waits to be sent."""
    await homeserver.until(
        lambda: said_in(homeserver, ROOM) or any(one.event.room_id == ROOM for one in plugin.send_queue._unsent)
    )
    sent = len(homeserver.events)
    await homeserver.until(lambda: said_in(homeserver, ROOM))
    return before(homeserver, ROOM) - sent


FLOODS = {
    "help": {"msgtype": "m.text", "body": "!easel help"},
    "refused": {"msgtype": "m.text", "body": "!draw otter --steps"},
    "a command of nothing": {"msgtype": "m.text", "body": "!draw"},
}


@pytest.mark.parametrize("content", FLOODS.values(), ids=FLOODS)
async def test_a_flood_delays_nobody_elses_answer(drawing_room, homeserver, plugin, content):
    await asyncio.gather(*(drawing_room.put(content, **MALLORY) for _ in range(100)))
    await drawing_room.say("!easel help")
    assert await sent_before_the_answer(homeserver, plugin) <= 3
    flood = await homeserver.until(lambda: TOO_MANY in (said := said_in(homeserver, MALLORY["room_id"])) and said)
    assert MAX_WAITING_A_PERSON < len(flood) < 50


async def test_a_flood_of_what_cannot_be_read_delays_nobodys_answer(drawing_room, homeserver, plugin):
    broken = [drawing_room.event({}, type="m.room.encrypted", origin_server_ts="now", **MALLORY) for _ in range(100)]
    await drawing_room.sync(*broken, room_id=MALLORY["room_id"])
    await homeserver.marked("unreadable")
    await drawing_room.say("!easel help")
    assert await sent_before_the_answer(homeserver, plugin) <= 3
    assert len([event for event in homeserver.events if event.kind == "unreadable"]) <= MAX_WAITING_A_PERSON


async def test_a_flood_costs_nobody_a_picture_or_a_recipe(drawing_room, homeserver):
    for n in range(5):
        await drawing_room.say("!draw otter", event_id=f"$ada-{n}")
        await drawing_room.say("!easel help", **MALLORY)
        await drawing_room.say("!draw --steps", **MALLORY)
    await homeserver.files(5)
    drawn = {event.content["household.easel"]["job"] for event in homeserver.events if event.kind == "picture"}
    assert drawn == {job_id(f"$ada-{n}") for n in range(5)}


async def test_a_room_that_takes_no_event_holds_up_no_other(drawing_room, homeserver):
    await drawing_room.say("!easel help", **MALLORY)
    await homeserver.answers()
    homeserver.in_silence.add(MALLORY["room_id"])
    for _ in range(3):
        await drawing_room.say("!easel help", **MALLORY)
    await homeserver.until(lambda: homeserver.asked_of.count(MALLORY["room_id"]) > 2)
    await drawing_room.say("!draw owl --seed 1")
    assert [file.content["body"] for file in await homeserver.files()] == ["owl-1.yml"]
    await homeserver.end_silence(MALLORY["room_id"])
    await homeserver.until(lambda: len(said_in(homeserver, MALLORY["room_id"])) == 4)
    assert len({event.txn_id for event in homeserver.events}) == len(homeserver.events)


def invite(room_id: str, inviter: str, bot: str) -> dict[str, Any]:
    return {"type": "m.room.member", "room_id": room_id, "sender": inviter, "state_key": bot}


async def test_one_persons_invitations_keep_nobody_elses_waiting(room, homeserver, maubot_test_bot, monkeypatch):
    bot, lairs = maubot_test_bot.client.mxid, [f"!lair-{n}:example.com" for n in range(100)]
    homeserver.in_silence.update(lairs)
    for lair in lairs:
        await room.put({"membership": "invite"}, **invite(lair, MALLORY["sender"], bot))
    await room.put({"membership": "invite"}, **invite(ROOM, "@ada:example.com", bot))
    await homeserver.until(lambda: ROOM in homeserver.joined)
    most = invitations.MAX_JOINING_A_PERSON
    await homeserver.until(lambda: len(set(lairs) & set(homeserver.asked_of)) >= most)
    assert len(set(lairs) & set(homeserver.asked_of)) == most
    await homeserver.end_silence(*lairs)
    await room.put({"membership": "invite"}, **invite("!later:example.com", MALLORY["sender"], bot))
    await homeserver.until(lambda: len(homeserver.joined) > most)


async def test_a_room_that_lets_nobody_in_is_given_up(room, homeserver, plugin, maubot_test_bot, monkeypatch, caplog):
    monkeypatch.setattr(invitations, "JOINED_WITHIN_S", 0.05)
    homeserver.in_silence.add(MALLORY["room_id"])
    await room.put({"membership": "invite"}, **invite(MALLORY["room_id"], "@ada:x", maubot_test_bot.client.mxid))
    await homeserver.until(lambda: "Did not get into" in caplog.text)


async def test_hellos_take_turns_by_who_invited(room, homeserver, maubot_test_bot):
    bot = maubot_test_bot.client.mxid
    inviters = [*((f"!lair-{n}:example.com", MALLORY["sender"]) for n in range(15)), (ROOM, "@ada:example.com")]
    for room_id, inviter in inviters:
        unsigned = {"prev_content": {"membership": "invite"}, "prev_sender": inviter}
        await room.put({"membership": "join"}, **invite(room_id, bot, bot), unsigned=unsigned)
    await homeserver.answers(16)
    assert before(homeserver, ROOM) < 8
    assert {event.content["body"] for event in homeserver.events} == {written(HELLO).plain}


def recipe_file(homeserver, name: str) -> dict[str, Any]:
    """A recipe file in the kitchen that does not come, and the content that makes a message a reply to it."""
    content = {"msgtype": "m.file", "body": "mine.yml", "url": f"mxc://example.com/{name}"}
    event = {"type": "m.room.message", "sender": "@x:y", "event_id": name, "content": content, "origin_server_ts": 1}
    homeserver.history.setdefault(ROOM, []).append({**event, "room_id": ROOM})
    homeserver.uploads[content["url"]] = b"prompt: otter\nseed: 3\n"
    homeserver.in_silence.add(name)
    return {"m.relates_to": {"m.in_reply_to": {"event_id": name}}}


async def test_a_file_that_does_not_come_delays_nobody_else(drawing_room, homeserver, plugin):
    slow = asyncio.create_task(
        drawing_room.say("!draw +hat", sender="@bob:example.com", **recipe_file(homeserver, "slow"))
    )
    await homeserver.until(lambda: "slow" in homeserver.asked_of)
    await asyncio.wait_for(drawing_room.say("!draw owl --seed 1"), 60)
    assert [file.content["body"] for file in await homeserver.files()] == ["owl-1.yml"]
    # A restart would read it again.
    assert await plugin.runner._store.last_handled(ROOM) is None
    await homeserver.end_silence("slow")
    await slow
    assert [file.content["body"] for file in await homeserver.files(2)][1] == "otter-hat-3.yml"
    assert await plugin.runner._store.last_handled(ROOM) == "$said-2"


async def test_one_persons_commands_keep_their_order_though_a_file_does_not_come(drawing_room, homeserver):
    first = asyncio.create_task(drawing_room.say("!draw +hat", **recipe_file(homeserver, "slow")))
    await homeserver.until(lambda: "slow" in homeserver.asked_of)
    second = asyncio.create_task(drawing_room.say("!draw owl --seed 4"))
    await asyncio.sleep(0.05)
    assert not second.done()
    await homeserver.end_silence("slow")
    await asyncio.gather(first, second)
    assert [file.content["body"] for file in await homeserver.files(2)] == ["otter-hat-3.yml", "owl-4.yml"]


async def test_a_deletion_finds_the_job_of_a_command_whose_file_does_not_come(drawing_room, homeserver, fake_generator):
    slow = asyncio.create_task(drawing_room.say("!draw +hat", **recipe_file(homeserver, "slow")))
    await homeserver.until(lambda: "slow" in homeserver.asked_of)
    homeserver.power_levels["@bob:example.com"] = 100
    deletion = asyncio.create_task(
        drawing_room.put({}, type="m.room.redaction", sender="@bob:example.com", redacts="$said-1")
    )
    go_on = fake_generator.wait_after(1)
    await asyncio.sleep(0.05)
    await homeserver.end_silence("slow")
    await asyncio.gather(slow, deletion)
    go_on.set()
    await drawing_room.say("!draw owl --seed 4")
    assert [file.content["body"] for file in await homeserver.files()] == ["owl-4.yml"]


async def test_a_command_that_a_stop_interrupts_is_read_again(drawing_room, homeserver, plugin, handled):
    await handled(await drawing_room.say("good morning"))
    reply = recipe_file(homeserver, "slow")
    slow = asyncio.create_task(drawing_room.say("!draw +hat", event_id="$slow", **reply))
    await homeserver.until(lambda: "slow" in homeserver.asked_of)
    await drawing_room.say("hello", sender="@bob:example.com", event_id="$after")
    command = {"msgtype": "m.text", "body": "!draw +hat", **reply}
    homeserver.history[ROOM] += [
        drawing_room.event({"msgtype": "m.text", "body": "good morning"}, event_id="$said-1"),
        drawing_room.event(command, event_id="$slow"),
        drawing_room.event({"msgtype": "m.text", "body": "hello"}, sender="@bob:example.com", event_id="$after"),
    ]
    await plugin.internal_stop()
    await slow
    await homeserver.end_silence("slow")
    await plugin.internal_start()
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-hat-3.yml"]


async def test_nothing_is_kept_for_people_and_rooms_that_are_gone(drawing_room, homeserver, plugin, maubot_test_bot):
    bot = maubot_test_bot.client.mxid
    for n in range(5):
        await drawing_room.say("!draw otter", room_id=f"!room-{n}:example.com", sender=f"@person-{n}:example.com")
    await homeserver.files(5)
    await asyncio.gather(*plugin.runner._tasks.values())
    for n in range(5):
        leave = {"type": "m.room.member", "room_id": f"!room-{n}:example.com", "sender": bot, "state_key": bot}
        await drawing_room.put({"membership": "leave"}, **leave)
    kept = (plugin.runner, plugin.homeserver, plugin.send_queue, plugin._catching_up._places)
    sizes = {
        f"{type(part).__name__}.{name}": len(value)
        for part in kept
        for name, value in vars(part).items()
        if name.startswith("_") and hasattr(value, "__len__") and name != "_rounds"
    }
    assert not any(sizes.values()), sizes


async def test_an_event_that_fails_holds_up_no_other_of_its_sender(
    drawing_room, homeserver, plugin, handled, monkeypatch
):
    async def fails(*args: object, **more: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(plugin._catching_up._reader, "read", fails)
        await drawing_room.say("!draw otter")
    await asyncio.wait_for(drawing_room.say("!draw otter --seed 4"), 60)
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-4.yml"]
    await handled("$said-2")
