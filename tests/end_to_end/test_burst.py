"""Eight commands at once by two people, under the rate limits that a homeserver has by default."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"
HOLDING = "--steps 100"


async def test_nothing_of_a_burst_is_lost_and_turns_are_fair(rooms):
    adas, bos, *_ = rooms[True]

    # The first holds the card until all eight are there.
    of_ada = [await adas.say(f"!draw otter --seed 0 {HOLDING}")]
    of_ada += [await adas.say(f"!draw otter --seed {seed} {SMALL}") for seed in range(1, 6)]
    of_bo = [await bos.say(f"!draw owl --seed {seed} {SMALL}") for seed in (6, 7)]
    drawn = [await adas.drawn(command) for command in of_ada + of_bo]

    assert [one.record["seed"] for one in drawn] == list(range(8))
    assert all(one.pixels for one in drawn)
    # Bo's two take turns with Ada's and do not wait for all six.
    commands = {*of_ada, *of_bo}
    heard = adas.person.heard
    order = [event.reply_to for event in heard if event.mark.get("kind") == "picture" and event.reply_to in commands]
    assert order == [of_ada[0], of_bo[0], of_ada[1], of_bo[1], *of_ada[2:]]
