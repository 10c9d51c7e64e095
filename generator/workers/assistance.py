"""Two workers on equal cards: one computes for the other while it has nothing to draw itself.

A worker that draws asks another one, which answers once it is idle and has the same weights. From then on it takes
parts of the work, until it begins a drawing of its own and says so. Neither waits longer than for the part under way.
Knows neither the parts nor torch.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from generator.workers.pipes import Writer

log = logging.getLogger(__name__)

# A part takes an equal card as long as the same part here. If the other one is so much later, something is wrong there.
PATIENCE_S = 10.0

# Two workers that are helped at once are slower than alone. If one sends nothing for so long, another one may have it.
SILENCE_S = 3.0


@dataclass(frozen=True)
class Ask:
    """Help with these weights as soon as you have nothing else to do. A later one takes its place."""

    weights: str


@dataclass(frozen=True)
class Willing:
    """Send parts for these weights."""

    weights: str


@dataclass(frozen=True)
class Busy:
    """Send no more parts, and do the last one yourself, if there is no result of it. Ask again."""


@dataclass(frozen=True)
class Part:
    """One part of the work, with its number."""

    number: int
    weights: str
    work: Any


@dataclass(frozen=True)
class Result:
    """The result of the part with this number."""

    number: int
    result: Any


class Line:
    """One end of a pipe between two workers. Sending never waits; after the end it does nothing."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._writer = pipe, Writer(pipe, "assistance")
        self.send = self._writer.send

    @property
    def has_ended(self) -> bool:
        return self._pipe.closed

    def fileno(self) -> int:
        return self._pipe.fileno()

    def recv(self, timeout_s: float = 0) -> object:
        """Return the next message; None if there is none in time. Hangs up at the other one's end."""
        try:
            return self._pipe.recv() if self._pipe.poll(timeout_s) else None
        except (EOFError, OSError):
            self.hang_up()
            return None

    def hang_up(self) -> None:
        if self._pipe.closed:
            return
        # Unlike closing, this ends a send that waits, here or at the other end.
        with socket.socket(fileno=os.dup(self._pipe.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
        self._writer.end()
        self._pipe.close()


class Assistant:
    """Another worker, for the one that it may help."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._number = 0
        self._asked: str | None = None
        self._willing: str | None = None

    def is_willing(self, weights: str) -> bool:
        """Whether it takes parts for these weights now. If not, asks it once. Returns at once."""
        while (message := self._line.recv()) is not None:
            self._hear(message)
        if self._line.has_ended:
            return False
        if self._asked != weights:
            self._line.send(Ask(weights))
            self._asked, self._willing = weights, None
        return self._willing == weights

    def begin(self, work: Any) -> None:
        """Send a part to do. Only for one that is willing. ``end`` must follow."""
        assert self._willing is not None
        self._number += 1
        self._line.send(Part(self._number, self._willing, work))

    def end(self, timeout_s: float) -> Any:
        """Wait for the result of the last part; None if it has become busy, has ended, or takes too long."""
        give_up = time.monotonic() + timeout_s
        while self._willing is not None:
            message = self._line.recv(max(0.0, give_up - time.monotonic()))
            if isinstance(message, Result) and message.number == self._number:
                return message.result
            self._hear(message)
            if message is None:
                if not self._line.has_ended:
                    log.warning("the worker that helps was silent for %.1f s, and is asked no more", timeout_s)
                self.leave()
        return None

    def leave(self) -> None:
        """Ask it no more."""
        self._line.hang_up()
        self._willing = None

    def _hear(self, message: object) -> None:
        match message:
            # An answer to an earlier question, about other weights, may still be on its way.
            case Willing(weights) if weights == self._asked:
                self._willing = weights
            case Busy():
                self._asked = self._willing = None


class Guests:
    """The workers that this one helps while it has nothing to draw, one at a time."""

    def __init__(self, has: Callable[[str], bool], do: Callable[[str, Any], Any]) -> None:
        """``has`` says whether weights are loaded here. ``do`` does a part with them, and returns None if it cannot."""
        self._has, self._do = has, do
        self._lines: dict[str, Line] = {}
        # What those who wait have asked for, the first one first.
        self._asked: dict[Line, str] = {}
        self._helped: Line | None = None
        self._heard_at = 0.0

    def add(self, name: str, line: Line) -> None:
        """Note the worker with this name, in place of an earlier process of it."""
        if name in self._lines:
            self._drop(self._lines[name])
        self._lines[name] = line

    def help_until(self, server: Connection) -> None:
        """Do what they ask for until there is a message from the server."""
        while True:
            self._choose()
            ends: list[Any] = [server, *self._lines.values()]
            ready: list[Any] = wait(ends, timeout=SILENCE_S if self._asked else None)
            if server in ready:
                return
            for line in list(self._lines.values()):
                if line in ready:
                    self._serve(line)

    def leave(self) -> None:
        """Send the one that is helped back to its own work: there is something to draw here."""
        if self._helped is not None:
            self._helped.send(Busy())
            self._helped = None

    def _choose(self) -> None:
        waiting = next((line for line, weights in self._asked.items() if self._has(weights)), None)
        if waiting is None:
            return
        if time.monotonic() - self._heard_at > SILENCE_S:
            self.leave()
        if self._helped is None:
            self._helped, self._heard_at = waiting, time.monotonic()
            waiting.send(Willing(self._asked.pop(waiting)))

    def _serve(self, line: Line) -> None:
        match line.recv():
            case Ask(weights):
                self._asked[line] = weights
                if self._helped is line:
                    self._helped = None
            # It may have been sent before the guest heard that this worker is busy.
            case Part(number, weights, work) if self._helped is line:
                if (result := self._do(weights, work)) is None:
                    # It would ask for the same again.
                    self._drop(line)
                else:
                    line.send(Result(number, result))
                    self._heard_at = time.monotonic()
            case None:
                self._drop(line)

    def _drop(self, line: Line) -> None:
        line.hang_up()
        self._lines = {name: other for name, other in self._lines.items() if other is not line}
        self._asked.pop(line, None)
        if self._helped is line:
            self._helped = None
