"""Two workers on equal cards: one computes for the other while it has nothing to draw itself.

A worker that draws asks another for help with a model, which answers once it is idle and has that model. From then on
it takes parts of the work, until it begins a drawing of its own and says so. Neither waits for the other but for the
part that is under way. Knows neither the parts nor torch; everything here is picklable.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

log = logging.getLogger(__name__)

# A part takes an equal card as long as the same part here. If the other one is so much later, it hangs.
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Ask:
    """Help with this model as soon as you have nothing else to do. A later one takes its place."""

    model: str


@dataclass(frozen=True)
class Willing:
    """Send parts for this model."""

    model: str


@dataclass(frozen=True)
class Busy:
    """Send no more parts, and do the last one yourself, if there is no result of it. Ask again."""


@dataclass(frozen=True)
class Part:
    """One part of the work for the model, with its number."""

    number: int
    model: str
    work: Any


@dataclass(frozen=True)
class Result:
    """The result of the part with this number."""

    number: int
    result: Any


class Assistant:
    """Another worker, for the one that it may help."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._number = 0
        self._asked: str | None = None
        self._willing: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or hung, and will never help again."""
        return self._pipe.closed

    def is_willing(self, model: str) -> bool:
        """Whether it takes parts for this model now. If not, asks it once. Returns at once."""
        try:
            while self._pipe.poll(0):
                self._hear(self._pipe.recv())
            if self._asked != model:
                self._pipe.send(Ask(model))
                self._asked, self._willing = model, None
        except (EOFError, OSError):
            self._leave()
        return self._willing == model

    def begin(self, work: Any) -> None:
        """Send a part to do. Only for one that is willing."""
        assert self._willing is not None
        self._number += 1
        try:
            self._pipe.send(Part(self._number, self._willing, work))
        except OSError:
            self._leave()

    def end(self, timeout_s: float) -> Any:
        """Wait for the result of the last part; None if it has become busy, has ended, or hangs."""
        give_up = time.monotonic() + timeout_s
        try:
            while self._willing is not None:
                if not self._pipe.poll(max(0.0, give_up - time.monotonic())):
                    log.warning("the worker that helps was silent for %.1f s, and is asked no more", timeout_s)
                    self._leave()
                    return None
                message = self._pipe.recv()
                if isinstance(message, Result) and message.number == self._number:
                    return message.result
                self._hear(message)
        except (EOFError, OSError):
            self._leave()
        return None

    def _hear(self, message: object) -> None:
        match message:
            # An answer to an earlier question, about another model, may still be on its way.
            case Willing(model) if model == self._asked:
                self._willing = model
            case Busy():
                self._asked = self._willing = None

    def _leave(self) -> None:
        """Ask it no more."""
        self._pipe.close()
        self._willing = None


class Guests:
    """The workers that this one helps while it has nothing to draw."""

    def __init__(self, has: Callable[[str], bool], do: Callable[[str, Any], Any]) -> None:
        """``has`` says whether a model is loaded here. ``do`` does a part with it, and returns None if it cannot."""
        self._has, self._do = has, do
        # The model that each has asked for, and those that may send parts for it.
        self._asked: dict[Connection, str | None] = {}
        self._helped: set[Connection] = set()

    def add(self, pipe: Connection) -> None:
        self._asked[pipe] = None

    def help_until(self, server: Connection) -> bool:
        """Do what they ask for until there is a message from the server; return True."""
        while True:
            for guest, model in list(self._asked.items()):
                if guest not in self._helped and model is not None and self._has(model):
                    self._helped.add(guest)
                    self._send(guest, Willing(model))
            ready = wait([server, *self._asked])
            if server in ready:
                return True
            for guest in self._asked.keys() & ready:
                self._serve(guest)

    def leave(self) -> None:
        """Send them back to their own work: there is something to draw here."""
        helped, self._helped = self._helped, set()
        for guest in helped:
            self._asked[guest] = None
            self._send(guest, Busy())

    def _serve(self, guest: Connection) -> None:
        try:
            message = guest.recv()
        except (EOFError, OSError):
            self._drop(guest)
            return
        match message:
            case Ask(model):
                self._asked[guest] = model
                self._helped.discard(guest)
            # It may have been sent before the guest heard that this worker is busy.
            case Part(number, model, work) if guest in self._helped:
                if (result := self._do(model, work)) is None:
                    # It would ask for the same again.
                    self._drop(guest)
                else:
                    self._send(guest, Result(number, result))

    def _send(self, guest: Connection, message: object) -> None:
        try:
            guest.send(message)
        except OSError:
            self._drop(guest)

    def _drop(self, guest: Connection) -> None:
        guest.close()
        self._helped.discard(guest)
        self._asked.pop(guest, None)
