"""Measure the memory of the generator's server: ``python -m benchmarks.generator_memory [--jobs 20000]``.

A real server, whose engine paints instead of drawing. Clients submit jobs, follow them, fetch picture, thumbnail and
recipe, and have them forgotten. Prints the server's resident memory every 1,000 jobs.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil

from generator.service.server import serve
from generator.settings import Settings
from tests.helpers.bad_engines import Colour

EVERY = 1000
SIDE = 256
# Jobs at a time, as when some people ask at once.
AT_ONCE = 4


async def draw(session: aiohttp.ClientSession, job: str, seed: int) -> None:
    recipe = {"slots": {"subject": ["otter"]}, "seed": seed, "steps": 1, "width": SIDE, "height": SIDE}
    body = {"requester": f"@person-{seed % AT_ONCE}:home", "recipes": [recipe]}
    async with session.put(f"/v1/jobs/{job}", json=body):
        pass
    for path in ("events", "pictures/0", "pictures/0/thumbnail", "pictures/0/recipe"):
        async with session.get(f"/v1/jobs/{job}/{path}") as answer:
            await answer.read()
    async with session.delete(f"/v1/jobs/{job}/pictures"):
        pass


async def measure(socket: Path, server: psutil.Process, jobs: int) -> None:
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession("http://generator", connector=connector, raise_for_status=True) as session:
        began = time.monotonic()
        for first in range(0, jobs, AT_ONCE):
            await asyncio.gather(*(draw(session, f"job-{n}", n) for n in range(first, first + AT_ONCE)))
            done = first + AT_ONCE
            if done % EVERY == 0:
                memory_mb, files = server.memory_info().rss / 1e6, server.num_fds()
                seconds = time.monotonic() - began
                print(f"{done:6} jobs: {memory_mb:6.1f} MB, {files} files, {seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        socket = Path(name) / "s"
        settings = Settings(socket=socket, pictures=Path(name) / "pictures", default_model="ssd-1b", device="cpu")
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(settings, Colour))
        server.start()
        try:
            while not socket.exists():
                assert server.is_alive()
                time.sleep(0.1)
            assert server.pid is not None
            asyncio.run(measure(socket, psutil.Process(server.pid), asked.jobs))
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
