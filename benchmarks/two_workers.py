"""Measure two workers against one, on the processor: ``python -m benchmarks.two_workers [--jobs 8] [--repeats 3]``.

The real server and real workers with pocket. In turns, the same jobs of two people are drawn by one worker on one core,
by two workers on a core each, and by one worker on all cores; each waits until the last picture is there. Then single
pictures one after the other, of which two workers compute a row each.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from generator.models.cards import LimitSettings
from generator.models.registry import KeptCapabilities, all_cards
from generator.pictures.store import PictureStore
from generator.service.server import create_app
from generator.settings import Settings
from generator.workers.cards import cards_of, engine_on
from generator.workers.process import WorkerProcess

STEPS = 20
# Where a step takes longer than what else a picture costs, as on a card.
LONE_SIDE = 192
TOKEN = secrets.token_hex(16)
PEOPLE = ("@ann:home", "@bob:home")
# Who draws in each arrangement; the others pause.
ARRANGEMENTS = {"one core": ("cpu:0",), "two workers": ("cpu:0", "cpu:1"), "all cores": ("cpu",)}

Client = TestClient[web.Request, web.Application]


async def drawn(client: Client, jobs: int, *, model: str = "pocket", side: int = 64) -> float:
    """Seconds until that many jobs are drawn, at ``side`` by ``side`` pixels."""
    ids = [f"bench-{secrets.token_hex(6)}" for _ in range(jobs)]
    began = time.perf_counter()
    for n, job in enumerate(ids):
        recipe = {"slots": {"subject": ["otter", "cowboy hat"]}, "model": model, "steps": STEPS, "seed": n}
        recipe |= {"width": side, "height": side}
        body = {"requester": PEOPLE[n % 2], "recipes": [recipe]}
        async with client.put(f"/v1/jobs/{job}", json=body) as answer:
            assert answer.status == 201, await answer.text()
    for job in ids:
        async with client.get(f"/v1/jobs/{job}/events") as events:
            last = json.loads((await events.text()).splitlines()[-1])
        assert last["event"] == "done", last
    return time.perf_counter() - began


async def let_draw(client: Client, names: tuple[str, ...]) -> None:
    """Pause all other workers, and wait until these are ready."""
    for worker in (await health(client))["workers"]:
        call = "resume" if worker["name"] in names else "pause"
        async with client.post(f"/v1/{call}", params={"worker": worker["name"]}) as answer:
            assert answer.status == 200, await answer.text()
    while await are_ready(client) != set(names):  # noqa: ASYNC110 - no event of the API tells
        await asyncio.sleep(0.1)


async def are_ready(client: Client) -> set[str]:
    return {worker["name"] for worker in (await health(client))["workers"] if worker["state"] == "ready"}


async def health(client: Client) -> Any:
    async with client.get("/v1/health") as answer:
        return await answer.json()


async def measure(jobs: int, repeats: int, folder: Path) -> dict[str, Any]:
    pocket = all_cards(Settings())["pocket"]
    wide = pocket.model_copy(update={"limits": LimitSettings(min_side=64, max_side=LONE_SIDE)})
    settings = Settings(default_model="pocket", cards=("cpu", "cpu"), models={"wide": wide})
    cards = (*cards_of(settings), *cards_of(Settings(device="cpu")))
    workers = {
        card.name: WorkerProcess(
            engine_on(card, settings.model_copy(update={"cards": None})),
            environment=card.environment,
            load_timeout_s=settings.load_timeout_s,
            step_timeout_s=settings.step_timeout_s,
        )
        for card in cards
    }
    app = create_app(
        workers=workers,
        store=PictureStore(folder),
        capabilities=KeptCapabilities(settings),
        max_queued_jobs=jobs,
        token=TOKEN,
        allowed_hosts=("127.0.0.1",),
    )
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    lone: defaultdict[str, list[float]] = defaultdict(list)
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for _ in range(repeats):
            for name, drawing in ARRANGEMENTS.items():
                await let_draw(client, drawing)
                # Each process draws one picture of each number at once before it counts.
                await drawn(client, 2 * len(drawing))
                seconds[name].append(await drawn(client, jobs))
                # At first each process measures both ways.
                for _ in range(2 * len(drawing)):
                    await drawn(client, 1, model="wide", side=LONE_SIDE)
                lone[name].append(await drawn(client, 1, model="wide", side=LONE_SIDE))
    medians, alone = ({name: statistics.median(taken) for name, taken in each.items()} for each in (seconds, lone))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "jobs": jobs,
        "seconds": {name: [round(second, 2) for second in taken] for name, taken in seconds.items()},
        "seconds of a lone picture": {name: [round(second, 2) for second in taken] for name, taken in lone.items()},
        "lone, two workers to one core": round(alone["one core"] / alone["two workers"], 2),
        "two workers to one core": round(medians["one core"] / medians["two workers"], 2),
        "two workers to all cores": round(medians["all cores"] / medians["two workers"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(asked.jobs, asked.repeats, Path(folder))), indent=2))


if __name__ == "__main__":
    main()
