"""Measure how long one hostile message keeps the bot's event loop: ``python -m benchmarks.hostile_messages [--json]``.

The real plugin between a fake homeserver and a fake generator, which run in another process. While a message is read,
judged, kept and submitted, a task that wakes every millisecond notes how much processor time this process has used
since it last woke, all threads together: what other programs use does not count. Each message is sent a few times, and
its best time counts. The table has the longest time between two turns of that task, by family and size.
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web
from maubot.matrix import MaubotMessageEvent
from mautrix.client.state_store import MemoryStateStore
from mautrix.types import Event

from benchmarks.plugin_alone import WITHOUT_LIMITS, client_at, running_plugin
from tests.helpers.fake_generator import FakeGenerator, refuse
from tests.helpers.fake_homeserver import Homeserver
from tests.helpers.hostile_messages import Hostile, messages

ROOM = "!bench:example.com"
SIZES_KB = (1, 4, 16, 64)
REPEATS = 3
TICK_S = 0.001
# A message that takes longer is not sent again, and the larger ones of its family are not sent at all.
TOO_LONG_S = 2.0

RULES = {
    "rooms": {"*": {"blocked_words": [f"word {n}" for n in range(100)], "no": ["blood"], "style": ["ink"]}},
    "wildcards": {"animal": ["otter", "owl"]},
}


def serve(socket: str, port: Connection) -> None:
    """Run the fakes. The homeserver has each recipe file, and the generator refuses each job once it has read it."""
    homeserver = Homeserver()
    for size_kb in SIZES_KB:
        for name, message in messages(size_kb * 1000).items():
            url = f"mxc://example.com/{size_kb}-{name.encode().hex()}"
            homeserver.uploads[url] = (message.recipe or "").encode()
            content = {"msgtype": "m.file", "body": "a.yml", "url": url}
            event = {"event_id": recipe_event(size_kb, name), "sender": "@eve:example.com", "origin_server_ts": 1}
            homeserver.history.setdefault(ROOM, []).append({**event, "type": "m.room.message", "content": content})
    generator = FakeGenerator(sins={"submit": refuse(422, "That is too much.")})

    async def run() -> None:
        runners = web.AppRunner(homeserver.app()), web.AppRunner(generator.app())
        for runner in runners:
            await runner.setup()
        await web.TCPSite(runners[0], "127.0.0.1", 0).start()
        await web.UnixSite(runners[1], socket).start()
        port.send(runners[0].addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def recipe_event(size_kb: int, name: str) -> str:
    return f"$recipe-{size_kb}-{name.encode().hex()}"


async def longest_s(client: Any, message: Hostile, number: int, recipe: str) -> float:
    """Send a message; return the longest time for which nothing else ran until the bot was done with it."""
    before = asyncio.all_tasks()
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            began = time.process_time()
            await asyncio.sleep(TICK_S)
            longest = max(longest, time.process_time() - began)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(10 * TICK_S)
    longest = 0.0
    content: dict[str, Any] = {"msgtype": "m.text", "body": message.body}
    if message.recipe is not None or message.body.startswith(">"):
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": recipe}}
    raw: dict[str, Any] = {
        "type": "m.room.message",
        "room_id": ROOM,
        "event_id": f"$said-{number}",
        "sender": "@eve:example.com",
    }
    raw |= {"origin_server_ts": int(time.time() * 1000), "content": content}
    event: Any = MaubotMessageEvent(Event.deserialize(raw), client)
    await asyncio.gather(*client.dispatch_manual_event(event.type, event, force_synchronous=True))
    while left := asyncio.all_tasks() - before - {ticking}:
        await asyncio.wait(left)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return longest


async def measure(client: Any) -> dict[str, list[float | None]]:
    """The best of the longest times, in milliseconds, by family and size; None where a smaller one took too long."""
    found: dict[str, list[float | None]] = {name: [] for name in messages(0)}
    number = 0
    for size_kb in SIZES_KB:
        for name, message in messages(size_kb * 1000).items():
            last_ms = found[name][-1] if found[name] else 0.0
            if last_ms is None or last_ms > TOO_LONG_S * 1000:
                found[name].append(None)
                continue
            taken: list[float] = []
            while len(taken) < REPEATS and (not taken or taken[-1] < TOO_LONG_S):
                number += 1
                taken.append(await longest_s(client, message, number, recipe_event(size_kb, name)))
            found[name].append(round(1000 * min(taken), 1))
    return found


def table(found: dict[str, list[float | None]]) -> str:
    width = max(map(len, found))
    lines = [f"{'ms':{width}}" + "".join(f"{f'{size} KB':>10}" for size in SIZES_KB)]
    for name, times in found.items():
        lines.append(f"{name:{width}}" + "".join(f"{'-' if ms is None else format(ms, '.1f'):>10}" for ms in times))
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "generator.sock"
        here, there = spawn.Pipe()
        fakes = spawn.Process(target=serve, args=(str(socket), there), daemon=True)
        fakes.start()
        port = await asyncio.to_thread(here.recv)
        settings = {"generator_url": f"unix://{socket}", **WITHOUT_LIMITS, **RULES}
        async with client_at(port, MemoryStateStore()) as client, running_plugin(client, Path(folder), settings):
            await longest_s(client, Hostile("!draw otter"), 0, "")
            found = await measure(client)
        fakes.terminate()
    print(json.dumps(found) if asked.json else table(found))


if __name__ == "__main__":
    asyncio.run(main())
