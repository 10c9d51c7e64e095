"""What browsers and web servers do to the gallery's connections."""

import asyncio
from contextlib import suppress

import pytest

from bot.easel.gallery.guard import COOKIE
from tests.helpers.gallery_browser import PNG

TO_THE_FORM = "POST /easel/enter HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
async def signed_in(gallery_room, homeserver, sign_in) -> tuple[str, str]:
    """The id of a picture, and the cookie of a browser that is signed in."""
    await gallery_room.say("!draw otter")
    await homeserver.marked("recipe-file")
    browser = await sign_in()
    (picture,) = (await browser.get()).ids()
    return picture, next(cookie.value for cookie in browser.session.cookie_jar if cookie.key == COOKIE)


async def test_a_head_has_no_body_that_the_next_answer_would_begin_with(signed_in, gallery_port):
    picture, cookie = signed_in
    for path in ("", f"picture/{picture}", f"image/{picture}", f"download/{picture}", f"zip?id={picture}"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gallery_port)
        head = f"HEAD /easel/{path} HTTP/1.1\r\nHost: localhost\r\nCookie: {COOKIE}={cookie}\r\n\r\n"
        next_one = "GET /easel/static/gallery.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(f"{head}{next_one}".encode())
        answers = await reader.read()
        writer.close()
        first, _, second = answers.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200 OK") and second.startswith(b"HTTP/1.1 200 OK"), path


@pytest.mark.parametrize(
    "request_text",
    [
        f"{TO_THE_FORM}Content-Length: 100\r\n\r\nkey=",
        f"{TO_THE_FORM}Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nkey=",
    ],
    ids=["cut off", "not packed as it says"],
)
async def test_a_form_that_does_not_come_is_no_bug(gallery_port, plugin, caplog, request_text):
    answered = asyncio.Event()
    handled = plugin.gallery._guard._handled

    async def noted(request, handler):
        try:
            return await handled(request, handler)
        finally:
            answered.set()

    plugin.gallery._guard._handled = noted
    _, writer = await asyncio.open_connection("127.0.0.1", gallery_port)
    writer.write(request_text.encode())
    await writer.drain()
    writer.close()
    async with asyncio.timeout(10):
        await answered.wait()
    assert not [record for record in caplog.records if "unexpected" in record.getMessage()]


async def test_a_cookie_of_a_gallery_above_keeps_nobody_out(signed_in, browsers):
    _, cookie = signed_in
    # Browsers send the one with the longest path first.
    answer = await browsers().get(headers={"Cookie": f"a=b; {COOKIE}={cookie}; {COOKIE}=of-another-gallery; c=d"})
    assert answer.status == 200


async def test_who_reads_no_image_to_its_end_keeps_a_few_in_memory(signed_in, gallery_port, homeserver, monkeypatch):
    monkeypatch.setattr("bot.easel.gallery.deliveries.MAX_ON_THEIR_WAY", 2)
    picture, cookie = signed_in
    # More than what stands between two programs of a machine.
    homeserver.uploads = dict.fromkeys(homeserver.uploads, PNG + bytes(20_000_000))
    readers = []
    for path in ("image", "download", "image", "zip"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gallery_port)
        address = f"/easel/zip?id={picture}" if path == "zip" else f"/easel/{path}/{picture}"
        writer.write(
            f"GET {address} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {COOKIE}={cookie}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        readers.append((reader, writer))
    came = [await gather(reader) for reader, _ in readers]
    assert [length > 20_000_000 for length in came] == [False, False, True, True]
    for _, writer in readers:
        writer.close()


async def gather(reader: asyncio.StreamReader) -> int:
    """How much comes until the end."""
    length = 0
    with suppress(ConnectionError):
        while part := await reader.read(2**20):
            length += len(part)
    return length
