"""An invented family's gallery, and a browser that looks at it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from aiohttp import web

from tests.helpers.browser import browser, phone
from tests.helpers.gallery_pages import InventedGallery

__all__ = ["browser", "phone"]


@dataclass
class Served:
    gallery: InventedGallery
    url: str


@pytest_asyncio.fixture(loop_scope="session")
async def served() -> AsyncIterator[Served]:
    gallery = InventedGallery()
    runner = web.AppRunner(gallery.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Served(gallery, f"http://127.0.0.1:{runner.addresses[0][1]}/easel/")
    await runner.cleanup()
