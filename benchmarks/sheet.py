"""Compare a sheet of nine pictures with nine single pictures: ``python -m benchmarks.sheet [--json]``.

A real homeserver with its default limits, maubot and generator with pocket, a second Matrix client as the person, an
encrypted room. Measures from the first command to the last file, as the person's client sees it; in turns, each with
seeds of its own.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.whole_way import ONE_CORE, run
from household.heard import Heard
from household.home import household
from household.person import Person

PICTURES = 9
REPEATS = 3
# Restores the homeserver's rate limit before each turn: ten events, then one every five seconds.
REST_S = 55.0
# Each single picture waits for the rate limit twice.
LONG_S = 600.0


async def sheet(person: Person, room: str, seed: int) -> list[str]:
    seeds = ",".join(str(seed + n) for n in range(PICTURES))
    return [await person.say(room, f"!draw otter, cowboy hat --seed {seeds}")]


async def singles(person: Person, room: str, seed: int) -> list[str]:
    return [await person.say(room, f"!draw otter, cowboy hat --seed {seed + n}") for n in range(PICTURES)]


def is_there(command: str, heard: Heard) -> bool:
    return heard.reply_to == command and heard.mark.get("kind") in ("picture", "sheet")


async def measure(folder: Path) -> dict[str, Any]:
    settings = {"default_model": "pocket", "device": "cpu"}
    async with household(folder, exempt=False, generator_settings=settings, env=ONE_CORE) as home:
        await home.change_settings(offer_reactions="never")
        person, bot = await home.person("person"), home.bot.user_id
        room = await person.make_room("Bench", encrypted=True, invite=(bot,))
        await person.wait_for_member(room, bot)
        taken: dict[str, list[float]] = {"sheet": [], "singles": []}
        for turn in range(REPEATS):
            for name, ask in (("sheet", sheet), ("singles", singles)):
                await asyncio.sleep(REST_S)
                began = time.perf_counter()
                for command in await ask(person, room, 100 * turn + (10 if name == "sheet" else 50)):
                    await person.hear(partial(is_there, command), timeout_s=LONG_S)
                taken[name].append(time.perf_counter() - began)
        ratios = [one / other for one, other in zip(taken["singles"], taken["sheet"], strict=True)]
        return {
            **{name: {"median_s": round(median(times), 1)} for name, times in taken.items()},
            "singles / sheet": {"median": round(median(ratios), 2)},
        }


if __name__ == "__main__":
    run(__doc__, measure)
