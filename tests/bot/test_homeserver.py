"""The bot's requests to a homeserver that limits, fails or refuses, over HTTP."""

import asyncio
import logging
import sqlite3
from collections import defaultdict
from functools import partial

import pytest
from aiohttp import web
from mautrix.util.async_db import Database, UpgradeTable

from bot.easel.sending.answers import NotAllowed
from bot.easel.sending.homeserver import Homeserver, Patience
from bot.easel.sending.media import Media
from bot.easel.sending.send_queue import NotSent, Outgoing, SlowDown, Unreachable

EVENT = Outgoing(room_id="!room:example.com", txn_id="t", content={"msgtype": "m.notice", "body": "hello"})


IMPATIENT = Patience(send_s=1, upload_s=5, courtesy_s=1, pauses_s=(0, 0))
NO_JSON = {"content_type": "application/json", "text": "no JSON"}


@pytest.fixture
def way(maubot_test_bot) -> Homeserver:
    return Homeserver(maubot_test_bot.client, logging.getLogger("test"), IMPATIENT)


@pytest.fixture
def media(way, maubot_test_bot) -> Media:
    return Media(maubot_test_bot.client, way, logging.getLogger("test"))


def limited(headers=None, **body) -> web.Response:
    return web.json_response({"errcode": "M_LIMIT_EXCEEDED", **body}, status=429, headers=headers)


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (limited(retry_after_ms=3692), 3.692),
        (limited(retry_after_ms=3692, headers={"Retry-After": "4"}), 3.692),
        (limited(headers={"Retry-After": "4"}), 4),
        (limited(headers={"Retry-After": "soon"}), None),
        (limited(), None),
        (web.Response(status=429, text="a proxy's own page"), None),
    ],
)
async def test_the_length_of_a_rate_limit_is_read(way, homeserver, answer, wait_s):
    homeserver.sins.append(answer)
    with pytest.raises(SlowDown) as error:
        await way.send(EVENT)
    assert error.value.wait_s == wait_s


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.json_response({"errcode": "M_FORBIDDEN", "error": "You are not in the room"}, status=403), NotAllowed),
        (web.Response(status=403, text="a proxy's own page"), NotSent),
        (web.Response(status=502, text="Bad gateway"), Unreachable),
        (web.json_response({"errcode": "M_UNKNOWN_TOKEN", "error": "log in again"}, status=401), Unreachable),
        (web.Response(status=200, text="no JSON"), Unreachable),
        (web.json_response([]), Unreachable),
        (web.json_response({}), Unreachable),
    ],
)
async def test_answers_become_errors(way, homeserver, answer, error):
    homeserver.sins.append(answer)
    with pytest.raises(error) as raised:
        await way.send(EVENT)
    assert raised.type is error


async def test_mautrix_is_not_allowed_into_a_room_that_the_bot_left(way, homeserver, maubot_test_bot):
    homeserver.left.add("!room:example.com")
    with pytest.raises(NotAllowed):
        await way.patiently(partial(maubot_test_bot.client.get_joined_members, "!room:example.com"))


async def test_a_missing_homeserver_is_away(way, maubot_test_bot, unused_tcp_port):
    client = maubot_test_bot.client
    client.api.base_url = client.api.base_url.with_port(unused_tcp_port)
    with pytest.raises(Unreachable):
        await way.send(EVENT)
    # Typing notices and receipts fail silently.
    await way.mark_read("!room:example.com", "$event")
    await way.set_typing("!room:example.com", 30)


async def test_whether_a_room_is_encrypted_is_asked_once(way, homeserver):
    assert not await way.is_encrypted("!room:example.com")
    homeserver.encrypted_rooms.add("!room:example.com")
    # The sync reports it when encryption is turned on later.
    assert not await way.is_encrypted("!room:example.com")
    assert not await way.is_encrypted("!other:example.com")


async def test_a_homeserver_that_does_not_tell_who_made_a_room_is_not_asked_for_ever(way, homeserver):
    homeserver.leaves_out = "all"
    with pytest.raises(NotSent):
        await way.created("!room:example.com")


async def test_a_room_whose_power_levels_nobody_can_read_is_not_asked_for_ever(way, homeserver):
    homeserver.power_levels = []
    with pytest.raises(NotSent):
        await way.power_level("!room:example.com", "@ada:example.com")


async def test_a_redaction_has_its_own_transaction(way, homeserver):
    event_id = await way.send(Outgoing(room_id="!room:example.com", txn_id="t", redacts="$x"))
    (sent,) = homeserver.events
    assert (sent.type, sent.txn_id, sent.content) == ("m.room.redaction", "t", {"redacts": "$x"})
    assert event_id == "$sent-t"


async def test_a_homeserver_that_never_answers_times_out(way, homeserver):
    homeserver.in_silence.add(EVENT.room_id)
    with pytest.raises(Unreachable):
        await way.send(EVENT)


SINS = {
    "limited": lambda: limited(),
    "failing": lambda: web.Response(status=500, text="no"),
    "a proxy's page": lambda: web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html"),
    "no JSON": lambda: web.Response(**NO_JSON),
}


@pytest.mark.parametrize("sin", SINS.values(), ids=SINS)
async def test_an_upload_is_tried_again(media, homeserver, sin):
    homeserver.upload_sins += [sin() for _ in range(5)]
    uploaded = await media.upload("!room:example.com", b"data", "image/png")
    assert homeserver.uploads == {uploaded["url"]: b"data"}


@pytest.mark.parametrize("sin", SINS.values(), ids=SINS)
async def test_whether_a_room_is_encrypted_is_asked_again(way, homeserver, sin):
    homeserver.encrypted_rooms.add("!room:example.com")
    homeserver.encryption_sins += [sin(), sin()]
    assert await way.is_encrypted("!room:example.com")


async def test_a_room_whose_encryption_nobody_can_read_is_encrypted(way, homeserver):
    homeserver.encryption_sins.append(web.json_response({"algorithm": ["m.megolm.v1.aes-sha2"]}))
    assert await way.is_encrypted("!room:example.com")
    assert not homeserver.encryption_sins


@pytest.mark.parametrize("sin", SINS.values(), ids=SINS)
async def test_typing_notices_and_receipts_fail_silently(way, homeserver, sin):
    homeserver.courtesy_sins.append(sin())
    await way.set_typing("!room:example.com", 30)
    assert not homeserver.courtesy_sins


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "mxc://../config",
            "mxc://./x",
            "mxc://example.com/../x",
            "mxc://example.com",
            "mxc://example.com/",
            "mxc:///x",
        ),
        *(
            "mxc://example.com/a/b",
            "mxc://example.com/a?b",
            "mxc://%2e%2e/x",
            "mxc://user@example.com/x",
            "mxc://a\n/x",
        ),
        *(
            "https://example.com/x",
            "mxc://[::1/x",
            "mxc://example.com:x/y",
            "mxc://example.com:999999/x",
            5,
            None,
            ["x"],
        ),
    ],
)
async def test_an_address_that_is_no_mxc_uri_is_not_asked_for(media, homeserver, uri):
    homeserver.uploads = defaultdict(lambda: b"secret")
    assert await media.download({"url": uri}, 100) is None
    assert await media.download({"file": {"url": uri}}, 100) is None


@pytest.mark.parametrize(
    "uri", ["mxc://example.com/Ab_-9", "mxc://EXAMPLE.com:8448/x", "mxc://[::1]:8448/x", "mxc://1.2.3.4/x"]
)
async def test_mxc_uris_are_asked_for(media, homeserver, uri):
    homeserver.uploads[uri] = b"picture"
    assert await media.download({"url": uri}, 100) == b"picture"


@pytest.mark.parametrize("file", ["abc", 5, [], {}, {"url": 5}, {"url": "mxc://example.com/x", "key": "x"}])
async def test_a_file_of_any_form_is_read_or_left(media, homeserver, file):
    homeserver.uploads["mxc://example.com/x"] = b"x"
    assert await media.download({"file": file}, 100) is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_download_follows_no_redirection(media, homeserver, status):
    homeserver.uploads["mxc://example.com/secret"] = b"secret"
    elsewhere = {"Location": "/_matrix/media/v3/download/example.com/secret"}
    homeserver.download_sins.append(web.Response(status=status, headers=elsewhere))
    with pytest.raises(NotSent, match=str(status)):
        await media.download({"url": "mxc://example.com/x"}, 100)


async def test_a_locked_database_of_maubot_is_waited_for(way, tmp_path):
    """It keeps which rooms are encrypted, and their keys."""
    database = Database.create(f"sqlite:{tmp_path}/maubot.db", upgrade_table=UpgradeTable())
    await database.start()
    await database.execute("CREATE TABLE session (id TEXT)")
    await database.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "maubot.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    encrypting = asyncio.create_task(way.patiently(lambda: database.execute("INSERT INTO session VALUES ('x')")))
    await asyncio.sleep(0.05)
    assert not encrypting.done()
    other.execute("COMMIT")
    await encrypting
    other.close()
    await database.stop()


async def test_what_no_waiting_mends_in_maubots_database_is_not_waited_for(way, tmp_path):
    database = Database.create(f"sqlite:{tmp_path}/maubot.db", upgrade_table=UpgradeTable())
    await database.start()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await way.patiently(lambda: database.execute("INSERT INTO session VALUES ('x')"))
    await database.stop()
