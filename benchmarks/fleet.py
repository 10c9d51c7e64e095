"""Measure the dispatcher of a large fleet: ``python -m benchmarks.fleet [--workers 1000] [--jobs 100000] [--seed 1]``.

The real queue, dispatcher and supervisors over simulated workers, in virtual time: several models, of which some do not
fit small cards, cards of unequal speed, workers that die, and people who ask for 1 to 500 pictures at once.
"""

import argparse
import asyncio
import json
import logging
import random
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import looptime
import psutil
from PIL import Image

from benchmarks.charts import Chart, save
from generator.api.types import Error, JobRequest, JobState, Picture, Recipe, RecipeRequest, Slots
from generator.errors import DOES_NOT_FIT
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.service.dispatcher import Dispatcher
from generator.service.eta import Speeds
from generator.service.failures import Pauses
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.workers.messages import (
    Draw,
    Drawn,
    Failed,
    Hello,
    Progress,
    Worker,
    WorkerDied,
    WorkerEvent,
    WorkerState,
)

LARGE_MODEL = "proteus-v0.2"
MODELS = ("ssd-1b", "ssd-1b", "ssd-1b", "sdxl-turbo", LARGE_MODEL, "pocket")
SIZES = ((512, 512), (768, 768), (832, 1216))
STEPS = (8, 20, 30)

# From a GTX 1070 to a card twelve times as fast, in pixels and steps a second.
SPEEDS = (0.5e6, 1e6, 2e6, 6e6)
# To start a process with the default model, and to load another one.
START_S = 25.0
LOAD_S = 15.0
# A worker in 20 has a card that is too small for the largest model, and a drawing in 2000 kills its worker.
SMALL = 1 / 20
DEATHS = 1 / 2000
MOST_JOBS = 500

# In a chart.
POINTS = 100

GiB = 2**30


@dataclass
class SimulatedWorker:
    """Draws nothing, in the time that a card of this ``speed`` takes."""

    speed: float
    is_small: bool
    chance: random.Random
    loaded: tuple[str, ...] = ()
    is_ready: bool = False
    # Seconds of drawing, loading and starting.
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    async def hello(self) -> Hello:
        if not self.is_ready:
            await self._spend("starting", START_S)
            self.is_ready, self.loaded = True, MODELS[:1]
        return Hello("a simulated card", self._state())

    async def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
        recipe = draw.recipe
        if self.is_small and recipe.model == LARGE_MODEL:
            yield Failed(Error(code=DOES_NOT_FIT, message="It does not fit.", limit=4 * GiB))
            return
        if recipe.model not in self.loaded:
            await self._spend("loading", LOAD_S)
            self.loaded = (recipe.model,)
        yield Progress(0, recipe.steps, self._state())
        seconds = recipe.steps * recipe.pixels / self.speed
        if self.chance.random() < DEATHS:
            await self._spend("dying", seconds * self.chance.random())
            self.is_ready, self.loaded = False, ()
            raise WorkerDied("the simulated process died")
        await self._spend("drawing", seconds)
        yield Progress(recipe.steps, recipe.steps, self._state())
        yield Drawn(_PICTURE, seconds, "1", {}, ())

    def cancel(self, drawing_id: str) -> None:
        """Nobody cancels."""

    def prepare(self, recipe: Recipe) -> None:
        """Nothing to prepare."""

    def meet(self, name: str, other: Worker, others_name: str) -> None:
        """Nobody helps."""

    async def close(self) -> None:
        self.is_ready, self.loaded = False, ()

    def _state(self) -> WorkerState:
        return WorkerState(self.loaded, load_s=LOAD_S)

    async def _spend(self, on: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.spent[on] += seconds


class NoSaving(Saving):
    """Adds the picture to its job at once, without a file."""

    async def _save(self, job: Job, n: int, drawn: Drawn, on_failure: Callable[[], None]) -> None:
        self._jobs.picture(job, _saved(n))


def _saved(n: int) -> Picture:
    unchecked: Any = Picture
    picture: Picture = unchecked.model_construct(n=n)
    return picture


_PICTURE = Image.new("RGB", (1, 1))


def asked_by_people(count: int, chance: random.Random) -> list[Job]:
    """``count`` jobs of people who ask for 1 to MOST_JOBS each, few of them for many, in the order of their asking."""
    asked: list[str] = []
    while len(asked) < count:
        jobs = min(MOST_JOBS, int(chance.paretovariate(0.7)), count - len(asked))
        asked += [f"@person-{len(asked)}:home"] * jobs
    # People ask at the same time, each in their own order.
    chance.shuffle(asked)
    return [_job(n, person, chance) for n, person in enumerate(asked)]


def _job(n: int, person: str, chance: random.Random) -> Job:
    width, height = chance.choice(SIZES)
    recipe = Recipe(
        slots=Slots(subject=("otter",)),
        negative_prompt="",
        theme="otter",
        model=chance.choice(MODELS),
        seed=n,
        width=width,
        height=height,
        steps=chance.choice(STEPS),
        guidance_scale=7,
        sampler="unipc",
        tier="exact",
    )
    return Job(f"job-{n}", JobRequest(requester=person, recipes=(RecipeRequest(slots=recipe.slots),)), (recipe,), ())


def work_of(job: Job) -> float:
    return sum(recipe.steps * recipe.pixels for recipe in job.recipes)


@dataclass
class Result:
    """What one run came to; times in virtual seconds, except for the cost."""

    figures: dict[str, Any]
    # For each job that was drawn: when it should start in fair shares, and when it started.
    fair: list[float]
    started: list[float]


async def simulate(workers: int, count: int, seed: int) -> Result:
    chance = random.Random(seed)  # noqa: S311 - a fleet to measure
    loop = asyncio.get_running_loop()
    fleet = {
        f"card-{n}": SimulatedWorker(chance.choice(SPEEDS), chance.random() < SMALL, random.Random(n))  # noqa: S311
        for n in range(workers)
    }
    jobs_asked = asked_by_people(count, chance)
    before = psutil.Process().memory_info().rss
    metrics, speeds = Metrics(), Speeds()
    jobs = Jobs(max_queued=count, speeds=speeds, metrics=metrics, clock=loop.time)
    with TemporaryDirectory() as folder:
        store, uploads = PictureStore(Path(folder)), Uploads(Path(folder))
        dispatcher = Dispatcher(
            fleet,
            jobs=jobs,
            saving=NoSaving(jobs=jobs, store=store, uploads=uploads),
            uploads=uploads,
            speeds=speeds,
            metrics=metrics,
            pauses=Pauses(),
        )
        began, work_began = time.process_time(), time.perf_counter()
        for job in jobs_asked:
            jobs.add(job)
        accepted_s = time.process_time() - began
        memory = psutil.Process().memory_info().rss - before
        await dispatcher.resume()
        while jobs.queued:  # noqa: ASYNC110 - no event tells when the last one has started
            await asyncio.sleep(1)
        emptied = loop.time()
        spent = {what: sum(worker.spent[what] for worker in fleet.values()) for what in ("drawing", "loading")}
        while jobs.running:  # noqa: ASYNC110
            await asyncio.sleep(1)
        cost_s, real_s = time.process_time() - began, time.perf_counter() - work_began
        await dispatcher.drain(timeout_s=0)

    capacity = sum(worker.speed for worker in fleet.values())
    capacity *= spent["drawing"] / (emptied - START_S) / workers
    fair = _fair_starts(jobs_asked, capacity)
    drawn = [job for job in jobs_asked if job.started is not None]
    excess = [(job.started or 0) - START_S - fair[job] for job in drawn]
    states = [job.state for job in jobs_asked]
    percent = [round(100 * spent[what] / (emptied - START_S) / workers, 1) for what in ("drawing", "loading")]
    figures = {
        "workers": workers,
        "jobs": count,
        "people": len({job.request.requester for job in jobs_asked}),
        "done": states.count(JobState.DONE),
        "failed": states.count(JobState.FAILED),
        "lost": len(states) - states.count(JobState.DONE) - states.count(JobState.FAILED),
        "drawing_percent": percent[0],
        "loading_percent": percent[1],
        "late_s": {
            "median": round(statistics.median(excess), 1),
            "p99": round(statistics.quantiles(excess, n=100)[-1], 1),
            "most": round(max(excess), 1),
        },
        "longest_drawing_s": round(max(map(work_of, jobs_asked)) / min(SPEEDS), 1),
        "load_s": LOAD_S,
        "hours": round(emptied / 3600, 2),
        "accept_ms": round(1000 * accepted_s / count, 3),
        "dispatch_ms": round(1000 * (cost_s - accepted_s) / count, 3),
        "memory_mb": round(memory / 1e6, 1),
        "real_s": round(real_s, 1),
    }
    return Result(figures, [fair[job] for job in drawn], [(job.started or 0) - START_S for job in drawn])


def _fair_starts(asked: list[Job], capacity: float) -> dict[Job, float]:
    """When each job starts if all workers were one, of their speed together, and people took turns in its work."""
    turns: defaultdict[int, float] = defaultdict(float)
    turn_of, number = {}, defaultdict[str, int](int)
    for job in asked:
        turn_of[job] = number[job.request.requester]
        number[job.request.requester] += 1
        turns[turn_of[job]] += work_of(job)
    until, total = {}, 0.0
    for turn in sorted(turns):
        total += turns[turn]
        until[turn] = total / capacity
    return {job: until[turn] for job, turn in turn_of.items()}


def charts(result: Result) -> list[Chart]:
    """When jobs start against when they should, and how late they are."""
    both = sorted(zip(result.fair, result.started, strict=True))
    some = both[:: max(1, len(both) // POINTS)]
    late = sorted(started - fair for fair, started in both)
    parts = [late[min(len(late) - 1, n * len(late) // POINTS)] for n in range(POINTS + 1)]
    return [
        Chart("Start of each job", "minutes", "minutes, in fair shares", [(a / 60, b / 60) for a, b in some]),
        Chart("Late", "seconds", "% of the jobs", [(100 * n / POINTS, max(0.0, part)) for n, part in enumerate(parts)]),
    ]


def run(workers: int, count: int, seed: int) -> Result:
    loop = looptime.new_event_loop()
    loop.setup_looptime(noop_cycles=2)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(simulate(workers, count, seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where to save the chart")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    result = run(asked.workers, asked.jobs, asked.seed)
    if asked.out:
        save([charts(result)], f"{asked.workers} simulated workers, {asked.jobs} jobs", asked.out)
    print(json.dumps(result.figures, indent=2))


if __name__ == "__main__":
    main()
