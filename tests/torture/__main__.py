"""`make torture`: kill the parts of a household again and again, and count what was lost and what came twice.

A real homeserver, maubot and generator, and more machines if several workers are to draw; two people who talk to the
bot in a plain and an encrypted room, and a hostile stranger who is there as well. The last line is JSON, and the exit
status 0 only if every command of the two brought one picture and one recipe of its seed, and the gallery shows it once.
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from household.errors import HouseholdError
from household.home import Household, household
from household.person import Person
from tests.torture.album import seeds_in_gallery
from tests.torture.audit import pictures, read_rooms, recipes
from tests.torture.campaign import Campaign
from tests.torture.mortals import Below, Machines, Mortal, of_household
from tests.torture.plan import strikes
from tests.torture.reckoning import cut_short, deliveries

# One thread for torch: homeserver, maubot and the people run at the same time. Pocket is the model even with a card.
ENV = {"OMP_NUM_THREADS": "1"}
SETTINGS = {"default_model": "pocket"}


async def room_of(home: Household, host: Person, *guests: Person, encrypted: bool) -> str:
    """A new room with the people and the bot in it."""
    everyone = (home.bot.user_id, *(guest.account.user_id for guest in guests))
    room_id = await host.make_room("a room", encrypted=encrypted, invite=everyone)
    for guest in guests:
        await guest.join(room_id)
    for person in (host, *guests):
        for user_id in everyone:
            await person.wait_for_member(room_id, user_id)
    return room_id


async def torture(folder: Path, *, kills: int, seed: int, workers: int) -> dict[str, int]:
    """Return the counts of the last line. Raises HouseholdError, also in groups."""
    began = time.monotonic()

    def report(news: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {news}", flush=True)

    report(f"Starting a household in {folder}")
    async with AsyncExitStack() as stack:
        machines = Machines(folder / "machines", workers - 1) if workers > 1 else None
        cluster = {"cluster": machines.cluster} if machines else {}
        home = await stack.enter_async_context(household(folder, generator_settings={**SETTINGS, **cluster}, env=ENV))
        mortals: dict[str, Mortal] = {**of_household(home)}
        if machines:
            others = await stack.enter_async_context(machines.running(home.generator, SETTINGS, ENV))
            drawing = [home.generator.child, *(machine.child for machine in others.values())]
            mortals |= {**others, "a process of those that draw": Below(drawing, seed)}
        people, stranger = (await home.person("ada"), await home.person("bo")), await home.person("mallory")
        plain = await room_of(home, *people, stranger, encrypted=False)
        rooms = plain, await room_of(home, *people, stranger, encrypted=True)
        elsewhere = await room_of(home, stranger, *people, encrypted=False)
        campaign = Campaign(home, people, stranger, rooms, elsewhere, mortals, report)
        try:
            for strike in strikes(seed, kills - len(mortals), tuple(mortals)):
                await campaign.strike(strike)
        except TimeoutError:
            report("Too many jobs are open, and nothing comes any more")
        await campaign.settle()
        report("All is quiet; the last kills must bring nothing")
        await campaign.cut_the_power()
        await campaign.settle()

        ada, commands = people[0], campaign.commands
        events = await read_rooms(ada, rooms)
        by_bot = [event for event in events if event.sender == home.bot.user_id]
        delivered = deliveries(commands, await pictures(ada, by_bot), await recipes(ada, by_bot))
        chat = await room_of(home, ada, encrypted=False)
        shown = Counter(await seeds_in_gallery(home, ada, chat, people))

    sent_at_ms = {event.event_id: event.sent_at_ms for event in events}
    stages = cut_short({one.event_id: sent_at_ms[one.event_id] for one in commands}, ada.heard, campaign.kills_at_ms)
    report("Open jobs at the kills: " + ", ".join(f"{count} {stage}" for stage, count in stages.items()))
    for event in by_bot:
        if event.type == "m.room.encrypted":
            report(f"Cannot be decrypted: {event.event_id} in {event.room_id}")
    for delivery in delivered:
        if delivery.is_lost or delivery.is_twice:
            report(str(delivery))
    return {
        "kills": len(campaign.kills_at_ms),
        "jobs": len(commands),
        "lost": sum(delivery.is_lost for delivery in delivered),
        "twice": sum(delivery.is_twice for delivery in delivered),
        "not once in the gallery": sum(shown[command.seed] != 1 for command in commands),
    }


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="Kill, start again, count.")
    parser.add_argument("--kills", type=int, default=200, help="how many processes are killed, at least all once")
    parser.add_argument("--seed", type=int, default=1, help="the same seed kills the same at the same moments")
    parser.add_argument("--workers", type=int, default=1, help="how many draw, each but the first on its own machine")
    options = parser.parse_args()
    # The report leaves out the client library's warnings about keys and devices.
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="easel-torture-"))
    result: dict[str, int] = {}
    try:
        result = asyncio.run(torture(folder, kills=options.kills, seed=options.seed, workers=options.workers))
    except* HouseholdError as group:
        print(*group.exceptions, sep="\n")
    failed = not result or result["lost"] or result["twice"] or result["not once in the gallery"]
    if failed:
        print(f"Logs and databases are in {folder}")
    else:
        shutil.rmtree(folder)
    if result:
        print(json.dumps(result))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
