"""What scripts add to the gallery: scrolling, keys, swipes, the slider, the slide show."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.helpers.browser import note_errors, swipe

pytestmark = pytest.mark.asyncio(loop_scope="session")


SCROLLED = """(number) => {
    scrollTo(0, document.body.scrollHeight);
    return document.querySelectorAll('#days img').length >= number;
}"""


async def scroll_to_the_end(page, number: int) -> None:
    """Scroll until that many pictures are there."""
    await page.wait_for_function(SCROLLED, arg=number)


async def test_older_pictures_come_while_one_scrolls_and_the_place_is_kept(served, phone):
    page = await phone.new_page()
    errors = note_errors(page)
    await page.goto(served.url)
    await scroll_to_the_end(page, 96)
    # Each picture once, and one heading for a day that goes over two pages.
    sources = await page.eval_on_selector_all("#days img", "(images) => images.map((image) => image.src)")
    assert len(set(sources)) == 96
    assert await page.locator("#days h2").all_inner_texts() == ["Today", "Yesterday", "Wednesday, 25 November"]
    await expect(page.get_by_role("link", name="Older pictures")).to_have_count(0)

    await page.locator("#p80").scroll_into_view_if_needed()
    place = await page.evaluate("scrollY")
    await page.locator("#p80 a").click()
    await expect(page.get_by_role("button", name="Copy the command")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#image")).to_have_attribute("src", "../image/p81")
    # Pictures that one walked through are not in the way back.
    await page.get_by_role("link", name="All pictures").click()
    await expect(page.locator("#p80")).to_be_in_viewport()
    assert abs(await page.evaluate("scrollY") - place) < 2
    assert errors == []


async def test_a_page_that_fails_leaves_the_link_to_older_pictures(served, phone):
    page = await phone.new_page()
    await page.route("**/easel/?before=*", lambda route: route.abort())
    await page.goto(served.url)
    async with page.expect_event("requestfailed"):
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await page.unroute("**/easel/?before=*")
    await page.get_by_role("link", name="Older pictures").click()
    await expect(page.locator("#p30")).to_be_visible()


async def test_keys_and_swipes_lead_through_the_pictures(served, phone):
    page = await phone.new_page()
    errors = note_errors(page)
    await page.goto(f"{served.url}picture/p20")
    image = page.locator("#image")
    await page.keyboard.press("ArrowRight")
    await expect(image).to_have_attribute("src", "../image/p21")
    assert page.url.endswith("picture/p21")
    await page.keyboard.press("ArrowLeft")
    await expect(image).to_have_attribute("src", "../image/p20")
    await swipe(page, -120)
    await expect(image).to_have_attribute("src", "../image/p21")
    await swipe(page, 120)
    await expect(image).to_have_attribute("src", "../image/p20")
    # A short or a slanted touch scrolls.
    await swipe(page, -20)
    await swipe(page, -80, y=200)
    await expect(image).to_have_attribute("src", "../image/p20")
    await page.keyboard.press("Escape")
    await page.wait_for_url("**/easel/#p20")
    assert errors == []


async def test_who_goes_by_the_keyboard_alone_keeps_the_place_on_the_page(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}picture/p30")
    await page.get_by_role("link", name="Older picture").focus()
    for n in (31, 32):
        await page.keyboard.press("Enter")
        await expect(page.locator("#image")).to_have_attribute("src", f"../image/p{n}")
        await expect(page.get_by_role("link", name="Older picture")).to_be_focused()
    await page.get_by_role("button", name="Star").focus()
    for name in ("Starred", "Star"):
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()


async def test_arrows_with_shift_select_text(served, phone):
    page = await phone.new_page()
    asked = []
    await page.goto(f"{served.url}picture/p20")
    page.on("request", lambda request: asked.append(request.url))
    await page.keyboard.press("Shift+ArrowRight")
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator("#image")).to_have_attribute("src", "../image/p19")
    assert not [url for url in asked if url.endswith("picture/p21")]


async def test_an_answer_that_comes_late_does_not_lead_back(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}picture/p20")
    star = asyncio.Event()

    async def wait_for_the_room(route):
        await star.wait()
        await route.continue_()

    await page.route("**/star/*", wait_for_the_room)
    await page.get_by_role("button", name="Star").click()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#image")).to_have_attribute("src", "../image/p21")
    async with page.expect_event("requestfinished", lambda request: request.url.endswith("picture/p20")):
        star.set()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#image")).to_have_attribute("src", "../image/p22")


async def test_full_screen_stays_while_one_goes_on(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}picture/p20")
    await page.get_by_role("button", name="Full screen").click()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#image")).to_have_attribute("src", "../image/p21")
    assert await page.evaluate("document.fullscreenElement === document.documentElement")
    await expect(page.locator("h1")).to_be_hidden()


async def test_a_star_that_is_refused_says_why(served, phone):
    page = await phone.new_page()
    await page.route("**/star/*", lambda route: route.fulfill(status=503, body="<h1>I can't reach the chat</h1>"))
    await page.goto(f"{served.url}picture/p20")
    await page.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("status")).to_have_text("I can't reach the chat")
    await page.route("**/star/*", lambda route: route.abort())
    await page.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("status")).to_have_text("That did not work. Try it again in a moment.")


async def test_a_star_is_given_and_taken_in_place(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}picture/p20")
    await page.get_by_role("button", name="Star").click()
    await page.get_by_role("button", name="Starred").click()
    await expect(page.get_by_role("button", name="Star", exact=True)).to_be_visible()
    assert 20 not in served.gallery.stars
    assert await page.evaluate("history.length") == 2


async def test_the_command_is_copied_with_and_without_a_clipboard(served, phone):
    page = await phone.new_page()
    await phone.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(f"{served.url}picture/p20")
    command = "!draw otter, cowboy hat | environment: snow, sunset --seed 19540"
    await page.get_by_role("button", name="Copy the command").click()
    await expect(page.locator("#status")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == command

    # Browsers take the clipboard away from pages without https.
    await page.add_init_script("delete Navigator.prototype.clipboard")
    await page.goto(f"{served.url}picture/p20")
    await page.get_by_role("button", name="Copy the command").click()
    await expect(page.locator("#status")).to_have_text("Copied.")
    assert (await page.evaluate("getSelection().toString()")).strip() == command


async def test_the_slider_moves_by_keys_and_a_button_lays_both_side_by_side(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}compare?id=p0&id=p12")
    slider, left = page.get_by_role("slider"), page.locator(".pair img").first

    async def shown():
        return await left.evaluate("(image) => getComputedStyle(image).clipPath")

    middle = await shown()
    await slider.focus()
    await page.keyboard.press("End")
    assert await shown() != middle
    assert await page.evaluate("getComputedStyle(document.getElementById('pair')).getPropertyValue('--at')") == "1"
    await page.get_by_role("button", name="Side by side").click()
    await expect(slider).to_be_hidden()
    assert await shown() == "none"
    boxes = [await page.locator(".pair img").nth(n).bounding_box() for n in range(2)]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


async def test_what_is_ticked_is_counted_and_taken_home(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}?select=1&id=p3")
    await expect(page.locator("#selected")).to_have_text("1 picture. Tick another to compare.")
    await expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    await page.locator("label.tile").nth(1).click()
    await expect(page.get_by_role("button", name="Compare")).to_be_enabled()
    await expect(page.locator("#selected")).to_have_text("2 pictures")
    async with page.expect_request("**/zip?id=p3&id=p0&select=1"):
        await page.get_by_role("button", name="Download").click()


def answering(status: int, body: str):
    return lambda route: route.fulfill(status=status, body=body)


ENDED = '<body class="note"><main><h1>Not here</h1></main>'


async def test_what_is_ticked_stands_there_once(served, phone):
    page = await phone.new_page()
    await page.goto(f"{served.url}?select=1&id=p80")
    await scroll_to_the_end(page, 95)
    await expect(page.get_by_role("link", name="Older pictures")).to_have_count(0)
    await expect(page.locator("[value=p80]")).to_have_count(1)


async def test_the_slide_show_goes_on_and_ends_when_it_is_taken_back(served, phone):
    page = await phone.new_page()
    await page.clock.install(time=0)
    await page.clock.pause_at(1000)
    await page.goto(f"{served.url}frame?key=secret")
    shown = page.locator("img")
    await expect(shown).to_have_attribute("src", "./frame/p2?key=secret")

    async def later():
        await page.clock.run_for(1000)

    await later()
    await expect(shown).to_have_attribute("src", "./frame/p9?key=secret")
    # While maubot restarts, the picture stays.
    await page.route("**/frame?*", lambda route: route.abort())
    async with page.expect_event("requestfailed"):
        await later()
    await expect(shown).to_have_attribute("src", "./frame/p9?key=secret")
    await page.unroute("**/frame?*")
    await later()
    await expect(shown).to_have_attribute("src", "./frame/p14?key=secret")
    # So it does while maubot updates the plugin, and when the gallery has no time.
    for status, body in ((404, ""), (429, ENDED)):
        await page.route("**/frame?*", answering(status, body))
        async with page.expect_event("requestfinished") as asked:
            while not asked.is_done():
                await later()
        await expect(shown).to_have_attribute("src", "./frame/p14?key=secret")
        await page.unroute("**/frame?*")
    await page.route("**/frame?*", answering(404, ENDED))
    async with page.expect_navigation() as ended:
        while not ended.is_done():
            await later()
    await expect(page.locator("h1")).to_have_text("Not here")
