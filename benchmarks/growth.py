"""Measure how cost grows with work: ``python -m benchmarks.growth [--out docs/growth.png]``.

Time and memory of the engine with pocket, by steps, by the picture's side and by the drawings that share a call; and of
the service, by the jobs that wait. Medians of turns through all points. Writes a picture with the charts, and JSON to
stdout.
"""

import argparse
import asyncio
import json
import math
import platform
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import aiohttp
import psutil
import torch

from benchmarks.charts import Chart, save
from generator.api.types import Recipe
from generator.bench.ours import Ours
from generator.bench.service import service
from generator.bench.subject import Subject
from generator.bench.timing import in_turns
from generator.models.registry import all_cards
from generator.settings import Settings

STEPS = (4, 8, 16, 32, 64)
SIDES = (64, 128, 192, 256, 320, 384)
TOGETHER = (1, 2, 3, 4, 6, 8)
WAITING = (0, 50, 100, 200, 400, 800)

# Enough where the number of steps does not matter.
FEW_STEPS = 4

REPEATS = 10
PUTS = 40

# Each point: the amount of work, seconds, bytes.
Points = list[tuple[float, float, float]]


def curve(ways: Mapping[int, Callable[[], object]], *, what: str) -> Points:
    """Measure the median seconds and the peak memory of each way, by its amount of work."""
    peaks = dict.fromkeys(ways, 0)

    def with_peak(at: int, _turn: int) -> None:
        forget_peak()
        ways[at]()
        peaks[at] = max(peaks[at], peak_bytes())

    taken = in_turns({str(at): partial(with_peak, at) for at in ways}, repeats=REPEATS, what=what)
    return [(at, statistics.median(taken[str(at)].seconds), peaks[at]) for at in ways]


def forget_peak() -> None:
    """Make Linux count the peak memory of this process anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def engine(ours: Ours, recipe: Callable[..., Recipe]) -> dict[str, Points]:
    small = (SIDES[0], SIDES[0])

    def together(count: int) -> None:
        ours.engine.models.get("pocket").at_once[math.prod(small)] = count
        ours.pictures([recipe(n, small, steps=FEW_STEPS) for n in range(count)])

    def drawn(side: int, steps: int) -> None:
        ours.picture(recipe(0, (side, side), steps=steps))

    return {
        "steps": curve({steps: partial(drawn, SIDES[0], steps) for steps in STEPS}, what="steps"),
        "side": curve({side: partial(drawn, side, FEW_STEPS) for side in SIDES}, what="side"),
        "together": curve({count: partial(together, count) for count in TOGETHER}, what="together"),
    }


async def queue(settings: Settings) -> Points:
    """Measure how long one more job takes to be accepted, and the server's memory, by the number of waiting jobs."""
    points: Points = []
    async with service(settings) as (http, pid):
        await http.post("/v1/pause")
        submitted = 0
        for waiting in WAITING:
            while submitted < waiting:
                await submit(http)
                submitted += 1
            seconds = [await submit(http) for _ in range(PUTS)]
            submitted += PUTS
            points.append((waiting, statistics.median(seconds), psutil.Process(pid).memory_info().rss))
    return points


async def submit(http: aiohttp.ClientSession) -> float:
    body = {"requester": "bench", "recipes": [{"slots": {"subject": ["otter"]}}]}
    began = time.perf_counter()
    async with http.put(f"/v1/jobs/growth-{secrets.token_hex(8)}", json=body) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.perf_counter() - began


def charts(found: Mapping[str, Points]) -> Sequence[Sequence[Chart]]:
    """Make a row of charts of time, and a row of memory."""
    across = {
        "steps": f"steps, {SIDES[0]} by {SIDES[0]} pixels",
        "side": f"side of the picture in pixels, {FEW_STEPS} steps",
        "together": f"drawings together (2 rows each), {FEW_STEPS} steps",
        "queue": "jobs that wait",
    }
    titles = {"steps": "A picture", "side": "A picture", "together": "All of them", "queue": "One more job accepted"}
    times = []
    memory = []
    for name, points in found.items():
        unit, scale = ("ms", 1000) if name == "queue" else ("s", 1)
        times.append(Chart(titles[name], unit, across[name], [(at, scale * seconds) for at, seconds, _ in points]))
        whose = "The server's memory" if name == "queue" else "Peak memory, all of torch included"
        in_mb = [(at, held / 1e6) for at, _, held in points]
        memory.append(Chart(whose, "MB", across[name], in_mb, colour="#b2521f"))
    return times, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/growth.png"))
    asked = parser.parse_args()
    card = all_cards(Settings())["pocket"]
    subject = Subject("pocket", card, "pocket")
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(device="cpu", max_at_once=1, max_queued_jobs=2 * max(WAITING))
        settings = subject.settings(own, Path(folder))
        found = {**engine(Ours(settings), subject.recipe), "queue": asyncio.run(queue(settings))}
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    foot = f"pocket on {machine}; {time.strftime('%Y-%m-%d')}; medians of {REPEATS} turns, {PUTS} jobs"
    save(charts(found), foot, asked.out)
    print(json.dumps({"machine": machine, **found}))


if __name__ == "__main__":
    main()
