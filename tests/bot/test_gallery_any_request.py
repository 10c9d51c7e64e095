"""Whatever a browser sends, the gallery answers with a page, and never with an error of its own."""

import asyncio
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.fake_homeserver import BOT

ADA = "@ada:example.com"

# All routes, with what hypothesis or a picture's own id fills in.
ROUTES = (
    *("", "?words={}", "?theme={}&style={}", "?room={}&person={}", "?day={}", "?before={}", "?before=17643.{}"),
    *("?select={}&id={}", "?star={}&model={}", "picture/{}", "picture/{}?words={}&day={}", "compare?id={}&id={}"),
    *("bin/{}", "star/{}", "thumbnail/{}", "image/{}", "photo/{}", "download/{}", "zip?id={}", "zip?id={}&id={}"),
    *("enter?key={}", "enter", "frame?key={}", "frame?key={}&after={}", "frame/{}?key={}", "static/{}", "{}", "{}/{}"),
)
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND")


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
async def known(gallery_room, homeserver, sign_in):
    """A signed-in browser, and values that mean something: ids, a place, a day, the secret of a frame."""
    homeserver.members["!kitchen:example.com"] = [BOT, ADA]
    await gallery_room.say("!draw {otter | owl}, hat")
    await homeserver.marked("recipe-file")
    await gallery_room.say("!easel frame")
    frame = await homeserver.until(
        lambda: [event.content["body"] for event in homeserver.events if "frame?key=" in event.content.get("body", "")]
    )
    browser = await sign_in()
    (sheet,) = (await browser.get()).ids()
    return browser, [
        sheet,
        "otter",
        "2026-11-28",
        f"1764369000000.{sheet}",
        frame[0].partition("key=")[2],
        ADA,
        "gallery.css",
    ]


async def test_no_request_makes_an_error(known, plugin, caplog):
    browser, meaningful = known
    loop = asyncio.get_running_loop()
    values = (
        st.sampled_from(meaningful)
        | st.binary(max_size=40).map(quote_from_bytes)
        | st.sampled_from(
            [
                "%00",
                "%ED%A0%80",
                "..%2F..%2F",
                "%F0%9F%A6%A6" * 80,
                "9" * 30,
                "-1",
                "%27%3B%20DROP%20TABLE%20picture",
                "%25%28%7B",
            ]
        )
    )
    statuses = set()

    async def ask(method: str, address: str, form: dict[str, str], headers: dict[str, str]) -> None:
        for limit in plugin.gallery._guard._limits.values():
            limit._room = 100
        answer = await browser.ask(method, address, headers=headers, **({"data": form} if method == "POST" else {}))
        statuses.add(answer.status)
        assert answer.status < 500, (method, address)
        assert b"Traceback" not in answer.body

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.sampled_from(METHODS),
        st.sampled_from(ROUTES),
        st.lists(values, min_size=3, max_size=3),
        st.dictionaries(st.sampled_from(["token", "key", "star"]), st.text(max_size=20), max_size=3),
        st.sampled_from([{}, {"If-None-Match": '"x'}, {"Range": "bytes=5-"}, {"Cookie": "easel_gallery=\xe9"}]),
    )
    def all_of_it(method, route, filled, form, headers):
        asyncio.run_coroutine_threadsafe(ask(method, route.format(*filled), form, headers), loop).result(30)

    await asyncio.to_thread(all_of_it)
    assert {200, 404} <= statuses
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
