"""A Chromium for tests, and what people need of a page: by axe, by their fingers and by the width of their screen."""

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

# The first one can open no window, and needs a third of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}

# What takes milliseconds takes seconds on a busy machine.
WITHIN_MS = 60_000
expect.set_options(timeout=WITHIN_MS)

# As large as a fingertip; links within a sentence may be smaller.
MIN_TARGET_PX = 44

SMALL_TARGETS = f"""() => [...document.querySelectorAll('a, button, select, summary, input:not([type=hidden])')]
    .filter((one) => !one.closest('p, td'))
    .map((one) => one.closest('label') ?? one)
    .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.width < {MIN_TARGET_PX} || box.height < {MIN_TARGET_PX}))
    .map(([html, box]) => `${{box.width}} × ${{box.height}}: ${{html}}`)"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("The gallery's tests need a browser: `apt install chromium-headless-shell`.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await new_context(browser)
    yield context
    await context.close()


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """A phone in daylight, on which nothing moves by itself, or what ``options`` make of it."""
    phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "reduced_motion": "reduce"}
    context = await browser.new_context(**(phone | options))
    context.set_default_timeout(WITHIN_MS)
    return context


async def flaws(page: Page) -> list[str]:
    """What keeps people from using the page as it stands."""
    found = [f"{one['id']}: {one['help']}, {one['nodes'][0]['html'][:200]}" for one in (await violations(page))]
    found += [f"small: {target}" for target in await page.evaluate(SMALL_TARGETS)]
    if wide := await page.evaluate("document.documentElement.scrollWidth - innerWidth"):
        found.append(f"{wide} px wider than the screen")
    return found


async def violations(page: Page) -> list[dict]:
    return (await Axe().run(page)).response["violations"]


def note_errors(page: Page) -> list[str]:
    """What the browser complains of from now on, such as something that the security policy forbids."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


async def swipe(page: Page, x: int, *, y: int = 0) -> None:
    """Move a finger across the picture."""
    touches = await page.context.new_cdp_session(page)
    start = {"x": 195, "y": 300}
    for kind, points in (
        ("touchStart", [start]),
        ("touchMove", [{"x": start["x"] + x, "y": start["y"] + y}]),
        ("touchEnd", []),
    ):
        await touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    await touches.detach()
