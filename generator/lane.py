"""The wall between the server and whatever draws: what they say to each other, by direction.

A lane draws one recipe at a time. The server keeps turns, attempts and the choice of a lane to itself; the lane knows
neither jobs nor requesters. Everything here is picklable, since a lane lives in a process of its own.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PIL.Image import Image

from generator.api import EarlierFacts, Error, Memory, Recipe

# ---- server to lane


@dataclass(frozen=True)
class Draw:
    """``earlier`` is what a recipe file said of its first drawing: the lane notes where this plan differs."""

    recipe: Recipe
    earlier: EarlierFacts | None = None


@dataclass(frozen=True)
class Cancel:
    """Give up the running recipe before its next step, without decoding."""


# ---- lane to server


@dataclass(frozen=True)
class Hello:
    """The first word of a lane that is ready: what it draws on, which models it has loaded, how full its memory is."""

    device: str
    models: tuple[str, ...]
    memory: Memory | None


@dataclass(frozen=True)
class Progress:
    """``step`` of ``steps`` are done; 0 says that the text is encoded and the model is loaded."""

    step: int
    steps: int
    models: tuple[str, ...]
    memory: Memory | None


@dataclass(frozen=True)
class Drawn:
    """A finished picture: an RGB image as it was drawn, and the facts that only the lane knows.

    ``enlarge`` is how many times as large it is to be kept and shown.
    """

    image: Image
    seconds: float
    model_revision: str
    plan: dict[str, str | int | float | bool | None]
    notes: tuple[str, ...]
    enlarge: int = 1


@dataclass(frozen=True)
class Failed:
    """No picture, with the reason; the lane goes on."""

    error: Error


@dataclass(frozen=True)
class Cancelled:
    """No picture, as asked."""


LaneEvent = Progress | Drawn | Failed | Cancelled


class LaneDied(Exception):
    """The lane's process ended, or said nothing for longer than its limit. ``str()`` says which, for the log."""


class Lane(Protocol):
    """What the server asks of anything that draws."""

    @property
    def is_ready(self) -> bool:
        """Whether hello() would return at once."""

    async def hello(self) -> Hello:
        """Start if need be, and return when ready to draw. Raises LaneDied, and DrawingFailed with the reason."""

    def run(self, draw: Draw) -> AsyncIterator[LaneEvent]:
        """Draw one recipe; the last event is Drawn, Failed or Cancelled. Raises LaneDied."""

    def cancel(self) -> None:
        """Ask the running recipe to end within one step; without one, do nothing."""

    async def close(self) -> None:
        """Free the card at once, whatever is running."""


# ---- inside the lane's process


class Engine(Protocol):
    """What the lane's process asks of the code that draws. Called from one thread only."""

    def hello(self) -> Hello:
        """Prepare the card and load the default model."""

    def start(self, draw: Draw) -> Any:
        """Encode the text, make the noise: a drawing with ``step``, ``steps`` (ints). Raises DrawingFailed."""

    def step(self, drawing: Any) -> None:
        """One step of denoising: ``drawing.step`` grows by one."""

    def finish(self, drawing: Any) -> Drawn:
        """Decode. Raises DrawingFailed when the result is no picture."""

    def models(self) -> tuple[str, ...]:
        """The models that are loaded now."""

    def memory(self) -> Memory | None:
        """How full the device's memory is now; None without a device."""


# Called in the lane's process, so that the server's own process never imports torch.
EngineFactory = Callable[[], Engine]
