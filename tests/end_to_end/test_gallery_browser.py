"""The gallery in a browser, over a real homeserver and maubot: Pia and Quin share a room, Rex is not in it."""

import zipfile
from dataclasses import dataclass, replace
from io import BytesIO

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import expect

from bot.easel.commands.find import NOTHING_FOUND
from tests.helpers.browser import DESK, PHONE, browser, flaws, new_context, note_errors, swipe

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["browser"]

SMALL = "--steps 2"
NOT_HERE = "That is not here"


@dataclass(frozen=True)
class Album:
    """An encrypted room of Pia and Quin, a direct chat for each of three people, and what was drawn in the room."""

    pia: object
    quin: object
    chats: dict[str, object]
    first: object
    sheet: object

    async def link(self, name: str) -> str:
        """Ask for a link in a direct chat."""
        return (await self.chats[name].answer("!easel gallery")).splitlines()[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def album(home, start_talk):
    people = {name: await home.person(name) for name in ("pia", "quin", "rex")}
    talk = await start_talk(home, people["pia"], encrypted=True, guest=people["quin"])
    chats = {name: await start_talk(home, person, encrypted=False) for name, person in people.items()}
    first = await talk.draw(f"!draw otter, cowboy hat | style: watercolor --seed 7 {SMALL}")
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": first.picture.event_id}}}
    await talk.draw("!draw +scarf", **relation)
    sheet = await talk.reply(await talk.say(f"!draw owl -n 2 {SMALL}"), "sheet")
    # Attachments of encrypted rooms and of others are fetched in different ways.
    await chats["pia"].draw(f"!draw fox {SMALL}")
    return Album(talk, replace(talk, person=people["quin"]), chats, first, sheet)


@pytest_asyncio.fixture(loop_scope="session")
async def page_of(album, browser):
    """Open the gallery as one of the people, on a phone of their own."""
    contexts = []

    async def open_gallery(name: str):
        context = await new_context(browser)
        contexts.append(context)
        page = await context.new_page()
        await page.goto(await album.link(name))
        await page.get_by_role("button", name="Open the gallery").click()
        return page

    yield open_gallery
    for context in contexts:
        await context.close()


def images(page):
    return page.locator("#days img")


async def test_a_link_opens_the_gallery_once(album, browser):
    # Asked in a room of several people, the link comes into the chat of that person alone.
    asked = await album.pia.say("!easel gallery")
    assert (await album.pia.reply(asked, "answer")).body == "The link is in our own chat."
    sent = await album.pia.person.hear(lambda event: event.mark.get("kind") == "link")
    assert sent.room_id == album.chats["pia"].room_id
    link = sent.body.splitlines()[-1]

    phone = await new_context(browser)
    page = await phone.new_page()
    errors = note_errors(page)
    for _ in range(2):
        # To look at it burns nothing.
        await page.goto(link)
    assert await flaws(page) == []
    await page.get_by_role("button", name="Open the gallery").click()
    await expect(images(page)).to_have_count(4)
    assert errors == []

    other = await new_context(browser)
    page = await other.new_page()
    await page.goto(link)
    await expect(page.locator("h1")).to_have_text("That link was used already, or is old")
    await page.goto(link.partition("enter")[0])
    await expect(page.locator("h1")).to_have_text("Hello! Say !easel gallery to Easel")
    assert await flaws(page) == []
    for context in (phone, other):
        await context.close()


async def test_everybody_can_use_every_page(album, page_of):
    page = await page_of("pia")
    errors = note_errors(page)
    gallery = page.url
    await images(page).first.click()
    picture = page.url
    selecting, binning = gallery + "?select=1", picture.replace("/picture/", "/bin/")
    for size, addresses in ((PHONE, (gallery, picture, selecting, binning)), (DESK, (gallery, picture))):
        await page.set_viewport_size(size)
        for address in addresses:
            await page.goto(address)
            assert await flaws(page) == [], address
            await page.wait_for_function("() => [...document.images].every((one) => one.complete)")
            assert await page.evaluate("[...document.images].every((one) => one.naturalWidth)"), address
    assert errors == []


async def test_one_looks_searches_swipes_and_compares(album, page_of):
    page = await page_of("pia")
    await page.get_by_label("Search the pictures").fill("scarf otter")
    await page.get_by_label("Search the pictures").press("Enter")
    await expect(images(page)).to_have_count(1)

    # What changed from the picture it came from, which has it as its child.
    await images(page).click()
    await expect(page.locator("table")).to_contain_text("otter, cowboy hat, scarf")
    await page.locator(".origin a.tile").click()
    await expect(page.locator("h1")).to_have_text("otter, cowboy hat, watercolor")
    await expect(page.locator(".tiles img")).to_have_attribute("alt", "otter, cowboy hat, scarf, watercolor")
    await expect(page.locator("code").first).to_have_text(
        f"!draw otter, cowboy hat | style: watercolor --seed 7 {SMALL}"
    )

    await page.goto(page.url.partition("picture/")[0])
    await page.locator("summary").click()
    await page.get_by_label("Theme").select_option("otter")
    await page.get_by_role("button", name="Show").click()
    await images(page).first.click()
    await expect(page.locator("h1")).to_contain_text("scarf")
    await expect(page.get_by_role("button", name="Copy the command")).to_be_visible()
    await swipe(page, -120)
    await expect(page.locator("h1")).to_have_text("otter, cowboy hat, watercolor")
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator("h1")).to_contain_text("scarf")
    await page.get_by_role("link", name="Compare with the one before").click()
    await expect(page.get_by_role("slider")).to_be_visible()
    await expect(page.locator("table")).to_contain_text("otter, cowboy hat, scarf")
    assert await flaws(page) == []


async def test_a_star_is_true_in_the_room_and_in_its_frame(album, page_of):
    page = await page_of("pia")
    await page.get_by_role("link", name="otter", exact=True).click()
    await images(page).last.click()
    await page.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("button", name="Starred")).to_be_visible()
    found = await album.pia.answer("!easel find ⭐")
    assert "cowboy hat" in found and "scarf" not in found

    asked = await album.pia.say("!easel frame")
    await album.pia.reply(asked, "answer")
    frames = [event for event in album.pia.person.heard if "/frame?key=" in event.body]
    frame = await page.context.new_page()
    await frame.goto(frames[-1].body.splitlines()[-1])
    await expect(frame.locator("img")).to_have_attribute("alt", "otter, cowboy hat, watercolor")
    assert await flaws(frame) == []
    assert await album.pia.answer("!easel frame off") == "Ended. The tablet shows nothing any more."
    await frame.reload()
    await expect(frame.locator("h1")).to_have_text(NOT_HERE)

    await page.get_by_role("button", name="Starred").click()
    await expect(page.get_by_role("button", name="Star", exact=True)).to_be_visible()
    assert await album.pia.answer("!easel find ⭐") == NOTHING_FOUND


async def test_pictures_are_taken_home(album, page_of, tmp_path):
    page = await page_of("pia")
    gallery = page.url
    await page.get_by_label("Search the pictures").fill("watercolor")
    await page.get_by_label("Search the pictures").press("Enter")
    await images(page).last.click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    assert (await (await download.value).path()).read_bytes() == album.first.png

    await page.goto(gallery + "?select=1&words=watercolor")
    for n in range(2):
        await page.locator("label.tile").nth(n).click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(await (await download.value).path()) as packed:
        assert [name.rpartition(".")[2] for name in packed.namelist()] == ["png", "yml"] * 2
        assert album.first.png in [packed.read(name) for name in packed.namelist()]


async def test_only_its_author_removes_a_picture_and_it_goes_from_the_room(album, page_of):
    page, quins = await page_of("pia"), await page_of("quin")
    for one in (page, quins):
        await one.get_by_role("link", name="owl", exact=True).click()
        await images(one).first.click()
        await expect(one.locator("h1")).to_contain_text("owl")
    await expect(quins.get_by_role("link", name="Remove")).to_have_count(0)
    await quins.goto(quins.url.replace("/picture/", "/bin/"))
    await expect(quins.locator("h1")).to_have_text(NOT_HERE)

    await page.get_by_role("link", name="Remove").click()
    await page.get_by_role("link", name="Keep it").click()
    await page.get_by_role("link", name="Remove").click()
    await page.get_by_role("button", name="Remove it").click()
    await album.pia.gone(album.sheet.event_id)
    await expect(images(page)).to_have_count(3)


async def test_walls(album, page_of):
    """Who is not in the room, or not any more, gets the answer that invented pictures get; a command ends sessions."""
    page, quins, rexs = [await page_of(name) for name in ("pia", "quin", "rex")]
    await expect(images(rexs)).to_have_count(0)
    await images(page).nth(1).click()
    own = page.url.rpartition("/")[2].partition("?")[0]

    async def answers(one, picture_id):
        for kind in ("picture", "thumbnail", "image", "photo", "download", "bin"):
            answer = await one.request.get(f"{one.url.partition('picture/')[0]}{kind}/{picture_id}")
            yield kind, answer.status, await answer.text()

    invented = [answer async for answer in answers(rexs, "A" * len(own))]
    assert {status for _, status, _ in invented} == {404}
    assert [answer async for answer in answers(rexs, own)] == invented

    await quins.goto(f"{quins.url}picture/{own}")
    await expect(quins.locator("#image")).to_be_visible()
    await album.quin.person.leave(album.quin.room_id)
    await quins.reload()
    await expect(quins.locator("h1")).to_have_text(NOT_HERE)
    assert [answer async for answer in answers(quins, own)] == invented

    assert "closed" in await album.chats["pia"].answer("!easel gallery off")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Hello! Say !easel gallery to Easel")
    # No link leads in a circle.
    await expect(page.get_by_role("link")).to_have_count(0)


async def test_a_photo_is_seen_by_who_is_in_the_room_and_a_ban_ends_sight_at_once(album, page_of, home, start_talk):
    pia, sam = album.pia, await home.person("sam")
    album.chats["sam"] = await start_talk(home, sam, encrypted=False)
    await pia.person.invite(pia.room_id, sam.account.user_id)
    await sam.join(pia.room_id)
    await pia.person.wait_for_member(pia.room_id, sam.account.user_id)
    beach = BytesIO()
    Image.new("RGB", (80, 60), (230, 200, 140)).save(beach, "JPEG")
    photo = await pia.person.send_file(
        pia.room_id, beach.getvalue(), filename="beach.jpg", mimetype="image/jpeg", msgtype="m.image"
    )
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": photo}}}
    await pia.draw(f"!draw lynx --seed 7 --strength 0.5 {SMALL}", **relation)

    page = await page_of("sam")
    await images(page).first.click()
    await expect(page.locator(".about")).to_contain_text("Reply to the photo with:")
    await expect(page.locator("code")).to_have_text(f"!draw lynx --seed 7 {SMALL} --strength 0.5")
    behind = page.locator("img.photo")
    await behind.scroll_into_view_if_needed()
    await page.wait_for_function("() => document.querySelector('img.photo').naturalWidth === 80")
    assert await flaws(page) == []

    addresses = [await one.evaluate("(image) => image.src") for one in (behind, page.locator("#image"))]
    assert [(await page.request.get(address)).status for address in addresses] == [200, 200]
    await pia.person.ban(pia.room_id, sam.account.user_id)
    assert [(await page.request.get(address)).status for address in addresses] == [404, 404]
    await page.reload()
    await expect(page.locator("h1")).to_have_text(NOT_HERE)
