"""Start and stop the household's processes, so that none outlives the process that started it."""

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from household.errors import HouseholdError

# A first start writes databases and may build a model on a slow disk.
START_LIMIT_S = 300

# The generator gives its running job 20 s at most (see its settings).
STOP_LIMIT_S = 30

# The time between two checks on a starting process: short beside its start, long beside the check.
LOOK_EVERY_S = 0.1

PR_SET_PDEATHSIG = 1


class Child:
    """One process of the household, with its own process group and log."""

    def __init__(
        self,
        name: str,
        *command: str,
        folder: Path,
        log: Path,
        lock: IO[str],
        env: Mapping[str, str],
        stop_limit_s: float = STOP_LIMIT_S,
    ) -> None:
        """Run the command in ``folder``; ``lock`` stays locked for as long as the process lives."""
        self.name = name
        self.log = log
        self._command = command
        self._folder = folder
        self._lock = lock
        self._env = env
        self._stop_limit_s = stop_limit_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        # One log per run, however often the process is started in it.
        with self.log.open("wb" if self._process is None else "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env={**os.environ, **self._env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C in the terminal reaches only the parent, which then stops its children in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
                pass_fds=[self._lock.fileno()],
            )

    async def wait_until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Wait until ``ready()`` is true. Raises HouseholdError if the process ends first or takes too long."""
        deadline = time.monotonic() + START_LIMIT_S
        while not await ready():
            if not self.is_running:
                raise HouseholdError(f"The {self.name} did not start. Why is at the end of {self.log}")
            if time.monotonic() > deadline:
                raise HouseholdError(f"The {self.name} is not ready after {START_LIMIT_S} s. See {self.log}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def ended(self) -> int:
        """Wait for the end of the process; return its exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> int | None:
        """Terminate the process, then kill its whole group. Returns its exit status; None if it never started."""
        if self._process is None:
            return None
        if self.is_running:
            self._process.terminate()
            try:
                await asyncio.wait_for(self.ended(), self._stop_limit_s)
            except TimeoutError:
                print(f"The {self.name} did not stop within {self._stop_limit_s:g} s and was killed.", file=sys.stderr)
        return await self.kill()

    async def kill(self, *, alone: bool = False) -> int | None:
        """Kill the process, and unless ``alone`` all that it started. Returns its exit status; None as in ``stop``."""
        if self._process is None:
            return None
        with suppress(ProcessLookupError):
            (os.kill if alone else os.killpg)(self._process.pid, signal.SIGKILL)
        return await self.ended()


def end_with_parent() -> None:
    """Call it in a child: if the parent dies unexpectedly, the kernel kills the child, too (Linux only).

    It kills and does not terminate: a maubot that is terminated at the wrong moment never ends. Databases and pictures
    survive that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def claim(path: Path, *, wait_s: float, otherwise: str) -> IO[str]:
    """Lock the file for as long as the returned file is open, here or in a child. Raises HouseholdError."""
    file = path.open("a")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise HouseholdError(otherwise) from None
        await asyncio.sleep(LOOK_EVERY_S)
