"""Every page of the gallery, in a browser, with an invented family's pictures."""

import pytest
from playwright.async_api import expect
from yarl import URL

from tests.helpers import gallery_pages
from tests.helpers.browser import DESK, flaws, new_context, note_errors
from tests.helpers.gallery_pages import HOSTILE

# Of the first screens; more pictures may come at any time.
FIRST_PLACES = "[...document.images].slice(0, 20).map((image) => JSON.stringify(image.getBoundingClientRect()))"

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = {
    "the newest pictures": "",
    "a search": "?words=otter&person=Ada&star=1",
    "a search without a result": "?words=zebra",
    "selecting": "?select=1&id=p3",
    "a picture": "picture/p1",
    "a sheet": "picture/p5",
    "a hostile prompt": "picture/p7?words=longword",
    "two pictures": "compare?id=p0&id=p7",
    "the bin": "bin/p1",
    "the page behind a link": "enter?key=secret",
    "a frame": "frame?key=secret",
    "a message": "message",
}


# Axe takes a second a page, and these have all that wide screens and dark colours change.
ON_A_DESK = ("the newest pictures", "selecting", "a picture", "two pictures")


async def faultless(page, address: str) -> None:
    """Open a page, with what it folds: axe finds nothing, nothing is small or wide, and no error is logged."""
    errors = note_errors(page)
    await page.goto(address)
    if await page.locator("summary").count():
        await page.locator("summary").first.click()
    assert await flaws(page) == []
    # The invented message comes with the status that it has in the gallery.
    assert [error for error in errors if "404" not in error] == []


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
async def test_everybody_can_use_the_page_on_new_context(served, phone, address):
    await faultless(await phone.new_page(), served.url + address)


@pytest.mark.parametrize("name", ON_A_DESK)
async def test_everybody_can_use_the_page_on_a_desk_at_night(served, browser, name):
    desk = await new_context(browser, viewport=DESK, is_mobile=False, has_touch=False, color_scheme="dark")
    await faultless(await desk.new_page(), served.url + PAGES[name])
    await desk.close()


async def test_nothing_moves_when_images_come(served, phone):
    async def places(page):
        await page.goto(served.url)
        return await page.evaluate(FIRST_PLACES)

    page = await phone.new_page()
    with_images = await places(page)
    await page.route("**/thumbnail/*", lambda route: route.abort())
    assert await places(page) == with_images


async def test_what_people_typed_is_never_html(served, phone):
    page = await phone.new_page()
    for address in ("picture/p7", "?words=" + HOSTILE[:30].replace("&", "%26"), "compare?id=p7&id=p7", "bin/p7"):
        await page.goto(served.url + address)
        assert await page.locator("script:not([src])").count() == 0
    await page.goto(f"{served.url}picture/p7")
    await expect(page.locator("h1")).to_have_text(HOSTILE)


async def test_everything_is_looked_at_and_found_without_scripts(served, browser):
    context = await new_context(browser, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(served.url)
    await page.get_by_role("link", name="Older pictures").click()
    await page.get_by_role("link", name="Older pictures").click()
    await expect(page.get_by_role("heading", name="Wednesday, 25 November")).to_be_visible()

    await page.get_by_label("Search the pictures").fill("otter")
    await page.get_by_label("Search the pictures").press("Enter")
    await expect(page.locator("#days img")).to_have_count(10)
    await page.locator("summary").click()
    await page.get_by_label("Person").select_option("Ada")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#days img")).to_have_count(5)

    # The search leads through its own pictures only, and back to itself.
    await page.locator("#days a img").first.click()
    await page.get_by_role("link", name="Older picture").click()
    await expect(page.locator("h1")).to_contain_text("otter")
    await page.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("button", name="Starred")).to_be_visible()
    await page.get_by_role("link", name="All pictures").click()
    await expect(page.get_by_label("Search the pictures")).to_have_value("otter")
    await page.get_by_role("link", name="Without otter").click()
    await page.get_by_role("link", name="Stars only").click()
    await expect(page.locator("#days img")).to_have_count(1)

    await page.goto(f"{served.url}?select=1")
    await page.locator("label.tile input").nth(0).check()
    await page.locator("label.tile input").nth(3).check()
    await page.get_by_role("button", name="Compare").click()
    await expect(page.locator(".pair img")).to_have_count(2)
    await expect(page.locator("table")).to_contain_text("Seed")

    # What is ticked stays ticked on the way to older pictures of the same search.
    await page.goto(f"{served.url}?select=1&words=a")
    for n in (0, 3):
        await page.locator("#days input").nth(n).check()
    for _ in range(2):
        await page.get_by_role("button", name="Older pictures").click()
        await expect(page.get_by_label("Search the pictures")).to_have_value("a")
    await page.locator("#days input").nth(1).check()
    async with page.expect_request("**/zip?*") as request:
        await page.get_by_role("button", name="Download").click()
    ids = URL((await request.value).url).query.getall("id")
    assert ids[:2] == ["p0", "p3"] and len(ids) == 3

    await page.goto(f"{served.url}frame?key=secret")
    first = await page.locator("img").get_attribute("src")
    await expect(page.locator("img")).not_to_have_attribute("src", first)
    await context.close()


SMALL_PHONE = {"width": 360, "height": 740}

# Every line of a page fits.
TABLET = {"width": 960, "height": 1280}

# In the order that one reads them in, from the right.
HEBREW = "חתול עם כובע 4k"

# From the left edge of each word that is shown to the next one's.
WORDS_FROM_THE_LEFT = """(one) => {
    const words = [], texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
        for (const { 0: word, index } of text.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            words.push([range.getBoundingClientRect().left, word]);
        }
    }
    return words.sort(([a], [b]) => a - b).map(([, word]) => word).join(' ');
}"""


async def test_hebrew_is_read_from_the_right(served, browser, monkeypatch):
    monkeypatch.setattr(gallery_pages, "prompt", lambda n: HEBREW)
    monkeypatch.setattr(gallery_pages, "PEOPLE", ("אבא",) * 4)
    monkeypatch.setattr(gallery_pages, "PLACES", (HEBREW, "snow") * 3)
    tablet = await new_context(browser, viewport=TABLET)
    page = await tablet.new_page()
    from_the_right = " ".join(reversed(HEBREW.split()))

    async def read(place: str) -> str:
        return await page.locator(place).evaluate(WORDS_FROM_THE_LEFT)

    await page.goto(f"{served.url}picture/p0")
    assert await read("h1") == await read("dd:has-text('4k')") == from_the_right
    assert await read(".about > p.quiet") == "אבא · 28 November 2026, 19:04 · Family"
    assert from_the_right.removeprefix("4k ") in await read("code")
    await page.goto(f"{served.url}compare?id=p0&id=p1")
    assert await read(".captions p:first-child bdi") == await read("td:has-text('4k')") == from_the_right
    await tablet.close()


BROKEN_WORDS = """() => {
    const broken = [];
    for (const one of document.querySelectorAll("h1, h2, .button, dt, dd, thead th, .panel label")) {
        const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
        for (let text; (text = texts.nextNode());) {
            for (const { 0: word, index } of text.data.matchAll(/\\S+/g)) {
                const range = document.createRange();
                range.setStart(text, index);
                range.setEnd(text, index + word.length);
                if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) broken.push(word);
            }
        }
    }
    return broken;
}"""


@pytest.mark.parametrize("name", ["a picture", "two pictures", "the bin", "the newest pictures"])
async def test_text_may_be_twice_as_large(served, browser, name):
    phone = await new_context(browser, viewport=SMALL_PHONE, bypass_csp=True)
    page = await phone.new_page()
    await page.goto(served.url + PAGES[name].replace("p7", "p12"))
    await page.add_style_tag(content="html { font-size: 200% }")
    assert await page.evaluate(BROKEN_WORDS) == []
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    if name == "the newest pictures":
        await page.locator("summary").click()
        await page.get_by_role("button", name="Show").click()
        await page.wait_for_url("**/?words=*")
    await phone.close()
