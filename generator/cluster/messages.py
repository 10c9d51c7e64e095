"""What travels between server and cluster, by direction: server, driver (the server's child with Ray), machine.

A worker has a name, such as ``attic/cuda:0``, and each start of it a key of its own, so that nothing of an earlier
start is taken for the present one. Everything here is picklable.
"""

from dataclasses import dataclass
from pathlib import Path

from generator.workers.messages import Cancel, Draw, Prepare

# ---- server to driver, at its start


@dataclass(frozen=True)
class Place:
    """Where a machine takes part: its own address and ports, its token, a private folder, and its object store."""

    address: str
    port: int
    token_file: Path
    folder: Path
    store_bytes: int


# ---- server to driver to machine


@dataclass(frozen=True)
class Start:
    """Start a worker on this card of the machine."""

    machine: str
    key: str
    card: str


@dataclass(frozen=True)
class Say:
    """Give a worker a message. ``photo`` is the content of the file that it draws from: the driver fills it in."""

    machine: str
    key: str
    message: Draw | Cancel | Prepare
    photo: bytes | None = None


@dataclass(frozen=True)
class Kill:
    """End a worker at once."""

    machine: str
    key: str


@dataclass(frozen=True)
class Farewell:
    """Nothing is drawn on the machine any more: it may leave."""

    machine: str


ToMachine = Start | Say | Kill | Farewell

# ---- machine to driver, and driver to server


@dataclass(frozen=True)
class Beat:
    """It has nothing to say, and still runs."""


# ---- machine to driver


@dataclass(frozen=True)
class Greeting:
    """The first message of a machine: what it runs, the names of its cards, and the models whose weights it has."""

    machine: str
    version: str
    cards: tuple[str, ...]
    models: frozenset[str]


# ---- machine to driver to server


@dataclass(frozen=True)
class Said:
    """A message of a worker."""

    key: str
    message: object


@dataclass(frozen=True)
class Ended:
    """A worker has ended; ``how`` is a clause."""

    key: str
    how: str


@dataclass(frozen=True)
class HasModels:
    """The machine has the weights of these models now."""

    machine: str
    models: frozenset[str]


@dataclass(frozen=True)
class Leaving:
    """The machine wants to leave once it has drawn what it draws."""

    machine: str


# ---- driver to server


@dataclass(frozen=True)
class Joined:
    """A machine is there."""

    machine: str
    cards: tuple[str, ...]
    models: frozenset[str]


@dataclass(frozen=True)
class Lost:
    """A machine is gone; ``how`` is a clause."""

    machine: str
    how: str
