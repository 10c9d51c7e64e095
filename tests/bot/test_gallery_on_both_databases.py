"""The gallery from the link to the bin, on SQLite and PostgreSQL alike."""

import pytest

from tests.helpers.fake_homeserver import BOT

ADA = "@ada:example.com"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
def maubot_plugin_db(database):
    return database


async def test_one_looks_searches_stars_frames_and_removes(gallery_room, homeserver, sign_in, browsers):
    homeserver.members["!kitchen:example.com"] = [BOT, ADA]
    for number, text in enumerate(
        ("!draw otter, hat", "!draw {owl | lynx} | style: ink", "!draw otter\ufffd"), start=1
    ):
        await gallery_room.say(text)
        await homeserver.until(
            lambda number=number: [event.kind for event in homeserver.events].count("recipe-file") == number
        )
    browser = await sign_in()
    third, sheet, first = (await browser.get()).ids()
    assert (await browser.get("?words=otter+hat")).ids() == [first]
    assert (await browser.get(f"?words=lynx&style=ink&person={ADA}&model=ssd-1b&theme=otter")).ids() == [sheet]
    assert (await browser.get("?words=%00%ED%A0%80&room=%00")).ids() == []
    page = await browser.get(f"picture/{sheet}")
    assert third in page.text and first in page.text
    await browser.post(f"star/{first}", {"token": page.hidden("token"), "star": "1"})
    assert (await browser.get("?star=1")).ids() == [first]
    await gallery_room.say("!easel frame", room_id="!ada:example.com")
    await gallery_room.say("!easel frame")
    links = await homeserver.until(
        lambda: [event.content["body"] for event in homeserver.events if "frame?key=" in event.content.get("body", "")]
    )
    assert (await browsers().get(links[-1].splitlines()[-1].partition("/easel/")[2])).status == 200
    await browser.post(f"bin/{first}", {"token": page.hidden("token")})
    assert (await browser.get()).ids() == [third, sheet]
    await gallery_room.say("!easel gallery off")
    await homeserver.until(
        lambda: [e for e in homeserver.sentences() if e.content["body"].startswith("Done. Your gallery is closed")]
    )
    assert (await browser.get()).status == 403
