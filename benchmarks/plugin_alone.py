"""Starts the plugin without maubot, for measurements in its own process: the client is maubot's, the rest stands in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from maubot.loader.meta import PluginMeta
from maubot.matrix import MaubotMatrixClient
from maubot.standalone.loader import FileSystemLoader
from mautrix.api import HTTPAPI
from mautrix.client.state_store import StateStore
from mautrix.types import UserID
from mautrix.util.async_db import Database, UpgradeTable
from mautrix.util.config import RecursiveDict
from mautrix.util.logging import TraceLogger
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from bot import EaselBot
from bot.easel.jobs.schema import upgrade_table
from bot.easel.settings import Config

ROOT = Path(__file__).parents[1]

# A homeserver without limits, and people without.
WITHOUT_LIMITS = {"rate_limit_per_second": 0, "max_open_jobs": 0}


@asynccontextmanager
async def client_at(port: int, state_store: StateStore) -> AsyncIterator[Any]:
    """The bot's account at a homeserver on that port."""
    client = MaubotMatrixClient(api=HTTPAPI(base_url=f"http://127.0.0.1:{port}"), state_store=state_store)
    client.mxid = UserID("@easel:example.com")
    try:
        yield client
    finally:
        await client.api.session.close()


@asynccontextmanager
async def database(url: str, tables: UpgradeTable) -> AsyncIterator[Database]:
    started = Database.create(url, upgrade_table=tables)
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def running_plugin(
    client: Any, folder: Path, settings: dict[str, Any], *, database_url: str = ""
) -> AsyncIterator[EaselBot]:
    """Run the plugin with that database, or one in the folder."""
    url = database_url or f"sqlite:{folder / 'bot.db'}"
    yaml = YAML()
    edited = CommentedMap(settings)
    base = RecursiveDict(yaml.load(ROOT / "base-config.yaml"))
    async with aiohttp.ClientSession() as http, database(url, upgrade_table) as kept:
        bot = EaselBot(
            client=client,
            loop=asyncio.get_running_loop(),
            http=http,
            instance_id="benchmark",
            log=TraceLogger("benchmark"),
            config=Config(load=lambda: edited, load_base=base.clone, save=lambda config: None),
            database=kept,
            webapp=None,
            webapp_url=None,
            loader=FileSystemLoader(str(ROOT), PluginMeta.deserialize(yaml.load(ROOT / "maubot.yaml"))),
        )
        await bot.internal_start()
        try:
            yield bot
        finally:
            await bot.internal_stop()
