"""Encrypted rooms with mautrix's real crypto: the bot's events are encrypted, and its own keys decrypt them."""

import asyncio
import json
import logging
import sqlite3
import time
from contextlib import closing
from random import Random
from typing import Any

import pytest
from aiohttp import web
from mautrix.client import InternalEventType
from mautrix.crypto import OlmAccount, OlmMachine
from mautrix.crypto.attachments import decrypt_attachment
from mautrix.crypto.store import MemoryCryptoStore, PgCryptoStore
from mautrix.types import EncryptionAlgorithm, Event, EventType, RoomEncryptionStateEventContent
from mautrix.util.async_db import Database

from bot.easel.jobs import tables
from bot.easel.jobs.store import Store
from bot.easel.sending.content import LEFT_OUT, answer_content
from bot.easel.sending.send_queue import NotSent, Outgoing
from tests.helpers.fake_homeserver import Homeserver
from tests.helpers.mutations import mutated

SECRET, OTHER_SECRET = "!secret:example.com", "!other-secret:example.com"

MUTATIONS = 300

# Of Synapse, and what it adds at most: signatures, hashes, and the ids of events before this one.
MAX_EVENT_BYTES = 65_536
ADDED_BYTES = 4096

# mautrix itself reads the deprecated field when it has no key for a message.
pytestmark = pytest.mark.filterwarnings("ignore:The sender_key field:DeprecationWarning")


ADA, EVE, EVES_SERVER = "@ada:example.com", "@eve:slow.example", "slow.example"


class Keys:
    """Answers questions about keys. One kind of them is ``stuck`` where Eve's server is in silence."""

    def __init__(self, homeserver: Homeserver) -> None:
        self._homeserver = homeserver
        self.phones: dict[str, Any] = {}
        self.stuck = ""
        self.queried: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        what, body = request.match_info["what"], await request.json()
        people = {"query": body.get("device_keys"), "claim": body.get("one_time_keys")}.get(what, ())
        if what == self.stuck and EVE in people:
            await self._homeserver.until_not_silent(EVES_SERVER)
        phones = {}
        if what == "query":
            self.queried += people
            phones = {user_id: {"PHONE": self.phones[user_id]} for user_id in people if user_id in self.phones}
        counts = {"signed_curve25519": 50}
        return web.json_response({"device_keys": phones, "one_time_keys": {}, "one_time_key_counts": counts})


@pytest.fixture
async def keys(homeserver) -> Keys:
    return Keys(homeserver)


@pytest.fixture
async def maubot_test_bot(maubot_test_bot: Any, homeserver, keys, serve):
    """The bot with its own device, in one encrypted room with a person without devices."""
    app = homeserver.app()
    app.add_routes([web.post("/_matrix/client/v3/keys/{what}", keys.answer)])
    homeserver.display_names["@ada:example.com"] = "Ada"
    client = maubot_test_bot.client
    client.api.base_url = client.api.base_url.with_port(await serve.tcp(app))
    client.device_id = "EASEL"
    store = MemoryCryptoStore(client.mxid, "pickle")
    client.crypto = OlmMachine(client, store, client.state_store)
    await client.crypto.load()
    await client.crypto.share_keys()
    encryption = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)
    await client.state_store.set_encryption_info(SECRET, encryption)
    homeserver.encrypted_rooms.add(SECRET)
    return maubot_test_bot


async def say_encrypted(room, body: str, room_id: str = SECRET) -> None:
    """Dispatch an encrypted message as maubot does: the encrypted event first, then the decrypted one."""
    event_id = await room.put(
        {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"},
        type="m.room.encrypted",
        room_id=room_id,
    )
    await room.say(body, room_id=room_id, event_id=event_id)


async def decrypted(client, sent) -> dict[str, Any]:
    event = {
        "type": sent.type,
        "room_id": sent.room_id,
        "event_id": f"$sent-{sent.txn_id}",
        "sender": client.mxid,
        "origin_server_ts": 1,
        "content": sent.content,
    }
    return (await client.crypto.decrypt_megolm_event(Event.deserialize(event))).content.serialize()


async def test_picture_and_recipe_are_encrypted(drawing_room, homeserver, maubot_test_bot):
    await say_encrypted(drawing_room, "!draw otter --seed 7")
    sent = await homeserver.until(
        lambda: len(found := [event for event in homeserver.events if event.type == "m.room.encrypted"]) == 3 and found
    )
    # No Matrix client encrypts reactions. Everything else is encrypted.
    assert {event.type for event in homeserver.events} - {"m.room.redaction"} == {"m.room.encrypted", "m.reaction"}
    recipe, picture, file = [await decrypted(maubot_test_bot.client, event) for event in sent]
    assert picture["msgtype"] == "m.image"
    assert picture["body"].startswith("otter\nseed 7")
    assert picture["household.easel"]["kind"] == "picture"
    assert sent[1].content["m.relates_to"] == picture["m.relates_to"]
    # The homeserver sees that it is an edit, and rings no phone.
    assert sent[2].content["m.relates_to"]["rel_type"] == "m.replace"
    assert not {"url", "thumbnail_url"} & (set(picture) | set(picture["info"]))
    assert _plain(homeserver, picture["file"]) == b"PNG"
    assert _plain(homeserver, picture["info"]["thumbnail_file"]) == b"thumb"
    assert file["m.new_content"]["file"] == recipe["file"]
    assert _plain(homeserver, recipe["file"]) == b"prompt: otter\n"
    assert not {b"PNG", b"thumb", b"prompt: otter\n"} & set(homeserver.uploads.values())


async def test_answers_are_encrypted(room, homeserver, maubot_test_bot):
    await say_encrypted(room, "!draw")
    (sent,) = await homeserver.until(lambda: homeserver.events)
    assert sent.type == "m.room.encrypted"
    assert "!draw otter" in (await decrypted(maubot_test_bot.client, sent))["body"]


@pytest.mark.parametrize("text", ["otter\n" * 20_000, "é" * 100_000, "🦦" * 50_000, "\x00" * 65_000])
async def test_the_longest_event_has_room_for_what_a_homeserver_adds(plugin, homeserver, maubot_test_bot, text):
    content = answer_content(text, {"m.in_reply_to": {"event_id": "$" + "e" * 254}})
    for room_id in (SECRET, "!kitchen:example.com"):
        await plugin.homeserver.send(Outgoing(room_id=room_id, txn_id=room_id, content=content))
    secret, plain = homeserver.events
    assert 55_000 < len(json.dumps(secret.content)) < MAX_EVENT_BYTES - ADDED_BYTES
    assert plain.content == await decrypted(maubot_test_bot.client, secret)
    assert plain.content["body"].startswith(text[:1000]) and plain.content["body"].endswith(f"\n{LEFT_OUT}")


async def test_a_person_who_joins_gets_the_key_of_the_next_message(room, homeserver):
    async def session_of_answer(number: int) -> str:
        await say_encrypted(room, "!draw")
        await homeserver.until(lambda: len(homeserver.events) == number)
        return homeserver.events[-1].content["session_id"]

    first, second = await session_of_answer(1), await session_of_answer(2)
    # mautrix assumes that an invited person has had every key since the invitation.
    invited = {"prev_content": {"membership": "invite"}}
    bob = {"type": "m.room.member", "state_key": "@bob:example.com", "sender": "@bob:example.com"}
    await room.put({"membership": "join"}, **bob, room_id=SECRET, unsigned=invited)
    assert first == second != await session_of_answer(3)


async def test_a_room_whose_encryption_is_stuck_holds_up_no_other(room, homeserver, maubot_test_bot):
    encryption = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)
    await maubot_test_bot.client.state_store.set_encryption_info(OTHER_SECRET, encryption)
    await say_encrypted(room, "!draw", OTHER_SECRET)
    await homeserver.until(lambda: len(homeserver.events) == 1)
    homeserver.in_silence.add(SECRET)
    await say_encrypted(room, "!draw")
    await homeserver.until(lambda: SECRET in homeserver.asked_of)
    await room.say("!easel help")
    await say_encrypted(room, "!draw", OTHER_SECRET)
    await homeserver.until(lambda: len(homeserver.events) == 3)
    await say_encrypted(room, "!easel queue")
    await homeserver.end_silence(SECRET)
    secret = await homeserver.until(
        lambda: len(found := [event for event in homeserver.events if event.room_id == SECRET]) == 2 and found
    )
    bodies = [(await decrypted(maubot_test_bot.client, event))["body"] for event in secret]
    assert "!draw otter" in bodies[0] and "The queue is empty." in bodies[1]


@pytest.mark.parametrize("algorithm", ["m.megolm.v9", 9, None])
async def test_a_room_with_another_encryption_is_given_up(room, plugin, homeserver, maubot_test_bot, algorithm):
    encryption = RoomEncryptionStateEventContent.deserialize({"algorithm": algorithm})
    await maubot_test_bot.client.state_store.set_encryption_info(SECRET, encryption)
    event = Outgoing(room_id=SECRET, txn_id="t", content=answer_content("otter"))
    with pytest.raises(NotSent):
        await plugin.homeserver.send(event)
    assert not homeserver.events


@pytest.fixture
async def two_rooms(room, keys, homeserver, maubot_test_bot) -> None:
    """Eve is in one room, Ada in the other, each with a phone that the bot has sent nothing to."""
    client = maubot_test_bot.client
    encryption = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)
    await client.state_store.set_encryption_info(OTHER_SECRET, encryption)
    homeserver.members = {SECRET: [EVE], OTHER_SECRET: [ADA]}
    # The store in memory does not know which rooms a person is in.
    client.crypto.disable_device_change_key_rotation = True
    for user_id in (ADA, EVE):
        keys.phones[user_id] = OlmAccount().get_device_keys(user_id, "PHONE").serialize()
        # mautrix asks for the devices of people whom it knows.
        await client.crypto.crypto_store.put_devices(user_id, {})
    homeserver.in_silence.add(EVES_SERVER)


@pytest.mark.parametrize("what", ["query", "claim"])
async def test_a_server_that_brings_no_keys_holds_up_only_rooms_with_its_people(
    two_rooms, room, keys, homeserver, what
):
    keys.stuck = what
    await say_encrypted(room, "!draw")
    await homeserver.until(lambda: EVES_SERVER in homeserver.asked_of)
    await say_encrypted(room, "!draw", OTHER_SECRET)
    await homeserver.until(lambda: homeserver.events)
    await homeserver.end_silence(EVES_SERVER)
    await homeserver.until(lambda: len(homeserver.events) == 2)
    assert [event.room_id for event in homeserver.events] == [OTHER_SECRET, SECRET]


@pytest.mark.parametrize("known", [True, False])
async def test_one_persons_keys_that_nobody_can_read_silence_no_room(plugin, keys, homeserver, maubot_test_bot, known):
    homeserver.members[SECRET] = [ADA, EVE]
    keys.phones[EVE] = {"algorithms": 5}
    for user_id in (ADA, EVE) if known else (ADA,):
        await maubot_test_bot.client.crypto.crypto_store.put_devices(user_id, {})
    await plugin.homeserver.send(Outgoing(room_id=SECRET, txn_id="t", content=answer_content("otter")))
    (sent,) = homeserver.events
    assert (await decrypted(maubot_test_bot.client, sent))["body"] == "otter"
    assert {ADA, EVE} <= set(keys.queried)


async def test_devices_that_change_while_the_bot_asks_are_asked_for_again(
    two_rooms, room, keys, homeserver, maubot_test_bot
):
    keys.stuck = "query"
    await say_encrypted(room, "!draw")
    await homeserver.until(lambda: EVES_SERVER in homeserver.asked_of)
    sync = {"device_lists": {"changed": [EVE]}, "net.maunium.mautrix": {"is_first": False}}
    await maubot_test_bot.client.run_internal_event(InternalEventType.SYNC_SUCCESSFUL, data=sync)
    await homeserver.end_silence(EVES_SERVER)
    asked = []
    for number in (1, 2, 3):
        await homeserver.until(lambda number=number: len(homeserver.events) == number)
        asked.append(len(keys.queried))
        await say_encrypted(room, "!draw")
    assert asked[0] < asked[1] == asked[2]


async def test_an_encrypted_event_is_sent_again_as_the_same_transaction(room, homeserver):
    homeserver.sins.append(web.json_response({"errcode": "M_UNKNOWN", "error": "away"}, status=502))
    await say_encrypted(room, "!draw")
    (sent,) = await homeserver.until(lambda: homeserver.events)
    assert homeserver.refused == [sent.txn_id]


async def test_a_message_that_waits_for_its_key_is_not_marked_as_handled(room, plugin):
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
    await room.put(content, type="m.room.encrypted", room_id=SECRET)
    await room.say("hello", room_id=SECRET)
    assert await Store(plugin.database).last_handled(SECRET) is None


def _plain(homeserver, file: dict[str, Any]) -> bytes:
    return decrypt_attachment(homeserver.uploads[file["url"]], file["key"]["k"], file["hashes"]["sha256"], file["iv"])


class Inside(dict[str, Any]):
    """Content of any form; mautrix puts no relation beside its ciphertext."""

    relates_to = None


async def encrypted(client, content: dict[str, Any], event_id: str) -> dict[str, Any]:
    """An event as the homeserver brings it."""
    inside = await client.encrypt(SECRET, EventType.ROOM_MESSAGE, Inside(content))
    event = {"type": "m.room.encrypted", "event_id": event_id, "sender": "@ada:example.com"}
    return {**event, "origin_server_ts": int(time.time() * 1000), "content": inside.serialize()}


async def receive(client, *events: dict[str, Any]) -> None:
    await asyncio.gather(*client.handle_sync({"rooms": {"join": {SECRET: {"timeline": {"events": list(events)}}}}}))


TEXT = {"msgtype": "m.text", "body": "!easel queue walrus"}
# What is inside an event, and what is changed outside.
UNREADABLE = {
    "a reply to a number": ({**TEXT, "m.relates_to": {"m.in_reply_to": 5}}, {}),
    "a relation that is a text": ({**TEXT, "m.relates_to": "walrus"}, {}),
    "a file without a key": ({**TEXT, "msgtype": "m.image", "file": {"url": "walrus"}}, {}),
    "other ciphertext": (TEXT, {"ciphertext": "walrus"}),
    "no ciphertext": (TEXT, {"ciphertext": None}),
    "an unknown algorithm": (TEXT, {"algorithm": "walrus"}),
}


@pytest.mark.parametrize(("inside", "outside"), UNREADABLE.values(), ids=UNREADABLE)
async def test_an_encrypted_event_that_cannot_be_read_gets_a_sign_and_is_logged_without_its_text(
    room, homeserver, maubot_test_bot, caplog, inside, outside
):
    caplog.set_level(logging.DEBUG)
    client = maubot_test_bot.client
    bad = await encrypted(client, inside, "$bad")
    bad["content"] = {key: value for key, value in {**bad["content"], **outside}.items() if value is not None}
    await receive(client, bad, await encrypted(client, TEXT, "$good"))
    sign = await homeserver.marked("unreadable")
    assert (sign.room_id, sign.content["m.relates_to"]["event_id"]) == (SECRET, "$bad")
    await homeserver.until(lambda: [event for event in homeserver.events if event.type == "m.room.encrypted"])
    assert "walrus" not in caplog.text and "unexpected" not in caplog.text
    assert "$bad" in caplog.text


async def test_the_bot_puts_no_sign_on_its_own_events(room, homeserver, maubot_test_bot, caplog):
    client = maubot_test_bot.client
    own = {**await encrypted(client, TEXT, "$own"), "sender": client.mxid}
    own["content"]["ciphertext"] = "x"
    await receive(client, own, await encrypted(client, TEXT, "$good"))
    await homeserver.until(lambda: homeserver.events and "Could not decrypt $own" in caplog.text)
    assert [event.type for event in homeserver.events] == ["m.room.encrypted"]


async def test_an_encrypted_command_that_mautrix_cannot_pass_on_is_answered(room, homeserver, maubot_test_bot, caplog):
    client = maubot_test_bot.client
    reply = {
        "format": "org.matrix.custom.html",
        "formatted_body": 5,
        "m.relates_to": {"m.in_reply_to": {"event_id": "$x"}},
    }
    await receive(client, await encrypted(client, {**TEXT, **reply}, "$bad"))
    (answer,) = await homeserver.until(lambda: homeserver.events)
    assert "The queue is empty." in (await decrypted(client, answer))["body"]
    assert "Left out" not in caplog.text and "unexpected" not in caplog.text


@pytest.fixture
async def database_of_keys(room, maubot_test_bot, tmp_path):
    """Where the bot keeps its keys: on disk, as in maubot, with one connection."""
    client, database = (
        maubot_test_bot.client,
        Database.create(f"sqlite:{tmp_path}/keys.db", upgrade_table=PgCryptoStore.upgrade_table),
    )
    await database.start()
    client.crypto.crypto_store = PgCryptoStore(client.mxid, "pickle", database)
    yield database
    await database.stop()


async def test_a_locked_database_of_keys_loses_no_command(
    room, homeserver, maubot_test_bot, database_of_keys, tmp_path, monkeypatch
):
    monkeypatch.setattr(tables, "PAUSES_S", (0.05,) * 1000)
    client = maubot_test_bot.client
    command = await encrypted(client, TEXT, "$command")
    await database_of_keys.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "keys.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await receive(client, command)
        await asyncio.sleep(0.3)
        assert not homeserver.events
        other.execute("COMMIT")
    (answer,) = await homeserver.until(lambda: homeserver.events)
    assert "The queue is empty." in (await decrypted(client, answer))["body"]


async def test_a_disk_that_takes_no_keys_is_waited_for(room, homeserver, maubot_test_bot, database_of_keys, caplog):
    await database_of_keys.execute("PRAGMA query_only = 1")
    await say_encrypted(room, "!easel queue")
    await homeserver.until(lambda: "next try in 1.0 s: maubot's database: attempt to write a readonly" in caplog.text)
    await database_of_keys.execute("PRAGMA query_only = 0")
    (answer,) = await homeserver.until(lambda: homeserver.events)
    assert "The queue is empty." in (await decrypted(maubot_test_bot.client, answer))["body"]


async def test_keys_are_stored_after_a_task_was_cancelled_while_it_stored_some(
    room, keys, homeserver, maubot_test_bot, database_of_keys, tmp_path
):
    """mautrix's transactions would fail from then on, each with "cannot start a transaction within a transaction"."""
    homeserver.members, keys.phones[ADA] = {SECRET: [ADA]}, OlmAccount().get_device_keys(ADA, "PHONE").serialize()
    client, inside = maubot_test_bot.client, asyncio.Event()
    store = client.crypto.crypto_store
    # The store in memory does not know which rooms a person is in.
    client.crypto.disable_device_change_key_rotation = True
    await store.put_devices(ADA, {})

    async def stuck_inside() -> None:
        async with store.transaction():
            await store.put_devices(EVE, {})
            inside.set()
            await asyncio.Event().wait()

    storing = asyncio.create_task(stuck_inside())
    await inside.wait()
    storing.cancel()
    await asyncio.wait({storing})
    await say_encrypted(room, "!easel help")
    await homeserver.until(lambda: homeserver.events)
    assert not homeserver.refused
    with closing(sqlite3.connect(tmp_path / "keys.db")) as on_disk:
        assert on_disk.execute("SELECT user_id, device_id FROM crypto_device").fetchall() == [(ADA, "PHONE")]
        assert on_disk.execute("SELECT user_id FROM crypto_tracked_user").fetchall() == [(ADA,)]


async def test_no_encrypted_event_stops_another(drawing_room, homeserver, maubot_test_bot, caplog):
    client, random, passed_on = maubot_test_bot.client, Random(18), set()

    async def note(message: Any) -> None:
        passed_on.add(message.event_id)

    client.add_event_handler(EventType.ROOM_MESSAGE, note)
    reply = {"format": "org.matrix.custom.html", "formatted_body": "x", "m.relates_to": {"event_id": "$first"}}
    for n in range(MUTATIONS):
        content = mutated({"msgtype": "m.text", "body": "!easel help", **reply}, random)
        outside = await encrypted(client, content, f"$bad-{n}")
        bad = outside if n % 2 else {**mutated(outside, random), "type": "m.room.encrypted"}
        good = await encrypted(client, {"msgtype": "m.text", "body": "hello"}, f"$good-{n}")
        await receive(client, bad, good)
    await homeserver.until(lambda: {f"$good-{n}" for n in range(MUTATIONS)} <= passed_on)
    assert "unexpected" not in caplog.text
