"""⭐ and 🗑️ in the gallery: they go to the room and are true there, as if somebody had pressed them."""

import asyncio
import re

import pytest
from aiohttp import web

from bot.easel.commands.find import NOTHING_FOUND
from tests.helpers.fake_homeserver import BOT

ADA, BOB = "@ada:example.com", "@bob:example.com"
KITCHEN = "!kitchen:example.com"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
async def event_id(gallery_room, homeserver) -> str:
    """A picture by Ada in the room."""
    homeserver.members[KITCHEN] = [BOT, ADA, BOB]
    await gallery_room.say("!draw otter --seed 1")
    await homeserver.marked("recipe-file")
    return f"$sent-{(await homeserver.marked('picture')).txn_id}"


async def opened(browser) -> tuple[str, str]:
    """The id of the one picture, and the token of its page."""
    (picture,) = (await browser.get()).ids()
    return picture, (await browser.get(f"picture/{picture}")).hidden("token")


def stars(homeserver) -> list:
    return [event for event in homeserver.events if event.kind == "star"]


def redacted(homeserver) -> list[str]:
    return [event.content["redacts"] for event in homeserver.events if event.type == "m.room.redaction"]


async def found(room, homeserver) -> str:
    before = len(homeserver.sentences())
    await room.say("!easel find ⭐")
    return (await homeserver.answers(before + 1))[-1].content["body"]


async def test_a_star_goes_to_the_room_and_can_be_taken_back_and_given_again(
    event_id, sign_in, gallery_room, homeserver
):
    browser = await sign_in(BOB)
    picture, token = await opened(browser)
    for number in (1, 2):
        page = await browser.post(f"star/{picture}?words=otter", {"token": token, "star": "1"})
        assert page.url.path_qs == f"/easel/picture/{picture}?words=otter"
        assert "Starred" in page.text and "disabled" not in page.text
        star = stars(homeserver)[-1]
        assert star.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": event_id, "key": "⭐"}
        assert "⭐ otter" in await found(gallery_room, homeserver)
        assert (await browser.get("?star=1")).ids() == [picture]
        # A second press, of somebody else say, changes nothing.
        await browser.post(f"star/{picture}", {"token": token, "star": "1"})
        assert len(stars(homeserver)) == number
        page = await browser.post(f"star/{picture}", {"token": token})
        assert "Starred" not in page.text
        assert redacted(homeserver)[-1] == f"$sent-{star.txn_id}"
        assert (await browser.get("?star=1")).ids() == []


async def test_a_change_that_waits_for_its_turn_in_the_room_is_shown_as_done(
    event_id, sign_in, homeserver, plugin, monkeypatch
):
    monkeypatch.setattr("bot.easel.gallery.routes.WAITED_S", 0.05)
    browser = await sign_in()
    picture, token = await opened(browser)

    async def press(address: str, **form: str) -> tuple[str, str]:
        """Press a button twice while a limit holds up the bot; return what one sees then, and when it is done."""
        homeserver.sins.append(web.json_response({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1}, status=429))
        coming = await browser.post(f"{address}/{picture}", {"token": token, **form})
        await homeserver.until(lambda: not homeserver.sins)
        await browser.post(f"{address}/{picture}", {"token": token, **form})
        while tasks := {task for task in plugin.background.tasks if f" {event_id}" in task.get_name()}:
            await asyncio.wait(tasks)
        return coming.text, (await browser.get(f"picture/{picture}")).text

    coming, there = await press("star", star="1")
    assert button(coming) == "disabled Starred" and button(there) == "Starred"
    going, gone = await press("star")
    assert (button(going), button(gone)) == ("", "Star")
    going, gone = await press("bin")
    assert picture not in going and "not here" in gone
    assert len(stars(homeserver)) == 1
    assert event_id in redacted(homeserver)


def button(page: str) -> str:
    """What the star's button says."""
    found = re.search(r"<button class=\"button\"( disabled)?[^>]*>\s*<svg.*?</svg>(Star\w*)", page, re.DOTALL)
    return " ".join(filter(None, found.groups())).strip() if found else ""


async def test_a_persons_own_star_is_theirs_to_take_back(event_id, sign_in, gallery_room, homeserver):
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": "⭐"}
    await gallery_room.put({"m.relates_to": relation}, type="m.reaction", event_id="$star")
    browser = await sign_in()
    picture, token = await opened(browser)
    page = await browser.get(f"picture/{picture}")
    assert "Starred" in page.text and "disabled" in page.text
    before = redacted(homeserver)
    await browser.post(f"star/{picture}", {"token": token})
    assert redacted(homeserver) == before
    assert (await browser.get("?star=1")).ids() == [picture]
    await gallery_room.put({}, type="m.room.redaction", redacts="$star")
    assert (await browser.get("?star=1")).ids() == []


async def test_a_star_that_was_offered_is_given_since_a_homeserver_takes_no_second(
    event_id, sign_in, homeserver, plugin
):
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": "⭐"}
    offer = {"event_id": "$offer", "sender": BOT, "content": {"m.relates_to": relation}}
    theirs = {**offer, "event_id": "$theirs", "sender": BOB}
    homeserver.reactions[event_id] = [theirs, offer]
    (row,) = await plugin.database.fetch("SELECT * FROM posted WHERE kind = 'picture'")
    await plugin.database.execute(
        "INSERT INTO posted (txn_id, job, room_id, kind, n, event_id) VALUES ('o', $1, $2, 'offer', 2, '$offer')",
        row["job"],
        KITCHEN,
    )
    browser = await sign_in()
    picture, token = await opened(browser)
    await browser.post(f"star/{picture}", {"token": token, "star": "1"})
    assert (stars(homeserver), (await browser.get("?star=1")).ids()) == ([], [picture])
    await browser.post(f"star/{picture}", {"token": token})
    assert redacted(homeserver)[-1] == "$offer"
    assert (await browser.get("?star=1")).ids() == []


async def test_a_picture_is_removed_by_its_author_after_one_more_question(
    event_id, sign_in, gallery_room, homeserver, fake_generator
):
    browser = await sign_in()
    picture, _ = await opened(browser)
    question = await browser.get(f"bin/{picture}")
    assert (question.status, event_id in redacted(homeserver)) == (200, False)
    page = await browser.post(f"bin/{picture}", {"token": question.hidden("token")})
    assert (page.url.path, page.ids()) == ("/easel/", [])
    assert event_id in redacted(homeserver)
    await homeserver.until(lambda: fake_generator.forgotten)
    assert await found(gallery_room, homeserver) == NOTHING_FOUND


async def test_nobody_else_removes_a_picture_but_admins_of_the_room(event_id, sign_in, homeserver):
    browser = await sign_in(BOB)
    picture, token = await opened(browser)
    assert f"bin/{picture}" not in (await browser.get(f"picture/{picture}")).text
    for answer in (await browser.get(f"bin/{picture}"), await browser.post(f"bin/{picture}", {"token": token})):
        assert answer.status == 404
    assert event_id not in redacted(homeserver)
    homeserver.power_levels[BOB] = 100
    assert f"bin/{picture}" in (await browser.get(f"picture/{picture}")).text
    await browser.post(f"bin/{picture}", {"token": token})
    assert event_id in redacted(homeserver)


async def test_a_removed_picture_leaves_nothing_in_the_gallerys_tables(event_id, sign_in, plugin):
    browser = await sign_in()
    picture, token = await opened(browser)
    await browser.post(f"bin/{picture}", {"token": token})
    for table in ("picture", "picture_tag", "picture_word"):
        assert await plugin.database.fetchval(f"SELECT COUNT(*) FROM {table}") == 0


class TestWithoutReactions:
    @pytest.fixture
    def maubot_plugin_config_overrides(self):
        return {"gallery_url": "http://127.0.0.1/easel/", "reactions": ["🎲"]}

    async def test_what_the_settings_leave_out_is_no_button_here_either(self, event_id, sign_in, homeserver):
        browser = await sign_in()
        (picture,) = (await browser.get()).ids()
        page = (await browser.get(f"picture/{picture}")).text
        assert not re.search(r"[./](?:star|bin)/", page)
        before = len(homeserver.events)
        assert (await browser.get(f"bin/{picture}")).status == 404
        assert len(homeserver.events) == before
