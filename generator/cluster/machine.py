"""One machine of the cluster: keeps a worker for each of its cards, and passes on what they say. Knows no Ray.

Runs as an actor, in a process that raylet starts. The workers are child processes of it, as they are on the machine of
the server, so they end with it.
"""

import logging
import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory

from generator import __version__
from generator.cluster.messages import (
    Beat,
    Ended,
    Farewell,
    Greeting,
    HasModels,
    Kill,
    Leaving,
    Said,
    Say,
    Start,
    ToMachine,
)
from generator.cluster.models import LOOK_EVERY_S, with_weights
from generator.log_lines import start_log
from generator.models.registry import capabilities
from generator.settings import load_settings
from generator.workers.cards import cards_of, engine_on
from generator.workers.messages import Draw, DrawingEvent, EngineFactory, Preview, Progress
from generator.workers.process import Child

log = logging.getLogger(__name__)

# Set by the command that joins: the machine's name, and its private folder with the files below.
NAME = "EASEL_MACHINE"
FOLDER = "EASEL_CLUSTER_FOLDER"
# A pipe to the command's log.
LOG = "log"
# The command makes the first when it should end, the machine the second when nothing is drawn any more.
LEAVE, LEFT = "leave", "left"

# A machine that is silent for longer than `driver.SILENT_S` is taken for dead, so it says something more often.
BEAT_S = 2.0


class Machine:
    """``talk`` is all that it says; ``take`` is all that it hears. They are called in two threads."""

    def __init__(self, engine: EngineFactory | None) -> None:
        """Without an ``engine`` it draws with the real one, as this machine's own settings have it."""
        # A child would import it anew: it is Ray's.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._folder = Path(os.environ[FOLDER])
        _log_to(self._folder / LOG)
        self._engine = engine
        self._settings = load_settings(None)
        self._cards = {card.name: card for card in cards_of(self._settings)}
        self._said: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._workers: dict[str, Child] = {}
        self._photos = TemporaryDirectory(prefix="photos-", dir=self._folder)

    def talk(self) -> Iterator[object]:
        """Yield what the machine and its workers say, without end."""
        name, models = os.environ.get(NAME) or node(), self._models()
        yield Greeting(name, version(), tuple(self._cards), models)
        is_leaving, looked = False, time.monotonic()
        while True:
            try:
                yield self._said.get(timeout=BEAT_S)
            except queue.Empty:
                yield Beat()
            if not is_leaving and (self._folder / LEAVE).exists():
                is_leaving = True
                yield Leaving(name)
            if time.monotonic() - looked >= LOOK_EVERY_S:
                looked, before, models = time.monotonic(), models, self._models()
                if models != before:
                    yield HasModels(name, models)

    def take(self, message: ToMachine) -> None:
        try:
            self._take(message)
        except Exception as error:
            # Nobody hears what is raised here.
            log.exception("the machine met a bug")
            if not isinstance(message, Farewell):
                self._said.put(Ended(message.key, f"its machine met a bug: {error}"))

    # ---- inside

    def _take(self, message: ToMachine) -> None:
        match message:
            case Start(_, key, card):
                self._start(key, card)
            case Say(_, key, said, photo) if worker := self._workers.get(key):
                if isinstance(said, Draw) and photo is not None:
                    file = self._photo(key, said.id)
                    file.write_bytes(photo)
                    said = replace(said, image=file)
                worker.send(said)
                # It may have ended meanwhile, in another thread.
                if key not in self._workers:
                    self._delete_photos(key)
            case Kill(_, key) if worker := self._workers.get(key):
                worker.kill()
            case Farewell():
                (self._folder / LEFT).touch()

    def _models(self) -> frozenset[str]:
        return with_weights(capabilities(self._settings))

    def _start(self, key: str, name: str) -> None:
        card = self._cards[name]
        engine = self._engine or engine_on(card, self._settings)
        self._workers[key] = Child(
            engine, card.environment, received=partial(self._received, key), ended=partial(self._ended, key)
        )

    def _received(self, key: str, message: object) -> None:
        if isinstance(message, DrawingEvent) and not isinstance(message.event, Progress | Preview):
            self._photo(key, message.id).unlink(missing_ok=True)
        self._said.put(Said(key, message))

    def _ended(self, key: str) -> None:
        self._said.put(Ended(key, self._workers.pop(key).ending()))
        self._delete_photos(key)

    def _photo(self, key: str, drawing_id: str) -> Path:
        return Path(self._photos.name) / f"{_file_name(key)}-{_file_name(drawing_id)}"

    def _delete_photos(self, key: str) -> None:
        for photo in Path(self._photos.name).glob(f"{_file_name(key)}-*"):
            photo.unlink(missing_ok=True)


def version() -> str:
    """What must be the same on all machines, in words: Easel's version, and Python's but for its last part."""
    return f"Easel {__version__} on Python {sys.version_info.major}.{sys.version_info.minor}"


def _file_name(text: str) -> str:
    # Of a fixed length: names of machines and jobs together are longer than a file's name may be.
    return sha256(text.encode()).hexdigest()


def _log_to(pipe: Path) -> None:
    """Send the log of this process, and of its children, to the command that joined."""
    # Without a reader, opening it to write would wait for one.
    with suppress(OSError):
        file = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(file, True)
        os.dup2(file, 2)
        os.close(file)
    start_log(logging.INFO)
