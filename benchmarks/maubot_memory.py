"""Measure a real maubot's memory: ``python -m benchmarks.maubot_memory [--commands 20000] [--views 1000]``.

maubot with the plugin in a process of its own, on SQLite; the tests' homeserver and generator in this one. Three
people, one of them in an encrypted room, draw pictures of a megabyte, ask, misspell and react, each as soon as they
have their answer. Prints maubot's resident memory every thousand commands, and before and after so many pages of the
gallery, each with some of its thumbnails.
"""

import argparse
import asyncio
import logging
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web
from mautrix.client import Client
from mautrix.client.state_store import MemoryStateStore
from mautrix.crypto import MemoryCryptoStore, OlmMachine
from mautrix.types import DeviceID, EventType, RoomID, UserID

from benchmarks.bot_memory import COMMANDS, EVERY, large_picture, serve
from benchmarks.plugin_alone import WITHOUT_LIMITS
from benchmarks.syncing_homeserver import SyncingHomeserver
from deploy.plugin import build_plugin
from household import maubot_server
from household.home import INSTANCE, PLUGIN_ID, prepare
from household.homeserver import Account
from household.json_api import JsonApi
from household.maubot_server import Maubot
from household.memory import Memory
from household.processes import Child, claim
from tests.helpers.fake_generator import FakeGenerator
from tests.helpers.fake_homeserver import Sent
from tests.helpers.gallery_browser import WEBP, Answer, Browser

BOT = "@easel:example.com"
NAMES = ("ada", "bo", "cy")
ENCRYPTED = "!ada:example.com"

# What people do in turns: commands, and reactions to their last picture.
TURNS = (*COMMANDS, "🎲", "📋")

# The rest of the pictures and recipes is needed no more; thumbnails are, in the gallery.
KEPT_BYTES = 100_000
THUMBNAIL_BYTES = 20_000

# What a narrow phone shows at once.
SCREEN = 4

# The gallery takes twenty requests a second of a browser.
REFUSED, AGAIN_AFTER_S = 429, 1


class PersonsRooms(MemoryStateStore):
    """mautrix asks which rooms end their keys when a device is new; here no device comes later."""

    async def find_shared_rooms(self, user_id: UserID) -> list[RoomID]:
        return []


class Person:
    """Somebody alone in a room with the bot. Sends what it should hear, encrypted where the room is."""

    def __init__(self, homeserver: SyncingHomeserver, port: int, name: str) -> None:
        self._homeserver = homeserver
        self.user_id, self.room_id = f"@{name}:example.com", f"!{name}:example.com"
        rooms: Any = PersonsRooms()
        address, token = f"http://127.0.0.1:{port}", self.user_id
        self._client = Client(
            UserID(self.user_id), DeviceID(name.upper()), base_url=address, token=token, state_store=rooms
        )
        self._crypto = OlmMachine(self._client, MemoryCryptoStore(self.user_id, "pickle"), rooms)
        self._picture = ""

    async def start(self) -> None:
        homeserver = self._homeserver
        homeserver.members[self.room_id], homeserver.history[self.room_id] = [BOT, self.user_id], []
        homeserver.display_names[self.user_id] = self.user_id[1:4]
        if self.room_id == ENCRYPTED:
            homeserver.encrypted_rooms.add(self.room_id)
            algorithm = {"algorithm": "m.megolm.v1.aes-sha2"}
            await homeserver.pass_on(self.room_id, self.user_id, "m.room.encryption", algorithm, state_key="")
            await self._crypto.load()
            await self._crypto.share_keys()

    async def stop(self) -> None:
        await self._client.api.session.close()

    async def take_turn(self, n: int) -> None:
        """Send the ``n``-th command or reaction, and return when its answer or picture is there."""
        turn = TURNS[n % len(TURNS)]
        if turn not in COMMANDS:
            relation = {"rel_type": "m.annotation", "event_id": self._picture, "key": turn}
            await self._homeserver.pass_on(self.room_id, self.user_id, "m.reaction", {"m.relates_to": relation})
            await self._answered(self._picture)
            return
        sent = await self._answered(await self.say(turn.format(n=n)))
        if "-picture-" in sent.txn_id:
            self._picture = f"$sent-{sent.txn_id}"

    async def say(self, text: str) -> str:
        kind, content = "m.room.message", {"msgtype": "m.text", "body": text}
        if self.room_id == ENCRYPTED:
            kind, content = "m.room.encrypted", await self._encrypted(content)
        return await self._homeserver.pass_on(self.room_id, self.user_id, kind, content)

    async def asks(self, text: str) -> str:
        """The answer's text."""
        return str((await self._answered(await self.say(text))).content["body"])

    async def _encrypted(self, content: dict[str, Any]) -> dict[str, Any]:
        room_id, store = RoomID(self.room_id), self._crypto.crypto_store
        session = await store.get_outbound_group_session(room_id)
        if session is None or session.expired or not session.shared:
            await self._crypto.share_group_session(room_id, [UserID(BOT)])
        encrypted = await self._crypto.encrypt_megolm_event(room_id, EventType.ROOM_MESSAGE, content)
        return dict(encrypted.serialize())

    async def _answered(self, event_id: str) -> Sent:
        """Wait for the answer to an event or for its picture, and leave nothing that would answer it again."""
        is_last = re.compile(r"-(picture|sheet|answer)-").search

        def answers() -> list[Sent]:
            return [sent for sent in self._homeserver.events if is_last(sent.txn_id) and _about(sent) == event_id]

        answer: Sent = (await self._homeserver.until(answers))[0]
        self._homeserver.events.remove(answer)
        return answer


def _about(sent: Sent) -> str | None:
    about: str | None = sent.content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")
    return about


@dataclass
class Running:
    """A maubot that runs, and what stands around it."""

    maubot: Child
    gallery: str
    port: int
    people: list[Person]
    homeserver: SyncingHomeserver
    generator: FakeGenerator

    def report(self, what: str, began: float) -> None:
        process = psutil.Process(self.maubot.pid)
        memory_mb, files = process.memory_info().rss / 1e6, process.num_fds()
        seconds = time.monotonic() - began
        print(f"{what}: {memory_mb:6.1f} MB, {files} files, {seconds:.0f} s", flush=True)

    def forget(self) -> None:
        homeserver, generator = self.homeserver, self.generator
        kept: tuple[Any, ...] = (homeserver.events, homeserver.transactions, homeserver.typing, homeserver.read)
        for each in (*kept, homeserver.asked_of, generator.jobs, generator.asked, generator.tokens):
            each.clear()
        for url, data in homeserver.uploads.items():
            if len(data) > KEPT_BYTES:
                homeserver.uploads[url] = b""


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """Start maubot with the plugin as the household does, with its state in the folder."""
    homeserver, generator = SyncingHomeserver(syncs=BOT), FakeGenerator()
    thumbnail = WEBP + secrets.token_bytes(THUMBNAIL_BYTES)
    small = generator._bytes(thumbnail)
    generator.sins.update(picture=large_picture, thumbnail=small, sheet_thumbnail=small)
    async with AsyncExitStack() as stack:
        at = await serve(stack, homeserver.app(), web.TCPSite, "127.0.0.1", 0)
        await serve(stack, generator.app(), web.UnixSite, folder / "generator.sock")
        lock = await claim(folder / "processes", wait_s=0, otherwise="The folder is in use")
        stack.callback(lock.close)
        logs, memory = prepare(folder), Memory(folder / "memory.json")
        port = memory.port("maubot")
        config = maubot_server.write_config(folder / "maubot", memory, port, None)
        # What this process has loaded is no part of maubot's memory.
        command = (sys.executable, "-m", "maubot", "--config", str(config))
        child = Child("maubot", *command, folder=folder / "maubot", log=logs / "maubot.log", lock=lock, env={})
        api = await stack.enter_async_context(JsonApi(f"http://127.0.0.1:{port}"))
        maubot = Maubot(child, api, memory)
        stack.push_async_callback(child.stop)
        await maubot.start()
        people = [Person(homeserver, at, name) for name in NAMES]
        for person in people:
            stack.push_async_callback(person.stop)
            await person.start()
        account = Account(BOT, "", BOT, homeserver.device_id)
        await maubot.set_client(account, f"http://127.0.0.1:{at}")
        await maubot.upload(build_plugin(folder / "plugin").read_bytes())
        gallery = f"/_matrix/maubot/plugin/{INSTANCE}/"
        settings = {
            "generator_url": f"unix://{folder / 'generator.sock'}",
            "gallery_url": f"http://127.0.0.1:{port}{gallery}",
            **WITHOUT_LIMITS,
        }
        await maubot.set_instance(INSTANCE, PLUGIN_ID, account, settings)
        await homeserver.until(lambda: homeserver.has_synced)
        yield Running(child, gallery, port, people, homeserver, generator)


async def command(maubot: Running, commands: int) -> None:
    began = time.monotonic()
    for done in range(0, commands, len(NAMES)):
        await asyncio.gather(*(person.take_turn(done // len(NAMES)) for person in maubot.people))
        if done % 30 == 0:
            maubot.forget()
        if done == 0 or (done + len(NAMES)) // EVERY > done // EVERY:
            maubot.report(f"{done + len(NAMES):6} commands", began)


async def look(maubot: Running, views: int) -> None:
    """Open so many pages of the gallery, from the newest to the oldest and again, with their first thumbnails."""
    began = time.monotonic()
    link = (await maubot.people[1].asks("!easel gallery")).splitlines()[-1]
    browser = Browser(maubot.port, maubot.gallery)

    async def opened(address: str) -> Answer:
        answer = await browser.get(address)
        if answer.status == REFUSED:
            await asyncio.sleep(AGAIN_AFTER_S)
            return await opened(address)
        assert answer.status == 200, answer.status
        return answer

    try:
        await browser.open(link)
        maubot.report("before the views", began)
        address = ""
        for _ in range(views):
            page = await opened(address)
            for picture in page.ids()[:SCREEN]:
                await opened(f"thumbnail/{picture}")
            older = re.search(r'rel="next" href="\./([^"]*)"', page.text)
            address = older[1].replace("&amp;", "&") if older else ""
        maubot.report(f"after {views} views", began)
    finally:
        await browser.close()


async def measure(folder: Path, asked: argparse.Namespace) -> None:
    async with running(folder) as maubot:
        await command(maubot, asked.commands)
        await look(maubot, asked.views)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--views", type=int, default=1000)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), asked))


if __name__ == "__main__":
    main()
