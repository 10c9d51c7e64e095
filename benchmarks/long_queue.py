"""Measure a long queue, in one process: ``python -m benchmarks.long_queue [--jobs 100000] [--people 1000] [--json]``.

The processor time to accept a job and answer with its position and ETA, to ask for them again, to start the next job
and to cancel one, while so many wait. Nothing else of the server runs: no HTTP, no worker, no disk.
"""

import argparse
import json
import logging
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import psutil

from generator.api.types import JobRequest, Recipe, RecipeRequest, Slots
from generator.service.eta import Eta, Speeds
from generator.service.job import Demand, Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics

MODELS = ("ssd-1b", "sdxl-turbo", "proteus", "pocket")
SIZES = ((512, 512), (768, 768), (832, 1216))
STEPS = (8, 20, 30, 50)

MEASURED = 1000


def a_job(number: int, person: str, chance: random.Random) -> Job:
    width, height = chance.choice(SIZES)
    recipe = Recipe(
        slots=Slots(subject=("otter",)),
        negative_prompt="",
        theme="otter",
        model=chance.choice(MODELS),
        seed=number,
        width=width,
        height=height,
        steps=chance.choice(STEPS),
        guidance_scale=7,
        sampler="unipc",
        tier=chance.choice(("exact", "fast")),
    )
    asked = JobRequest(requester=person, recipes=(RecipeRequest(slots=recipe.slots),))
    return Job(f"job-{number}", asked, (recipe,) * chance.choice((1, 1, 1, 4, 9)), ())


def measured_eta(chance: random.Random) -> Eta:
    """Every model and tier has its speed, so that every estimate is computed."""
    eta = Eta()
    for n in range(1000):
        recipe = a_job(n, "bench", chance).recipes[0]
        eta.note(recipe, recipe.pixels / 1e6)
    for model in MODELS:
        eta.note_load(model, 10)
    return eta


def timed(calls: list[Callable[[], object]]) -> dict[str, float]:
    taken = []
    for call in calls:
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
    return {
        "median_ms": round(1000 * statistics.median(taken), 3),
        "p95_ms": round(1000 * statistics.quantiles(taken, n=20)[-1], 3),
        "most_ms": round(1000 * max(taken), 3),
    }


def measure(count: int, people: int) -> dict[str, dict[str, float]]:
    chance = random.Random(1)  # noqa: S311 - a queue to measure
    jobs = Jobs(max_queued=count + MEASURED, speeds=Speeds(measured_eta(chance)), metrics=Metrics())
    before = psutil.Process().memory_info().rss
    waiting = [a_job(n, f"@{chance.randrange(people)}:home", chance) for n in range(count + MEASURED)]
    made = psutil.Process().memory_info().rss

    def accept(job: Job) -> None:
        jobs.add(job)
        jobs.status(job)

    for job in waiting[:count]:
        accept(job)
    held = psutil.Process().memory_info().rss

    def start() -> None:
        place = jobs.choose([Demand(frozenset({MODELS[0]}))])
        assert place is not None
        jobs.take(place, Eta())

    some = chance.sample(waiting, MEASURED)
    found = {
        "accept": timed([partial(accept, job) for job in waiting[count:]]),
        "position and ETA": timed([partial(jobs.status, job) for job in some]),
        "start the next": timed([start] * MEASURED),
        "cancel": timed([partial(jobs.cancel, job) for job in some]),
    }
    memory = {"the jobs": (made - before) / 1e6, "the queue": (held - made) / 1e6}
    return {**found, "memory_mb": {what: round(megabytes, 1) for what, megabytes in memory.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    found = measure(asked.jobs, asked.people)
    print(json.dumps(found) if asked.json else "\n".join(f"{what}: {figures}" for what, figures in found.items()))


if __name__ == "__main__":
    main()
