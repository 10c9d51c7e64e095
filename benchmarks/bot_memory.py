"""Measure the bot's memory over many commands: ``python -m benchmarks.bot_memory [--commands 20000]``.

The real plugin, with the tests' homeserver and generator in the same process, which forget what they got. Three people,
one of them in an encrypted room, draw pictures of a megabyte, misspell and ask, each as soon as they have their answer.
Prints the resident memory every thousand commands.
"""

import argparse
import asyncio
import json
import logging
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web
from maubot.lib.state_store import PgStateStore
from maubot.matrix import MaubotMessageEvent
from mautrix.crypto import OlmMachine, PgCryptoStore
from mautrix.types import (
    DeviceID,
    EncryptionAlgorithm,
    Event,
    EventType,
    RoomEncryptionStateEventContent,
    RoomID,
)

from benchmarks.plugin_alone import WITHOUT_LIMITS, client_at, database, running_plugin
from tests.helpers.fake_generator import FakeGenerator
from tests.helpers.fake_homeserver import Homeserver

EVERY = 1000

PEOPLE = tuple((f"@{name}:example.com", f"!{name}:example.com") for name in ("ada", "bo", "cy"))
ENCRYPTED = PEOPLE[0][1]

COMMANDS = (
    "!draw otter, (cowboy hat)++ | style: (watercolor)+ --seed {n}",
    "!easel queue",
    "!draw owl --sede {n}",
    "!easel help",
    "!draw {{otter | owl}}, number {n}",
    "!easel find otter",
)
PICTURE_BYTES = 1_000_000


@asynccontextmanager
async def plugin(folder: Path, homeserver: Homeserver, generator: FakeGenerator) -> AsyncIterator[Any]:
    """Start the plugin; yield its client."""
    async with AsyncExitStack() as stack:
        app = homeserver.app()
        app.add_routes([web.post("/_matrix/client/v3/keys/{what}", no_keys)])
        port = await serve(stack, app, web.TCPSite, "127.0.0.1", 0)
        await serve(stack, generator.app(), web.UnixSite, folder / "generator.sock")
        crypto_db = await stack.enter_async_context(
            database(f"sqlite:{folder / 'crypto.db'}", PgCryptoStore.upgrade_table)
        )
        state_db = await stack.enter_async_context(
            database(f"sqlite:{folder / 'maubot.db'}", PgStateStore.upgrade_table)
        )
        state_store: Any = PgStateStore(state_db)
        client = await stack.enter_async_context(client_at(port, state_store))
        client.device_id = DeviceID("EASEL")
        client.crypto = OlmMachine(client, PgCryptoStore(client.mxid, "pickle", crypto_db), state_store)
        await client.crypto.load()
        await client.crypto.share_keys()
        encryption = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)
        await state_store.set_encryption_info(RoomID(ENCRYPTED), encryption)
        settings = {"generator_url": f"unix://{folder / 'generator.sock'}", **WITHOUT_LIMITS}
        await stack.enter_async_context(running_plugin(client, folder, settings))
        yield client


async def no_keys(request: web.Request) -> web.Response:
    """People without devices."""
    counts = {"signed_curve25519": 50}
    return web.json_response({"device_keys": {}, "one_time_keys": {}, "one_time_key_counts": counts})


async def large_picture(request: web.Request) -> web.Response:
    return web.Response(body=secrets.token_bytes(PICTURE_BYTES // 2 + secrets.randbelow(PICTURE_BYTES)))


async def serve(stack: AsyncExitStack, app: web.Application, site: Any, *where: Any) -> int:
    """Serve an app until the stack ends; return the port, if it has one."""
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await site(runner, *where).start()
    return runner.addresses[0][1] if isinstance(runner.addresses[0], tuple) else 0


async def say(client: Any, homeserver: Homeserver, n: int, sender: str, room_id: str) -> None:
    """Send the ``n``-th command, and return when its answer or picture is there."""
    if room_id == ENCRYPTED:
        # maubot passes on an encrypted event, and then what it decrypted.
        content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "x"}
        await dispatch(client, n, sender, room_id, "m.room.encrypted", content)
    content = {"msgtype": "m.text", "body": COMMANDS[n % len(COMMANDS)].format(n=n)}
    event_id = await dispatch(client, n, sender, room_id, "m.room.message", content)

    def is_reply(content: dict[str, Any]) -> bool:
        return bool(content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id") == event_id)

    await homeserver.until(lambda: any(is_reply(sent.content) for sent in homeserver.events))


async def dispatch(client: Any, n: int, sender: str, room_id: str, kind: str, content: dict[str, Any]) -> str:
    """Give the bot an event as the sync does; return its id."""
    raw = {"type": kind, "room_id": room_id, "event_id": f"$command-{n}", "sender": sender, "content": content}
    event: Any = Event.deserialize({**raw, "origin_server_ts": int(time.time() * 1000)})
    if event.type is EventType.ROOM_MESSAGE:
        event = MaubotMessageEvent(event, client)
    await asyncio.gather(*client.dispatch_manual_event(event.type, event, force_synchronous=True))
    return f"$command-{n}"


def forget(homeserver: Homeserver, generator: FakeGenerator) -> None:
    kept: tuple[Any, ...] = (homeserver.events, homeserver.uploads, homeserver.transactions, homeserver.typing)
    for each in (*kept, homeserver.read, homeserver.asked_of, generator.jobs, generator.asked, generator.tokens):
        each.clear()


async def measure(folder: Path, commands: int) -> list[tuple[int, float]]:
    """Return the number of commands and the megabytes of memory after each thousand of them."""
    homeserver, generator, points, began = Homeserver(), FakeGenerator(), [], time.monotonic()
    generator.sins["picture"] = large_picture
    async with plugin(folder, homeserver, generator) as client:
        for done in range(0, commands, len(PEOPLE)):
            await asyncio.gather(*(say(client, homeserver, done + at, *person) for at, person in enumerate(PEOPLE)))
            if done % 30 == 0:
                forget(homeserver, generator)
            if (done + len(PEOPLE)) // EVERY > done // EVERY:
                memory_mb = round(psutil.Process().memory_info().rss / 1e6, 1)
                points.append((done + len(PEOPLE), memory_mb))
                print(f"{points[-1][0]:6} commands {memory_mb:6.1f} MB {time.monotonic() - began:6.0f} s", flush=True)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=20_000)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), asked.commands))))


if __name__ == "__main__":
    main()
