"""Measure what another machine costs: ``python -m benchmarks.cluster [--jobs 40]``.

A real server and another machine on loopback, with Ray between them, and an engine that paints at once: what is left
is the way there and back. In turns, the same jobs are drawn by the server's own worker and by the other one, and so are
jobs of which each of many steps is reported. Then the other one's drawing process is killed several times, and a job is
cancelled as often.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from PIL import Image

from generator.pictures.store import PictureStore
from tests.helpers.bad_engines import drawn
from tests.helpers.cluster import MODEL, OWN_MODEL, parts
from tests.helpers.running_generator import recipe_of

# Kills and cancels; each of them takes a second or two.
REPEATS = 5
SIZES = {"small": 256, "large": 768}
PICTURES, STEPS = 9, 100
SAVED = 40


class Client:
    """A few calls of the API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session, self._jobs = session, 0

    async def call(self, method: str, path: str, **more: Any) -> Any:
        async with self._session.request(method, f"http://easel/v1/{path}", **more) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def submit(self, model: str, subject: str, size: int, steps: int, *, pictures: int = 1) -> str:
        self._jobs += 1
        recipe = {"slots": {"subject": [subject]}, "model": model, "width": size, "height": size, "steps": steps}
        job = f"bench-{self._jobs}"
        await self.call("PUT", f"jobs/{job}", json={"requester": "@ann:home", "recipes": [recipe] * pictures})
        return job

    async def until(self, job: str, wanted: str) -> float:
        """Wait for the first such event of the job; return when it came."""
        async with self._session.get(f"http://easel/v1/jobs/{job}/events") as events:
            async for line in events.content:
                if json.loads(line)["event"] == wanted:
                    return time.perf_counter()
        raise AssertionError(f"{job} ended without {wanted}")

    async def until_joined(self) -> None:
        """Wait for the server, and for the other machine."""
        while True:
            with suppress(aiohttp.ClientError):
                if await self.other_worker():
                    return
            await asyncio.sleep(0.1)

    async def other_worker(self) -> Any:
        workers = (await self.call("GET", "health"))["workers"]
        return next((worker for worker in workers if worker["name"] == "attic/cpu"), None)


async def job_s(client: Client, model: str, size: int) -> float:
    began = time.perf_counter()
    return await client.until(await client.submit(model, "otter", size, 1), "done") - began


async def events_per_second(client: Client, model: str) -> float:
    """Reports of steps that come through in a second, pictures included."""
    began = time.perf_counter()
    ended = await client.until(
        await client.submit(model, "chatty otter", SIZES["small"], STEPS, pictures=PICTURES), "done"
    )
    return PICTURES * STEPS / (ended - began)


async def restart_s(client: Client) -> float:
    """Seconds from the death of the drawing process to the first step of the job's next attempt."""
    job = await client.submit(MODEL, "slow otter", SIZES["small"], 40)
    await client.until(job, "progress")
    worker = await client.other_worker()
    began = time.perf_counter()
    os.kill(int(worker["device"].rpartition(" ")[2]), signal.SIGKILL)
    while not (worker := await client.other_worker()) or worker["state"] != "loading":  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    again_s = await client.until(job, "progress") - began
    await client.call("DELETE", f"jobs/{job}")
    return again_s


async def cancel_s(client: Client) -> float:
    """Seconds from the cancel of a job to the end of the next one, which takes one step."""
    job = await client.submit(MODEL, "slow otter", SIZES["small"], 100)
    await client.until(job, "progress")
    began = time.perf_counter()
    await client.call("DELETE", f"jobs/{job}")
    return await client.until(await client.submit(MODEL, "otter", SIZES["small"], 1), "done") - began


def pictures_per_second(folder: Path) -> float:
    """Pictures, noisy ones, that all cores together write as PNG with their recipe."""
    side, store = SIZES["large"], PictureStore(folder)
    image = Image.merge("RGB", [Image.effect_noise((side, side), 40) for _ in range(3)])
    recipe = recipe_of(subject=("otter",)).model_copy(update={"width": side, "height": side})
    with ThreadPoolExecutor() as threads:
        began = time.perf_counter()
        list(threads.map(lambda n: store.save(drawn(image), recipe, "bench", n), range(SAVED)))
        return SAVED / (time.perf_counter() - began)


async def measure(socket: Path, jobs: int) -> dict[str, Any]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:
        client = Client(session)
        await client.until_joined()
        figures: dict[str, Any] = {}
        for name, size in SIZES.items():
            both = [(await job_s(client, OWN_MODEL, size), await job_s(client, MODEL, size)) for _ in range(jobs)]
            here, there = (round(1000 * statistics.median(column), 1) for column in zip(*both, strict=True))
            figures[name] = {"here_ms": here, "there_ms": there, "ratio": round(there / here, 2)}
        events = [
            (await events_per_second(client, OWN_MODEL), await events_per_second(client, MODEL)) for _ in range(REPEATS)
        ]
        here, there = (round(statistics.median(column)) for column in zip(*events, strict=True))
        figures["events_per_second"] = {"here": here, "there": there}
        figures["restart_s"] = round(statistics.median([await restart_s(client) for _ in range(REPEATS)]), 2)
        figures["cancel_s"] = round(statistics.median([await cancel_s(client) for _ in range(REPEATS)]), 2)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what another machine costs.")
    parser.add_argument("--jobs", type=int, default=40, help="of each size on each worker")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        for started in parts(Path(folder)):
            figures = asyncio.run(measure(started.socket, asked.jobs))
        figures["pictures_per_second"] = round(pictures_per_second(Path(folder) / "saved"), 1)
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
