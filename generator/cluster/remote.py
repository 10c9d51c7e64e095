"""The server's end of the cluster: the driver's process, and a Worker for each card of each machine. Knows no Ray."""

import asyncio
import fcntl
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory, gettempdir
from threading import Thread

from generator.cluster import driver
from generator.cluster.messages import Ended, Kill, Place, Said, Say, Start
from generator.workers.conversation import Inbox
from generator.workers.messages import Cancel, Draw, EngineFactory, Prepare

log = logging.getLogger(__name__)

_spawn = multiprocessing.get_context("spawn")

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
        self._pipe, far_end = _spawn.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self.process = _spawn.Process(target=driver.main, args=(far_end, place, engine, level), name="easel-cluster")
        self.process.start()
        far_end.close()
        self._to_send: SimpleQueue[object] = SimpleQueue()
        Thread(target=self._write, name="cluster-writer", daemon=True).start()
        Thread(target=self._read, args=(asyncio.get_running_loop(),), name="cluster-reader", daemon=True).start()

    def start_worker(self, machine: str, card: str, inbox: Inbox) -> "RemoteWorker":
        key = f"{machine}/{card}#{next(_keys)}"
        worker = self._workers[key] = RemoteWorker(self, machine, key, inbox)
        self.send(Start(machine, key, card))
        return worker

    def send(self, message: object) -> None:
        self._to_send.put(message)

    def forget(self, key: str) -> None:
        self._workers.pop(key, None)

    def lost(self, machine: str, how: str) -> None:
        """Tell the machine's workers that it is gone."""
        for worker in [worker for worker in self._workers.values() if worker.machine == machine]:
            worker.ended(how)

    async def close(self) -> None:
        self._to_send.put(None)
        await asyncio.to_thread(self.process.join, END_LIMIT_S)
        self.process.kill()
        await asyncio.to_thread(self.process.join)

    def _write(self) -> None:
        """Carry messages to the driver in a thread, since one that hangs takes none."""
        try:
            while (message := self._to_send.get()) is not None:
                self._pipe.send(message)
        except OSError as error:
            log.debug("the cluster's driver has ended: %s", error)  # _read says so
        # A close alone would not end the reading.
        with suppress(OSError):
            self._pipe.send(None)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        more = True
        while more:
            try:
                message = self._pipe.recv()
            except Exception as error:  # the end of the pipe, or bytes that cannot be unpickled, which ends it, too
                log.debug("the driver's pipe has ended: %r", error)
                message, more = None, False
            try:
                loop.call_soon_threadsafe(self._sort, message)
            except RuntimeError:  # the loop is closed, so there is no reader left
                more = False
        self._pipe.close()

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
