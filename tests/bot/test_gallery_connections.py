"""What browsers and web servers do to the gallery's connections."""

import asyncio

import pytest

from bot.easel.gallery.guard import COOKIE


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
