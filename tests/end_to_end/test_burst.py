"""Eight commands at once by two people, under the rate limits that a homeserver has by default."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.household.home import Household, household

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"
HOLDING = "--steps 100"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict_home(
    tmp_path_factory: pytest.TempPathFactory, generator_settings: dict[str, Any], env: dict[str, str]
) -> AsyncIterator[Household]:
    """A household whose homeserver limits everyone as it does by default."""
    folder: Path = tmp_path_factory.mktemp("strict")
    async with household(folder, exempt=False, generator_settings=generator_settings, env=env) as home:
        yield home


async def test_nothing_of_a_burst_is_lost_and_turns_are_fair(strict_home, start_talk):
    ada, bo = await strict_home.person("ada"), await strict_home.person("bo")
    adas = await start_talk(strict_home, ada, encrypted=True, guest=bo)
    bos = replace(adas, person=bo)

    # The first holds the card until all eight are there.
    of_ada = [await adas.say(f"!draw otter --seed 0 {HOLDING}")]
    of_ada += [await adas.say(f"!draw otter --seed {seed} {SMALL}") for seed in range(1, 6)]
    of_bo = [await bos.say(f"!draw owl --seed {seed} {SMALL}") for seed in (6, 7)]
    drawn = [await adas.drawn(command) for command in of_ada + of_bo]

    assert [one.record["seed"] for one in drawn] == list(range(8))
    assert all(one.pixels for one in drawn)
    # Bo's two take turns with Ada's and do not wait for all six.
    order = [event.reply_to for event in ada.heard if event.mark.get("kind") == "picture"]
    assert order == [of_ada[0], of_bo[0], of_ada[1], of_bo[1], *of_ada[2:]]
