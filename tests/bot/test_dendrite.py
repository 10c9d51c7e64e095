"""Dendrite's habits: refusals with status 200 in a file's place, and limits on receipts, typing, joins and uploads."""

import asyncio
import json
import logging
import time

import pytest
from aiohttp import web

from bot.easel.sending.answers import LONGEST_WAIT_MS
from bot.easel.sending.homeserver import Homeserver, Patience
from bot.easel.sending.media import REFUSED_AS_FILE, Media
from bot.easel.sending.send_queue import NotSent, Outgoing, SlowDown

ROOM = "!room:example.com"
URI = "mxc://example.com/x"
PHOTO = b"\x89PNG and more"
PATIENT = Patience(send_s=5, upload_s=5, courtesy_s=5, pauses_s=(0, 0))


@pytest.fixture
def way(maubot_test_bot) -> Homeserver:
    return Homeserver(maubot_test_bot.client, logging.getLogger("test"), PATIENT)


@pytest.fixture
def media(way, maubot_test_bot) -> Media:
    return Media(maubot_test_bot.client, way, logging.getLogger("test"))


def limited(retry_after_ms: int = 20) -> web.Response:
    return web.json_response({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": retry_after_ms}, status=429)


def in_a_files_place(status: int = 429, **error) -> web.Response:
    return web.json_response({"Code": status, "JSON": error, "Headers": None})


def refused(retry_after_ms: int = 20) -> web.Response:
    return in_a_files_place(errcode="M_LIMIT_EXCEEDED", error="too many", retry_after_ms=retry_after_ms)


@pytest.mark.parametrize("info", [{}, {"info": {"size": len(PHOTO), "mimetype": "image/png"}}, {"info": "nothing"}])
@pytest.mark.parametrize("refusal", [refused, lambda: web.json_response({"errcode": "M_LIMIT_EXCEEDED"})])
async def test_a_refusal_in_a_files_place_is_waited_out(media, homeserver, info, refusal):
    homeserver.uploads[URI] = PHOTO
    homeserver.download_sins += [refusal(), refusal()]
    assert await media.download({"url": URI, **info}, 1000) == PHOTO
    assert not homeserver.download_sins


async def test_the_time_that_such_a_refusal_gives_is_waited(media, homeserver):
    homeserver.uploads[URI] = PHOTO
    homeserver.download_sins.append(refused(retry_after_ms=150))
    began = time.monotonic()
    assert await media.download({"url": URI}, 1000) == PHOTO
    assert time.monotonic() - began >= 0.15


async def test_another_error_in_a_files_place_is_that_error(media, homeserver):
    homeserver.download_sins.append(in_a_files_place(404, errcode="M_NOT_FOUND", error="File not found"))
    with pytest.raises(NotSent, match="File not found"):
        await media.download({"url": URI}, 1000)


@pytest.mark.parametrize(
    "file",
    [
        {"prompt": "otter"},
        {"errcode": 5},
        {"errcode": "E_OTHER"},
        {"Code": 200, "JSON": ["M_LIMIT_EXCEEDED"]},
        ["M_LIMIT_EXCEEDED"],
        {"errcode": "M_UNKNOWN", "padding": "x" * 5000},
    ],
)
async def test_a_json_file_is_a_file(media, homeserver, file):
    homeserver.uploads[URI] = json.dumps(file).encode()
    assert await media.download({"url": URI}, 10_000) == homeserver.uploads[URI]


async def test_what_the_event_announced_is_a_file_whatever_it_reads_like(media, homeserver):
    data = json.dumps({"errcode": "M_LIMIT_EXCEEDED"}).encode()
    homeserver.uploads[URI] = data
    assert await media.download({"url": URI, "info": {"size": len(data)}}, 1000) == data


async def test_a_file_that_only_reads_like_a_refusal_is_not_asked_for_for_ever(media, homeserver):
    homeserver.uploads[URI] = json.dumps({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1}).encode()
    with pytest.raises(NotSent):
        await media.download({"url": URI}, 1000)
    assert homeserver.asked_of == ["x"] * REFUSED_AS_FILE


async def test_the_newest_receipt_is_sent_again_after_the_pause(way, homeserver):
    homeserver.courtesy_sins += [limited(), limited(), limited()]
    await asyncio.gather(*(way.mark_read(ROOM, f"$said-{n}") for n in range(3)))
    assert homeserver.read == ["$said-2"]


async def test_a_receipt_of_another_room_takes_no_ones_place(way, homeserver):
    homeserver.courtesy_sins += [limited(), limited()]
    await asyncio.gather(way.mark_read(ROOM, "$a"), way.mark_read("!other:example.com", "$b"))
    assert sorted(homeserver.read) == ["$a", "$b"]


async def test_typing_is_shown_after_the_pause(way, homeserver):
    homeserver.courtesy_sins += [limited(), limited()]
    await way.set_typing(ROOM, 30)
    await way.set_typing(ROOM, 0)
    assert homeserver.typing == [True, False]


async def test_typing_holds_nobody_up_for_long(maubot_test_bot, homeserver):
    hasty = Patience(courtesy_s=0.1, pauses_s=(0, 0))
    homeserver.courtesy_sins.append(limited(retry_after_ms=60_000))
    async with asyncio.timeout(30):
        await Homeserver(maubot_test_bot.client, logging.getLogger("test"), hasty).set_typing(ROOM, 30)


@pytest.mark.parametrize("what", ["join", "upload"])
async def test_the_pause_that_the_homeserver_gives_is_waited_and_logged(way, media, homeserver, caplog, what):
    caplog.set_level("INFO")
    sins = homeserver.join_sins if what == "join" else homeserver.upload_sins
    sins += [limited(retry_after_ms=120), limited(retry_after_ms=130)]
    began = time.monotonic()
    await (way.join(ROOM) if what == "join" else media.upload(ROOM, b"data", "image/png"))
    assert time.monotonic() - began >= 0.25
    assert "rate limited for 0.12 s" in caplog.text and "rate limited for 0.13 s" in caplog.text
    assert "None" not in caplog.text


def test_a_limit_without_a_time_is_logged_without_one():
    assert str(SlowDown(None)) == "rate limited"


@pytest.mark.parametrize(("retry_after_ms", "wait_s"), [(10**400, LONGEST_WAIT_MS / 1000), (-1, 0)])
async def test_a_homeservers_pause_is_bounded(way, homeserver, retry_after_ms, wait_s):
    homeserver.sins.append(limited(retry_after_ms))
    with pytest.raises(SlowDown) as error:
        await way.send(Outgoing(room_id=ROOM, txn_id="t", content={"msgtype": "m.notice", "body": "hello"}))
    assert error.value.wait_s == wait_s
