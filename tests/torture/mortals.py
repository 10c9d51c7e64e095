"""What a campaign kills and starts again: the processes of a household, and those of more machines that draw for it.

The machines are on loopback. Each is the command that joins, and draws with pocket on the processor.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psutil
import yaml

from deploy.plugin import ROOT
from household.errors import HouseholdError
from household.generator_server import Generator
from household.home import Household
from household.memory import write_private
from household.processes import Child, claim
from tests.helpers.cluster import free_ports

# Ray takes so many ports on each machine.
PORTS = 60
# Of memory for photos and pictures on their way.
STORE_MB = 80


class Mortal(Protocol):
    """Something that can be killed and started again."""

    def check(self) -> None:
        """Raise HouseholdError if it has ended by itself."""

    async def kill(self) -> None:
        """Kill it without warning."""

    async def start(self) -> None:
        """Start it and return when it is ready."""


@dataclass(frozen=True)
class Process:
    """A process of a household."""

    child: Child
    start: Callable[[], Awaitable[None]]

    def check(self) -> None:
        if not self.child.is_running:
            raise HouseholdError(f"The {self.child.name} has ended by itself. Why is at the end of {self.child.log}")

    async def kill(self) -> None:
        await self.child.kill(alone=True)


class Below:
    """Any process that these have started: it draws, or carries what is drawn. Whoever started it starts another."""

    def __init__(self, children: list[Child], seed: int) -> None:
        self._children, self._random = children, Random(seed)

    def check(self) -> None: ...

    async def kill(self) -> None:
        parents = [psutil.Process(child.pid) for child in self._children if child.is_running]
        below = [process for parent in parents for process in parent.children(recursive=True)]
        if below:
            self._random.choice(sorted(below, key=lambda process: process.pid)).kill()

    async def start(self) -> None: ...


class Machines:
    """So many more machines for a generator, in a folder of their own."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self.names = folder, [f"machine-{n}" for n in range(1, count + 1)]
        self._port, self._token = free_ports(PORTS * (count + 1)), folder / "token"
        write_private(self._token, secrets.token_hex(32))

    @property
    def cluster(self) -> dict[str, Any]:
        """The generator's settings, by which it leads the machines."""
        return {"listen": "127.0.0.1", "port": self._port, "token_file": str(self._token), "store_mb": STORE_MB}

    @asynccontextmanager
    async def running(
        self, generator: Generator, settings: Mapping[str, Any], env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Process]]:
        """Start the machines, each with these settings of a generator, and stop them at the end."""
        path = self._folder / "settings.yml"
        path.write_text(yaml.safe_dump({"device": "cpu", **settings}))
        lock = await claim(self._folder / "processes", wait_s=0, otherwise="The machines of this folder are running")
        children = [
            Child(name, *self._command(number, path), folder=ROOT, log=self._folder / f"{name}.log", lock=lock, env=env)
            for number, name in enumerate(self.names, 1)
        ]
        mortals = {child.name: Process(child, partial(_join, child, generator)) for child in children}
        try:
            await asyncio.gather(*(mortal.start() for mortal in mortals.values()))
            yield mortals
        finally:
            await asyncio.gather(*(child.stop() for child in children))
            lock.close()

    def _command(self, number: int, settings: Path) -> tuple[str, ...]:
        command = (sys.executable, "-m", "generator", "--settings", str(settings), "worker")
        joins = ("--join", f"127.0.0.1:{self._port}", "--token-file", str(self._token))
        own = ("--name", self.names[number - 1], "--port", str(self._port + PORTS * number))
        return (*command, *joins, *own, "--store-mb", str(STORE_MB))


def of_household(home: Household) -> dict[str, Process]:
    """The three servers, by their names in a plan."""
    return {
        "maubot": Process(home.maubot.child, home.maubot.start),
        "generator": Process(home.generator.child, home.generator.start),
        "homeserver": Process(home.homeserver.child, home.homeserver.start),
    }


async def _join(machine: Child, generator: Generator) -> None:
    """Start a machine, and wait until it has joined. It does not wait for a generator that is away."""

    async def has_joined() -> bool:
        if not await generator.answers():
            return True
        return any(worker["name"].startswith(f"{machine.name}/") for worker in (await generator.health())["workers"])

    await machine.start()
    await machine.wait_until(has_joined)
