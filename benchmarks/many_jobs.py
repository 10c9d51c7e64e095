"""Measure the bot with many jobs, on loopback: ``python -m benchmarks.many_jobs [--jobs 1000] [--json]``.

A real homeserver, maubot and generator with pocket, a second Matrix client as the person, an encrypted room.

- The time from a command to its read receipt, as the person's client sees it, while 50 jobs wait.
- The memory of maubot, which runs the bot, after the first job and after ``--jobs`` of them.
"""

import argparse
import asyncio
import logging
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.whole_way import ONE_CORE, REPEATS, WARM_UP, percentiles, report
from household.heard import Heard
from household.home import Household, household
from household.person import Person

WAITING = 50
# The fewest steps that a picture can have, since the bot is measured.
COMMAND = "!draw otter --steps 1"


async def receipt(person: Person, room: str, bot: str) -> float:
    """Send a command; return the seconds until its read receipt."""
    began = time.perf_counter()
    command = await person.say(room, COMMAND)
    await person.until(lambda: person.sees_read(room, bot) == command)
    return time.perf_counter() - began


def is_picture(command: str, heard: Heard) -> bool:
    return heard.reply_to == command and heard.mark.get("kind") == "picture"


async def draw(person: Person, room: str, jobs: int) -> None:
    """Have ``jobs`` jobs drawn, nine at a time."""
    for begun in range(0, jobs, 9):
        commands = [await person.say(room, COMMAND) for _ in range(min(9, jobs - begun))]
        for command in commands:
            await person.hear(partial(is_picture, command), timeout_s=600)


def memory_mb(home: Household) -> float:
    """The resident memory of maubot, in megabytes."""
    return round(psutil.Process(home.maubot.child.pid).memory_info().rss / 1e6, 1)


async def measure(folder: Path, jobs: int) -> dict[str, Any]:
    settings = {"default_model": "pocket", "device": "cpu"}
    async with household(folder, generator_settings=settings, env=ONE_CORE) as home:
        # A person's limits are not measured here.
        await home.change_settings(max_open_jobs=0)
        person, bot = await home.person("person"), home.bot.user_id
        room = await person.make_room("Bench", encrypted=True, invite=(bot,))
        await person.wait_for_member(room, bot)
        await draw(person, room, 1)
        before = memory_mb(home)

        await home.generator.pause()
        for _ in range(WAITING):
            await person.say(room, COMMAND)
        await home.generator.child.wait_until(lambda: are_waiting(home))
        receipts = [await receipt(person, room, bot) for _ in range(REPEATS + WARM_UP)][WARM_UP:]
        await home.generator.resume()

        drawn = WAITING + REPEATS + WARM_UP + 1
        await draw(person, room, jobs - drawn)
        return {
            f"receipt, {WAITING} waiting": percentiles(receipts),
            "maubot_mb": {"after 1 job": before, f"after {jobs} jobs": memory_mb(home)},
        }


async def are_waiting(home: Household) -> bool:
    return bool((await home.generator.health())["queued"] >= WAITING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder), asked.jobs))
    report(results, as_json=asked.json)


if __name__ == "__main__":
    main()
