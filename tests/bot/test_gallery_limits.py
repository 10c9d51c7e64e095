"""The gallery's limits: how often, how much, how fast, and how fresh an answer about a room is."""

import asyncio
import logging
from io import BytesIO
from zipfile import ZipFile

import pytest
from aiohttp import web

from bot.easel.gallery import pictures as files
from bot.easel.gallery.guard import BURST, MAX_FORM_BYTES, MAX_KNOWN, STRANGERS_BURST
from bot.easel.gallery.pictures import Cache, Image, PictureFiles
from bot.easel.gallery.recipes import MAX_PROMPT_CHARS, plain_prompt
from bot.easel.gallery.searching import MAX_FIELD_CHARS, MAX_WORDS, read_search, wanted_by
from bot.easel.gallery.sight import Sight
from bot.easel.gallery.views import Search
from bot.easel.gallery.zipped import MAX_ZIPPED, zipped
from bot.easel.sending.download_pace import QUIET_S, SPACED_S, DownloadPace
from bot.easel.sending.send_queue import NotSent
from tests.helpers.gallery_browser import PNG, WEBP

ADA, BOB = "@ada:example.com", "@bob:example.com"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
async def picture(gallery_room, homeserver, sign_in) -> tuple:
    """A signed-in browser and the id of a picture."""
    await gallery_room.say("!draw otter")
    await homeserver.marked("recipe-file")
    browser = await sign_in()
    return browser, (await browser.get()).ids()[0]


async def test_who_asks_too_often_waits_and_nobody_else(plugin, picture, sign_in, browsers):
    browser, stranger = picture[0], browsers()
    guard = plugin.gallery._guard
    # From its first request on, an address has a limit.
    await stranger.get()
    for limit in guard._limits.values():
        limit._room = 2
        limit._per_second = 1e-9
    assert [(await browser.get()).status for _ in range(3)] == [200, 200, 429]
    # A made-up cookie makes nobody a guest of the house.
    answers = [await stranger.get("", headers={"Cookie": f"easel_gallery=made-up-{n}"}) for n in range(3)]
    assert [answer.status for answer in answers] == [403, 403, 429]
    assert STRANGERS_BURST < BURST
    assert (await stranger.get("frame?key=made-up")).status == 429
    # Tablets and new links do not wait for strangers, who may have the same address behind a web server.
    sessions = plugin.gallery._sessions
    frame = await sessions.new_frame(ADA, "!kitchen:example.com")
    assert (await stranger.get(f"frame?key={frame}")).status == 200
    assert (await stranger.open(f"/easel/enter?key={await sessions.new_link(BOB)}")).status == 200


async def test_only_so_many_are_counted(plugin, browsers):
    guard = plugin.gallery._guard
    for n in range(MAX_KNOWN + 5):
        guard._count(None, f"127.0.0.{n}")
    assert len(guard._limits) == MAX_KNOWN


async def test_a_form_has_a_few_fields(picture, homeserver):
    browser, _ = picture
    assert (await browser.post("enter", {"key": "x" * MAX_FORM_BYTES})).status == 404
    assert (await browser.post("enter", {"key": "x"})).status == 403

    async def in_parts():
        for part in (b"key=", b"x"):
            yield part
            await asyncio.sleep(0.01)

    assert (await browser.ask("POST", "enter", data=in_parts())).status == 403


async def test_only_so_many_pictures_are_packed_at_once(picture):
    browser, one = picture
    many = "&".join(f"id={n}" for n in range(MAX_ZIPPED))
    assert (await browser.get(f"zip?id={one}&{many}")).status == 400


async def test_a_zip_file_is_sent_while_it_is_made():
    asked = []

    async def some():
        for n in range(3):
            asked.append(n)
            yield f"{n}.png", b"x" * 1000 * n

    parts = zipped(some())
    data = [await anext(parts)]
    assert asked == [0]
    data += [part async for part in parts]
    assert ZipFile(BytesIO(b"".join(data))).testzip() is None
    assert len(data) == 4 and max(map(len, data)) < 2500


def test_an_address_has_limits():
    search = read_search({"words": "x" * 1000, "theme": "a\x00b"})
    assert (len(search.words), search.theme) == (MAX_FIELD_CHARS, "a\ufffdb")
    assert wanted_by(Search(words="a " * MAX_WORDS), ["!r"], None).words == ("a",)
    assert wanted_by(Search(words=" ".join(map(str, range(MAX_WORDS + 1)))), ["!r"], None) is None


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("otter, (cowboy hat)++, fog--, (x)1.3", "otter, cowboy hat, fog, x"),
        ("16-bit, co-op, c++", "16-bit, co-op, c"),
        ("x" * 1000, f"{'x' * MAX_PROMPT_CHARS}…"),
    ],
)
def test_a_prompt_is_read_without_its_weights(prompt, plain):
    assert plain_prompt(prompt) == plain


# ---- files


def test_the_cache_keeps_what_was_asked_for_last_within_its_bytes():
    cache = Cache(10)
    for key in "abc":
        cache.put(key, Image(b"1234", ""))
    assert [cache.get(key) is not None for key in "abc"] == [False, True, True]
    cache.get("b")
    cache.put("b", Image(b"123", ""))
    cache.put("d", Image(b"1234567", ""))
    assert [cache.get(key) is not None for key in "bcd"] == [True, False, True]
    cache.put("e", Image(b"x" * 11, ""))
    assert [cache.get(key) for key in "bcde"] == [None] * 4


async def test_a_thumbnail_is_fetched_once(picture, homeserver):
    browser, one = picture
    assert (await browser.get(f"thumbnail/{one}")).body == WEBP
    homeserver.uploads.clear()
    assert (await browser.get(f"thumbnail/{one}")).body == WEBP


async def test_only_images_are_shown(picture, homeserver):
    browser, one = picture
    for data in (b"<html><script>", b"<svg xmlns='http://www.w3.org/2000/svg'>", b"GIF89a", b"", b"RIFF\0\0\0\0AVI "):
        homeserver.uploads = dict.fromkeys(homeserver.uploads, data)
        assert (await browser.get(f"image/{one}")).status == (await browser.get(f"thumbnail/{one}")).status == 404
        assert (await browser.get(f"download/{one}")).status == 404


async def test_an_image_that_is_too_large_or_gone_is_not_there(picture, homeserver, monkeypatch):
    browser, one = picture
    homeserver.download_sins.append(web.json_response({"errcode": "M_NOT_FOUND"}, status=404))
    assert (await browser.get(f"image/{one}")).status == 404
    monkeypatch.setattr(files, "MAX_IMAGE_BYTES", len(PNG) - 1)
    assert (await browser.get(f"image/{one}")).status == 404


async def test_a_homeserver_without_an_answer_is_said_after_a_while(picture, homeserver, monkeypatch):
    browser, one = picture
    monkeypatch.setattr("bot.easel.gallery.sight.ASKED_WITHIN_S", 0.1)
    homeserver.in_silence.add("!kitchen:example.com")
    for path in ("", f"picture/{one}", f"thumbnail/{one}"):
        assert (await browser.get(path)).status == 503
    await homeserver.end_silence("!kitchen:example.com")
    assert (await browser.get(f"picture/{one}")).status == 200


async def test_what_dendrite_refuses_in_a_files_place_is_asked_for_again(picture, homeserver):
    browser, one = picture
    error = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10}
    homeserver.download_sins += [web.json_response({"Code": 429, "JSON": error, "Headers": None})]
    assert (await browser.get(f"image/{one}")).body == PNG


async def without_waiting(turn) -> None:
    """Take many turns in one turn of the event loop."""
    others = []
    asyncio.get_running_loop().call_soon(others.append, "another")
    for _ in range(100):
        await turn()
    assert not others


async def test_downloads_are_spaced_after_a_refusal_until_it_is_long_ago():
    now, loop = 0.0, asyncio.get_running_loop()
    pace = DownloadPace(lambda: now + loop.time())
    await without_waiting(pace.turn)
    pace.refused(0.1)
    began = loop.time()
    await asyncio.gather(*(pace.turn() for _ in range(3)))
    assert loop.time() - began >= 0.1 + 2 * SPACED_S - 0.01
    now = QUIET_S + 1
    await without_waiting(pace.turn)


class SlowRooms:
    """A homeserver that answers about members when it is told to, with who is there when it is asked."""

    def __init__(self) -> None:
        self.members_now, self.asked = {ADA: "Ada"}, 0
        self.was_asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def members(self, room_id: str) -> dict[str, str]:
        self.asked += 1
        self.was_asked.set()
        members = dict(self.members_now)
        if room_id == "!gone":
            raise NotSent("the bot is not there")
        await self.go_on.wait()
        return members


class Everybody:
    def refusal(self, user: str, room_id: str) -> None:
        return None


async def test_an_answer_about_a_room_is_never_older_than_the_question():
    rooms = SlowRooms()
    sight = Sight(None, rooms, Everybody())
    first = asyncio.create_task(sight.members(ADA, "!r"))
    await rooms.was_asked.wait()
    # Ada leaves while an answer from before is on its way.
    rooms.members_now = {}
    others = [asyncio.create_task(sight.members(ADA, "!r")) for _ in range(50)]
    await asyncio.sleep(0)
    rooms.go_on.set()
    assert await first == {ADA: "Ada"}
    assert await asyncio.gather(*others) == [None] * 50
    # Fifty that waited share one answer, and nothing is kept after it.
    assert rooms.asked == 2
    rooms.members_now = {ADA: "Ada"}
    assert await sight.members(ADA, "!r") == {ADA: "Ada"}
    assert await sight.members(ADA, "!gone") is None
    assert rooms.asked == 4


async def test_a_few_images_are_fetched_at_once(monkeypatch):
    now = most = 0

    class Slow:
        async def download(self, content, max_bytes):
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            await asyncio.sleep(0)
            now -= 1
            return PNG

    fetching = PictureFiles(None, None, None, Slow(), logging.getLogger("test"))
    await asyncio.gather(*(fetching._fetched({}, 1) for _ in range(20)))
    assert most == files.MAX_FETCHED_AT_ONCE
