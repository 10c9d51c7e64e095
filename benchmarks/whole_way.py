"""Measure what everything around the drawing costs, on loopback: ``python -m benchmarks.whole_way [--json]``.

A real homeserver, maubot and generator with pocket, a second Matrix client as the person, an encrypted room.

- R7, the service: from submitting a job to its last event, compared with the drawing's own seconds.
- The whole way: from the command to its picture in the room, compared with the drawing's own seconds.
- R10: from the command to the read receipt, and to the reaction, as the person's client sees them, while a job runs. A
  proxy before the bot says which part of that is whose.
"""

import argparse
import asyncio
import gzip
import json
import logging
import platform
import re
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from household.heard import Heard
from household.home import INSTANCE, Household, household
from household.person import Person
from tests.helpers.proxy import Proxy

REPEATS = 20
WARM_UP = 2

# The drawing leaves the other cores to homeserver, maubot and client, as it does on a card.
ONE_CORE = {"OMP_NUM_THREADS": "1"}

# About one second of drawing, and the most steps that a picture can have.
SHORT_STEPS = 32
LONG_STEPS = 100

# As a sync's answer has it.
_EVENT = re.compile(r'"event_id":"([^"]+)"')


async def service(home: Household, steps: int) -> tuple[float, float]:
    """Draw one job over the socket; return its wall seconds, and its seconds on the card."""
    job = f"/v1/jobs/{secrets.token_hex(8)}"
    body = {"requester": "bench", "recipes": [{"slots": {"subject": ["otter"]}, "steps": steps}]}
    async with aiohttp.ClientSession(
        "http://easel", connector=aiohttp.UnixConnector(str(home.generator.socket))
    ) as http:
        began = time.perf_counter()
        async with http.put(job, json=body) as answer:
            answer.raise_for_status()
        async with http.get(f"{job}/events") as events:
            *_, last = [json.loads(line) async for line in events.content]
        wall = time.perf_counter() - began
    return wall, last["job"]["pictures"][0]["facts"]["seconds"]


async def whole_way(person: Person, room: str, steps: int) -> tuple[float, float]:
    """Draw one picture by command; return the wall seconds until it is in the room, and those on the card."""
    began = time.perf_counter()
    command = await person.say(room, f"!draw otter --steps {steps}")

    def is_there(kind: str, heard: Heard) -> bool:
        return heard.reply_to == command and heard.mark.get("kind") == kind

    await person.hear(partial(is_there, "picture"), timeout_s=600)
    wall = time.perf_counter() - began
    recipe = await person.hear(partial(is_there, "recipe"))
    return wall, yaml.safe_load(await person.fetch(recipe.content))["facts"]["seconds"]


class Tap(Proxy):
    """The bot's way to the homeserver: passes everything on, and notes when a command and its receipt go by."""

    def __init__(self, homeserver: str) -> None:
        super().__init__(homeserver)
        # By event: when a sync brought it to the bot, and when the bot's receipt for it came and was answered.
        self.brought: dict[str, float] = {}
        self.asked: dict[str, float] = {}
        self.answered: dict[str, float] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        came = time.perf_counter()
        answer = await self.passed_on(request, await request.read())
        if request.path.endswith("/sync"):
            events = _EVENT.findall(_unpacked(answer))
            self.brought = dict.fromkeys(events, time.perf_counter()) | self.brought
        if "/receipt/" in request.path:
            event = request.path.rpartition("/")[2]
            self.asked[event], self.answered[event] = came, time.perf_counter()
        return answer


def _unpacked(answer: web.Response) -> str:
    body = answer.body
    assert isinstance(body, bytes)
    is_packed = answer.headers.get("Content-Encoding") == "gzip"
    return (gzip.decompress(body) if is_packed else body).decode()


async def acknowledgement(person: Person, room: str, bot: str, tap: Tap) -> dict[str, float]:
    """Send a command; return the seconds of each part of the way to its receipt, and until its reaction."""

    def is_reaction(heard: Any) -> bool:
        return bool(heard.type == "m.reaction" and heard.content["m.relates_to"]["event_id"] == command)

    began = time.perf_counter()
    command = await person.say(room, "!draw otter --steps 1")
    sent = time.perf_counter()
    await person.until(lambda: person.sees_read(room, bot) == command)
    seen = time.perf_counter()
    await person.hear(is_reaction)
    brought = tap.brought[command]
    return {
        "receipt": seen - began,
        "reaction": time.perf_counter() - began,
        # The homeserver's answer to the sender and its sync to the bot come in any order.
        "1 sent": min(sent, brought) - began,
        "2 brought to the bot": max(0.0, brought - sent),
        "3 the bot": tap.asked[command] - brought,
        "4 the homeserver takes the receipt": tap.answered[command] - tap.asked[command],
        "5 seen by the person": seen - tap.answered[command],
    }


async def is_drawing(home: Household) -> bool:
    return bool((await home.generator.health())["running"])


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile, in seconds."""
    return {
        "p50_s": round(statistics.median(seconds), 4),
        "p95_s": round(statistics.quantiles(seconds, n=20, method="inclusive")[-1], 4),
    }


def overhead(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Summarise what is added to the drawing, in seconds and as a ratio, from pairs of wall and drawing seconds."""
    counted = pairs[WARM_UP:]
    return {
        "drawing_s": round(statistics.median(drawn for _, drawn in counted), 3),
        "ratio": round(statistics.median(wall / drawn for wall, drawn in counted), 3),
        "more": percentiles([wall - drawn for wall, drawn in counted]),
    }


async def measure(folder: Path) -> dict[str, Any]:
    settings = {"default_model": "pocket", "device": "cpu"}
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(household(folder, generator_settings=settings, env=ONE_CORE))
        person, other = await home.person("person"), await home.person("other")
        bot = home.bot.user_id
        tap = await stack.enter_async_context(Tap(home.url))
        await home.maubot.set_client(home.bot, tap.url)
        await home.maubot.restart_instance(INSTANCE)
        room = await person.make_room("Bench", encrypted=True, invite=(bot, other.account.user_id))
        await other.join(room)
        await person.wait_for_member(room, bot)

        results: dict[str, Any] = {}
        for name, steps, count in (("short", SHORT_STEPS, REPEATS), ("long", LONG_STEPS, REPEATS // 4)):
            results[f"R7 service, {name}"] = overhead([await service(home, steps) for _ in range(count + WARM_UP)])
            results[f"whole way, {name}"] = overhead(
                [await whole_way(person, room, steps) for _ in range(count + WARM_UP)]
            )

        for when, command in (("nothing running", None), ("a job running", "!draw otter --steps 100 -n 9")):
            if command:
                await other.say(room, command)
                await home.generator.child.wait_until(lambda: is_drawing(home))
            ways = [await acknowledgement(person, room, bot, tap) for _ in range(REPEATS + WARM_UP)][WARM_UP:]
            results[f"R10, {when}"] = {part: percentiles([way[part] for way in ways]) for part in ways[0]}
        return results


def report(results: dict[str, Any], *, as_json: bool) -> None:
    """Print the results, with the machine that they were measured on."""
    results["machine"] = f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    if as_json:
        print(json.dumps(results, indent=2))
        return
    for name, result in results.items():
        print(f"{name}: {result}")


def run(description: str | None, measure: Callable[[Path], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Run a benchmark's command line: call ``measure`` with a temporary folder, and print its results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder)))
    report(results, as_json=asked.json)


if __name__ == "__main__":
    run(__doc__, measure)
