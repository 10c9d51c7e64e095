"""Measure a busy room at a homeserver's usual limits, on loopback: ``python -m benchmarks.crowd [--json]``.

A real homeserver that allows ten events at once and then one in five seconds, maubot and generator with pocket. Three
people ask for four pictures at the same time, and then one of them asks for the queue.

- The seconds until the queue is answered: at most 6, whatever else waits.
- The seconds until each command has its 🎨.
- The seconds from each picture to its recipe: never above 0, since the recipe comes first.
- The seconds until the last picture.
"""

import argparse
import asyncio
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.whole_way import ONE_CORE
from household.heard import Heard
from household.home import household
from household.person import Person

COMMAND = "!draw otter, cowboy hat --steps 20 --seed {seed}"
LIMIT_S = 120
# As many events again as the hello took.
REFILL_S = 15


class Room:
    """What one person sees of the room, with the time at which each event came."""

    def __init__(self, person: Person, bot: str) -> None:
        self._person, self._bot = person, bot
        self._at: dict[str, float] = {}

    async def watch(self) -> None:
        async for heard in self._person.listen():
            self._at.setdefault(heard.event_id, time.monotonic())

    async def first(self, command: str, kind: str) -> float | None:
        """When the first event of that kind on a command came; None if none does."""

        def is_there(heard: Heard) -> bool:
            about = (heard.reply_to, heard.content.get("m.relates_to", {}).get("event_id"))
            return heard.sender == self._bot and heard.mark.get("kind") == kind and command in about

        try:
            heard = await self._person.hear(is_there, timeout_s=LIMIT_S)
        except TimeoutError:
            return None
        # The watcher may be one event behind.
        return self._at.get(heard.event_id, time.monotonic())


async def measure(folder: Path) -> dict[str, Any]:
    settings = {"default_model": "pocket", "device": "cpu"}
    async with household(folder, exempt=False, generator_settings=settings, env=ONE_CORE) as home:
        ada, bob, cleo = [await home.person(name) for name in ("ada", "bob", "cleo")]
        bot = home.bot.user_id
        room_id = await ada.make_room("Bench", encrypted=True, invite=(bot,))
        for person in (bob, cleo):
            await ada.invite(room_id, person.account.user_id)
            await person.join(room_id)
        for person in (ada, bob, cleo):
            await person.wait_for_member(room_id, bot)
            await person.wait_for_member(room_id, cleo.account.user_id)
        # The hello is one of the ten events.
        await asyncio.sleep(REFILL_S)
        room = Room(ada, bot)
        watching = asyncio.create_task(room.watch())
        began = time.monotonic()
        commands = await asyncio.gather(
            *(
                person.say(room_id, COMMAND.format(seed=seed))
                for seed, person in enumerate((ada, bob, cleo, ada), start=1)
            )
        )
        await asyncio.sleep(3)
        asked = time.monotonic()
        answer = await room.first(await bob.say(room_id, "!easel queue"), "answer")
        signs = [await room.first(command, "reaction") for command in commands]
        pictures = [await room.first(command, "picture") for command in commands]
        recipes = [await room.first(command, "recipe") for command in commands]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        pairs = zip(pictures, recipes, strict=True)
        return {
            "answer_s": _since(asked, answer),
            "signs_s": [_since(began, at) for at in signs],
            "recipe_after_picture_s": [_since(picture or began, recipe) for picture, recipe in pairs],
            "last_picture_s": max(_since(began, at) or LIMIT_S for at in pictures),
        }


def _since(began: float, at: float | None) -> float | None:
    return None if at is None else round(at - began, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder)))
    print(json.dumps(results) if asked.json else "\n".join(f"{key}: {value}" for key, value in results.items()))


if __name__ == "__main__":
    main()
