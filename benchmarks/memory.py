"""Measure the memory of the generator's server: ``python -m benchmarks.memory [--jobs 20000]``.

A real server, whose engine paints instead of drawing. A client submits one job after the other, follows it, fetches
its picture, thumbnail and recipe, and has it forgotten. Prints the server's resident memory every 1,000 jobs.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil
import yaml

EVERY = 1000
SIDE = 256
# Jobs at a time, as when some people ask at once.
AT_ONCE = 4

SERVER = """
import sys
from pathlib import Path
from generator.service.server import serve
from generator.settings import load_settings
from tests.helpers.bad_engines import Colour
if __name__ == "__main__":
    sys.exit(serve(load_settings(Path(sys.argv[1])), Colour))
"""


async def draw(session: aiohttp.ClientSession, job: str, seed: int) -> None:
    recipe = {"slots": {"subject": ["otter"]}, "seed": seed, "steps": 1, "width": SIDE, "height": SIDE}
    body = {"requester": f"@person-{seed % AT_ONCE}:home", "recipes": [recipe]}
    async with session.put(f"/v1/jobs/{job}", json=body) as answer:
        assert answer.status == 201, await answer.text()
    for path in ("events", "pictures/0", "pictures/0/thumbnail", "pictures/0/recipe"):
        async with session.get(f"/v1/jobs/{job}/{path}") as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
    async with session.delete(f"/v1/jobs/{job}/pictures") as answer:
        assert answer.status == 204


async def measure(socket: Path, server: psutil.Process, jobs: int) -> None:
    async with aiohttp.ClientSession("http://easel", connector=aiohttp.UnixConnector(str(socket))) as session:
        began = time.monotonic()
        for first in range(0, jobs, AT_ONCE):
            await asyncio.gather(*(draw(session, f"job-{n}", n) for n in range(first, first + AT_ONCE)))
            done = first + AT_ONCE
            if done % EVERY == 0:
                memory, files = server.memory_info().rss / 1e6, server.num_fds()
                print(f"{done:6} jobs: {memory:6.1f} MB, {files} files, {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server.py").write_text(SERVER)
        settings = {"socket": str(folder / "s"), "pictures": str(folder / "pictures"), "default_model": "ssd-1b"}
        (folder / "settings.yml").write_text(yaml.safe_dump({**settings, "device": "cpu"}))
        command = [sys.executable, str(folder / "server.py"), str(folder / "settings.yml")]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(command, stderr=log, env={"PYTHONPATH": str(Path.cwd())})
        try:
            while not (folder / "s").exists():
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            asyncio.run(measure(folder / "s", psutil.Process(server.pid), asked.jobs))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
