"""The server's end of the cluster: the driver's process, and a Worker for each card of each machine. Knows no Ray."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from generator.cluster import driver
from generator.cluster.messages import Ended, Kill, Place, Said, Say, Start
from generator.workers.conversation import Inbox
from generator.workers.messages import Cancel, Draw, EngineFactory, Prepare
from generator.workers.pipes import ChildProcess, caller_in_loop

# How long the driver may take to end Ray's processes before it is killed.
END_LIMIT_S = 10.0

_FOLDER, _LOCK = "easel-", "in-use"

_keys = count()


class Driver:
    """One process of the driver, from its start to its end. ``news`` gets what it says of machines."""

    def __init__(self, place: Place, engine: EngineFactory | None, news: Callable[[object], None]) -> None:
        """``news`` gets None at the end."""
        self._news = news
        self._workers: dict[str, RemoteWorker] = {}
        sort = partial(caller_in_loop(), self._sort)
        self._process = ChildProcess(
            driver.main, place, engine, name="easel-cluster", received=sort, ended=partial(sort, None)
        )
        self.send = self._process.send

    def start_worker(self, machine: str, card: str, inbox: Inbox) -> "RemoteWorker":
        key = f"{machine}/{card}#{next(_keys)}"
        worker = self._workers[key] = RemoteWorker(self, machine, key, inbox)
        self.send(Start(machine, key, card))
        return worker

    def forget(self, key: str) -> None:
        self._workers.pop(key, None)

    def lost(self, machine: str, how: str) -> None:
        """Tell the machine's workers that it is gone."""
        for worker in [worker for worker in self._workers.values() if worker.machine == machine]:
            worker.ended(how)

    async def close(self) -> None:
        # It ends at this.
        self.send(None)
        try:
            await asyncio.to_thread(self._process.wait, END_LIMIT_S)
        finally:
            self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def _sort(self, message: object) -> None:
        match message:
            case Said(key, said):
                if key in self._workers:
                    self._workers[key].inbox.put(said)
            case Ended(key, how):
                if key in self._workers:
                    self._workers[key].ended(how)
            case _:
                self._news(message)


class RemoteWorker:
    """The carrier to a worker on another machine (see `generator.workers.conversation`)."""

    def __init__(self, link: Driver, machine: str, key: str, inbox: Inbox) -> None:
        self._driver, self.machine, self._key, self.inbox = link, machine, key, inbox
        self._how: str | None = None

    @property
    def is_alive(self) -> bool:
        return self._how is None

    def send(self, message: Draw | Cancel | Prepare) -> None:
        self._driver.send(Say(self.machine, self._key, message))

    def ended(self, how: str) -> None:
        if self._how is None:
            self._how = how
            self.inbox.end()
        self._driver.forget(self._key)

    async def ending(self) -> str:
        return self._how or "it has not ended"

    async def kill(self) -> None:
        self._driver.send(Kill(self.machine, self._key))
        self.ended("it was ended")


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for Ray's files and for photos, until it is left. Removes those of processes that were killed.

    Its path is short, since sockets in it have no more than 107 characters.
    """
    for folder in Path(gettempdir()).glob(f"{_FOLDER}*"):
        # One that is in use cannot be locked.
        with suppress(OSError):
            if folder.lstat().st_uid == os.getuid() and (folder / _LOCK).is_file():
                with (folder / _LOCK).open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
    with (
        TemporaryDirectory(prefix=_FOLDER, ignore_cleanup_errors=True) as name,
        (Path(name) / _LOCK).open("wb") as file,
    ):
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(name)
