"""One event that is not as it should be stops no other: not in a sync, and not while catching up."""

import asyncio
import logging
import time
from random import Random
from typing import Any

import pytest
from mautrix.client import InternalEventType
from mautrix.types import EventType
from mautrix.util import background_task

from bot.easel.jobs.runner import UNEXPECTED
from bot.easel.room import replies
from tests.helpers.mutations import mutated

ADA, BOB = "@ada:example.com", "@bob:example.com"
KITCHEN, CELLAR = "!kitchen:example.com", "!cellar:example.com"

# On each of the two databases.
SYNCS = 50
EVENTS_A_SYNC = 20


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    """These tests ask for more than a person may have open at once."""
    return {"max_open_jobs": 0}


@pytest.fixture
def maubot_plugin_db(database):
    return database


def event(content: dict[str, Any], *, type: str = "m.room.message", **more: Any) -> dict[str, Any]:
    return {
        "type": type,
        "event_id": "$it",
        "sender": ADA,
        "origin_server_ts": int(time.time() * 1000),
        "content": content,
        "unsigned": {"age": 5},
        **more,
    }


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def related(**relation: Any) -> dict[str, Any]:
    return {"m.relates_to": {"event_id": "$first", **relation}}


HTML = "org.matrix.custom.html"
REPLY = {"m.relates_to": {"m.in_reply_to": {"event_id": "$first"}}}
PHOTO = {"msgtype": "m.image", "body": "!draw cat", "filename": "a.png", "url": "mxc://example.com/0", "info": {"w": 1}}
FILE = {"url": "mxc://example.com/0", "key": {"k": "x"}, "iv": "x", "hashes": {"sha256": "x"}, "v": "v2"}
EVENTS = [
    event(text("!draw otter, hat --seed 7")),
    event(text("!easel find otter")),
    event(text("> <@bob:x> hm\n\n!draw --seed 8", format=HTML, formatted_body="x", **REPLY)),
    event(text("!draw", **related(rel_type="m.thread", is_falling_back=True))),
    event(text("* !draw owl", **{"m.new_content": text("!draw owl")}, **related(rel_type="m.replace"))),
    event(PHOTO),
    event({"msgtype": "m.file", "body": "a.yml", "file": FILE, "info": {"size": 5}}),
    event({"body": "x", "url": "mxc://example.com/0", "info": {}}, type="m.sticker"),
    event(related(rel_type="m.annotation", key="🎲"), type="m.reaction"),
    event(related(rel_type="m.annotation", key="❌"), type="m.reaction"),
    event({"reason": "x"}, type="m.room.redaction", redacts="$first"),
    event({"membership": "leave"}, type="m.room.member", state_key=BOB, unsigned={"prev_content": {}}),
    event({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}, type="m.room.encrypted"),
    event({"name": "Kitchen"}, type="m.room.name", state_key=""),
]


def sync(rooms: dict[str, list[dict[str, Any]]], **more: Any) -> dict[str, Any]:
    return {"rooms": {"join": {room: {"timeline": {"events": events}} for room, events in rooms.items()}, **more}}


@pytest.fixture
async def receive(plugin, maubot_test_bot):
    """Handle a sync as mautrix does, until nothing is left to do for its events."""

    client = maubot_test_bot.client

    async def receive(data: dict[str, Any]) -> None:
        data["net.maunium.mautrix"] = {"is_initial": False, "is_first": False}
        await client.run_internal_event(InternalEventType.SYNC_SUCCESSFUL, data=data)
        await asyncio.gather(*client.handle_sync(data))
        await settled(plugin)

    await settled(plugin)
    return receive


async def last_handled(plugin, room_id: str) -> str | None:
    return await plugin.database.fetchval("SELECT event_id FROM handled WHERE room_id = $1", room_id)


async def settled(plugin) -> None:
    """Wait until the bot has handled the events that came, and those that it missed."""
    names = ("event ", "catching up")
    while tasks := [
        *background_task._tasks,
        *(task for task in plugin.background.tasks if task.get_name().startswith(names)),
    ]:
        await asyncio.wait(tasks)


async def test_no_event_stops_another(receive, drawing_room, homeserver, plugin, maubot_test_bot, caplog):
    random, passed_on = Random(18), set()

    async def note(message: Any) -> None:
        passed_on.add(str(message.event_id))

    maubot_test_bot.client.add_event_handler(EventType.ROOM_MESSAGE, note)
    for number in range(SYNCS):
        events: dict[str, list[dict[str, Any]]] = {KITCHEN: [], CELLAR: []}
        for n in range(EVENTS_A_SYNC):
            bad = mutated({**random.choice(EVENTS), "event_id": f"$bad-{number}-{n}"}, random)
            events[random.choice((KITCHEN, CELLAR))].append(bad)
            events[random.choice((KITCHEN, CELLAR))].append(event(text("hello"), event_id=f"$good-{number}-{n}"))
        for room_id, listed in events.items():
            listed.append(event(text("hello"), event_id=f"$last-{number}-{room_id}"))
        invitation = event({"membership": "invite"}, type="m.room.member", state_key=maubot_test_bot.client.mxid)
        invited = {"!hall:example.com": {"invite_state": {"events": [mutated(invitation, random)]}}}
        await receive(sync(events, invite=invited))
        assert {f"$good-{number}-{n}" for n in range(EVENTS_A_SYNC)} <= passed_on
        for room_id in events:
            assert await last_handled(plugin, room_id) == f"$last-{number}-{room_id}"
    assert "unexpected" not in caplog.text
    await receive(sync({CELLAR: [event(text("!draw lynx"), event_id="$lynx")]}))
    await homeserver.until(lambda: any("lynx" in sent.content.get("body", "") for sent in homeserver.events))


async def test_an_invitation_is_followed_after_a_broken_one(receive, homeserver, maubot_test_bot):
    invitation = event({"membership": "invite"}, type="m.room.member", state_key=maubot_test_bot.client.mxid)
    del invitation["event_id"], invitation["origin_server_ts"]
    broken = {**invitation, "content": {"membership": 5}}
    rooms = {"!attic:example.com": broken, "!hall:example.com": invitation}
    await receive(sync({}, invite={room: {"invite_state": {"events": [one]}} for room, one in rooms.items()}))
    await homeserver.until(lambda: homeserver.joined)
    assert homeserver.joined == ["!hall:example.com"]


POISONS = {
    "a huge number": event(text("!draw otter -n 99999999999999999999")),
    "a number beyond 32 bits": event(text("!draw otter --steps 9999999999 --seed 99999999999999999999")),
    "NUL": event(text("!draw ot\0ter")),
    "NUL in a recipe": event(text('!draw {"subject": "ot\\u0000ter", "theme": "\\u0000"}')),
    "half a character": event(text("!draw otter \ud83d")),
    "half a character in a style": event(text("!easel style add cosy = \ud83d, soft\0")),
    "a formatted text that is a number": event(text("!draw owl", formatted_body=5, format=HTML, **REPLY)),
    "a reply to a number": event(text("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": 5}}})),
    "no time": event(text("!draw otter"), origin_server_ts="now"),
    "a reply to a file that is a text": event(text("!draw --seed 8", **REPLY)),
}


@pytest.fixture
def first(homeserver) -> None:
    file = {"msgtype": "m.file", "body": "a.yml", "file": "abc"}
    homeserver.history[KITCHEN] = [event(file, event_id="$first", room_id=KITCHEN)]


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
async def test_a_poisonous_command_is_answered_and_the_next_is_drawn(
    poison, first, receive, drawing_room, homeserver, plugin, caplog
):
    good = event(text("!draw lynx"), event_id="$good")
    await receive(sync({KITCHEN: [{**poison, "event_id": "$poison"}, good]}))

    def answered(event_id: str) -> bool:
        replies = [sent.content.get("m.relates_to", {}).get("m.in_reply_to", {}) for sent in homeserver.events]
        return {"event_id": event_id} in replies

    await homeserver.until(lambda: answered("$poison") and answered("$good"))
    assert await last_handled(plugin, KITCHEN) == "$good"
    assert "unexpected" not in caplog.text
    assert "otter" not in caplog.text and "owl" not in caplog.text


REACTION = {"rel_type": "m.annotation", "event_id": "$first", "key": "🎲"}
LEFT_OUT = {
    "a reaction with a number": event({"m.relates_to": {**REACTION, "key": 5}}, type="m.reaction"),
    "a reaction without a key": event({"m.relates_to": {**REACTION, "key": None}}, type="m.reaction"),
    "a reaction to a number": event({"m.relates_to": {**REACTION, "event_id": 5}}, type="m.reaction"),
    "a reaction to nothing": event({"m.relates_to": {"key": "walrus"}}, type="m.reaction"),
    "a relation that is a text": event({"m.relates_to": "walrus"}, type="m.reaction"),
    "a deletion of a number": event({"reason": "walrus"}, type="m.room.redaction", redacts=5),
    "a text that is a number": event({"msgtype": "m.text", "body": 5, "walrus": "walrus"}),
}


@pytest.mark.parametrize("bad", LEFT_OUT.values(), ids=LEFT_OUT)
async def test_what_cannot_be_answered_is_logged_with_its_id_alone(bad, receive, room, homeserver, plugin, caplog):
    caplog.set_level(logging.DEBUG)
    await receive(sync({KITCHEN: [{**bad, "event_id": "$bad"}, event(text("!draw"), event_id="$good")]}))
    await homeserver.answers()
    assert f"Left out $bad in {KITCHEN}" in caplog.text
    assert "unexpected" not in caplog.text and "walrus" not in caplog.text
    assert await last_handled(plugin, KITCHEN) == "$good"


# mautrix reads the first and raises at the second.
LAST = {
    "no time": {"origin_server_ts": "now"},
    "a formatted text that is a number": {"content": POISONS["a formatted text that is a number"]["content"]},
}


@pytest.mark.parametrize("bad", LAST.values(), ids=LAST)
async def test_a_broken_message_marks_its_room_behind_those_before_it(
    bad, receive, drawing_room, homeserver, plugin, monkeypatch
):
    monkeypatch.setattr(replies, "READ_WITHIN_S", 1.0)
    homeserver.in_silence.add("slow")
    slow = event(text("!draw --seed 8", **REPLY), event_id="$slow")
    homeserver.history[KITCHEN] = [
        event(
            {"msgtype": "m.file", "body": "a.yml", "url": "mxc://example.com/slow"}, event_id="$first", room_id=KITCHEN
        )
    ]
    receiving = asyncio.create_task(
        receive(
            sync({KITCHEN: [event(text("hello"), event_id="$good"), slow, event(text("!draw"), event_id="$bad") | bad]})
        )
    )
    await homeserver.until(lambda: "slow" in homeserver.asked_of and homeserver.sentences())
    assert await last_handled(plugin, KITCHEN) == "$good"
    await homeserver.end_silence("slow")
    await receiving
    assert await last_handled(plugin, KITCHEN) == "$bad"


async def test_a_reaction_that_was_taken_back_is_no_mistake(receive, room, caplog):
    await receive(sync({KITCHEN: [event({}, type="m.reaction"), event({})]}))
    assert "Left out" not in caplog.text


async def test_a_bug_is_logged_and_said(receive, room, homeserver, plugin, caplog):
    await plugin.database.execute("DROP TABLE job")
    await receive(sync({KITCHEN: [event(text("!draw otter"), event_id="$command")]}))
    assert await homeserver.answer() == UNEXPECTED
    assert await last_handled(plugin, KITCHEN) == "$command"
    assert "$command in !kitchen:example.com: unexpected" in caplog.text and "in job\n" in caplog.text
    assert "otter" not in caplog.text


async def test_a_bug_in_a_button_is_logged_and_said(receive, room, homeserver, plugin, caplog):
    await plugin.database.execute("DROP TABLE favourite")
    await plugin.database.execute("INSERT INTO posted VALUES ('t', 'j', $1, 'picture', 0, '$first')", KITCHEN)
    await receive(sync({KITCHEN: [event(related(rel_type="m.annotation", key="⭐"), type="m.reaction")]}))
    assert await homeserver.answer() == UNEXPECTED
    assert "$it: unexpected" in caplog.text


async def test_catching_up_goes_past_what_it_cannot_read(drawing_room, homeserver, plugin, caplog):
    await plugin.database.execute("INSERT INTO handled VALUES ($1, '$old')", KITCHEN)
    await plugin.internal_stop()
    poisons = [{**poison, "event_id": f"$poison-{n}"} for n, poison in enumerate(POISONS.values())]
    good = event(text("!draw lynx"), event_id="$good")
    missed = [event(text("hello"), event_id="$old"), *poisons[:5], good, *poisons[5:]]
    homeserver.history[KITCHEN] = [{**one, "room_id": KITCHEN} for one in missed]
    await plugin.internal_start()
    await homeserver.until(lambda: any("lynx" in sent.content.get("body", "") for sent in homeserver.events))
    await settled(plugin)
    assert await last_handled(plugin, KITCHEN) == missed[-1]["event_id"]
    assert "unexpected" not in caplog.text


async def test_a_bug_while_catching_up_ends(room, homeserver, plugin):
    await plugin.database.execute("INSERT INTO handled VALUES ($1, '$old')", KITCHEN)
    await plugin.internal_stop()
    await plugin.database.execute("DROP TABLE favourite")
    deletion = event({}, type="m.room.redaction", redacts="$first", event_id="$deletion")
    homeserver.history[KITCHEN] = [event(text("hello"), event_id="$old"), deletion]
    await plugin.internal_start()
    await settled(plugin)
    assert await last_handled(plugin, KITCHEN) == "$deletion"
