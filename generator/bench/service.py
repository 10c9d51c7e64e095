"""R7 and R11: the whole service in a process of its own, measured over its UNIX socket."""

import asyncio
import json
import secrets
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from statistics import median
from typing import Any

import aiohttp
import yaml
from tqdm import tqdm

from generator.bench.figures import Figure, Report, figure
from generator.bench.subject import MAX_STEPS, Subject
from generator.bench.timing import warm_up
from generator.errors import DrawingFailed
from generator.settings import Settings

# The most beside the time on the card: a ratio for long jobs, seconds for short ones.
MOST_OF_LONG = 1.03
MOST_ON_TOP_S = 0.10
LONG_S = 5.0

# Well above the line between long and short, since a machine is not always as fast.
LONG_DRAWING_S = 8.0

MOST_UNTIL_READY_S = 6.0

# The first start reads the files from the disk, and does not count.
COLD_STARTS = 1

# Long enough for a large model on a slow disk.
_START_LIMIT_S = 600.0
_LOOK_EVERY_S = 0.02


async def measure_service(report: Report, subject: Subject, settings: Settings, *, repeats: int, copy_s: float) -> None:
    """R7 and R11. ``copy_s`` is the time of copying the weights to the card, which no start can save."""
    starts = []
    for turn in tqdm(range(-COLD_STARTS, repeats), desc="R11, start to ready", unit="start"):
        began = time.perf_counter()
        async with service(settings) as (http, _):
            starts.append(time.perf_counter() - began)
            if turn == repeats - 1:
                report.rows["R7"] = await _on_top(http, subject.card.defaults.steps, repeats=repeats)
    report.rows["R11"] = {"start to ready": figure(starts[COLD_STARTS:], MOST_UNTIL_READY_S + copy_s, unit="s")}


async def _on_top(http: aiohttp.ClientSession, steps: int, *, repeats: int) -> dict[str, Figure]:
    """What the service adds to jobs of ``steps`` steps, and to jobs of enough steps to be long."""
    figures = {}
    for name in ("usual", "long"):
        pairs = await _jobs(http, steps, repeats=repeats, what=f"R7, {name} jobs")
        drawing_s = median(drawn for _, drawn in pairs)
        figures[f"jobs of {drawing_s:.1f} s"] = _overhead(pairs, is_long=drawing_s >= LONG_S)
        steps = min(MAX_STEPS, ceil(LONG_DRAWING_S / drawing_s * steps))
    return figures


def _overhead(pairs: list[tuple[float, float]], *, is_long: bool) -> Figure:
    if is_long:
        return figure([whole / drawn for whole, drawn in pairs], MOST_OF_LONG)
    return figure([whole - drawn for whole, drawn in pairs], MOST_ON_TOP_S, unit="s")


async def _jobs(http: aiohttp.ClientSession, steps: int, *, repeats: int, what: str) -> list[tuple[float, float]]:
    turns = tqdm(range(-warm_up(repeats), repeats), desc=what, unit="job")
    return [await _job(http, turn, steps=steps) for turn in turns][warm_up(repeats) :]


async def _job(http: aiohttp.ClientSession, turn: int, **recipe: Any) -> tuple[float, float]:
    """Submit a job; return the seconds until its last event, and the seconds of its drawing."""
    path = f"/v1/jobs/bench-{secrets.token_hex(8)}"
    body = {"requester": "bench", "recipes": [{"slots": {"subject": ["otter", f"cowboy hat {turn}"]}, **recipe}]}
    began = time.perf_counter()
    async with http.put(path, json=body) as answer:
        answer.raise_for_status()
    async with http.get(f"{path}/events") as events:
        *_, last = [json.loads(line) async for line in events.content]
    whole_s = time.perf_counter() - began
    if not last["job"]["pictures"]:
        raise DrawingFailed("bench_failed", f"The service did not draw: {last['job']['error']}")
    return whole_s, float(last["job"]["pictures"][0]["facts"]["seconds"])


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """Start a service; yield a client and its process id once it can draw. Its settings are beside its socket."""
    file = settings.socket.with_name("settings.yml")
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "generator", "--settings", str(file), "serve", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession("http://easel", connector=aiohttp.UnixConnector(str(settings.socket))) as http:
            async with asyncio.timeout(_START_LIMIT_S):
                await _ready(http, process)
            yield http, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(http: aiohttp.ClientSession, process: Process) -> None:
    while True:
        try:
            async with http.get("/v1/health") as answer:
                if (await answer.json())["state"] == "ready":
                    return
        except aiohttp.ClientConnectorError:
            pass
        if process.returncode is not None:
            raise DrawingFailed("bench_failed", "The service ended before it was ready.")
        await asyncio.sleep(_LOOK_EVERY_S)
