"""The wall between the server and whatever draws: what they say to each other, by direction.

A worker draws several recipes at a time where that is faster than one after the other. The server keeps the queue,
attempts and the choice of a worker to itself; the worker knows neither jobs nor requesters. Everything here is
picklable, since a worker lives in a process of its own.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL.Image import Image

from generator.api.types import EarlierFacts, Error, Memory, Recipe

# ---- server to worker


@dataclass(frozen=True)
class Draw:
    """``id`` is the server's name for this drawing. ``earlier`` is what a recipe file said of its first drawing: the
    worker notes where this plan differs. ``image`` is the file that the recipe draws from, if any."""

    id: str
    recipe: Recipe
    earlier: EarlierFacts | None = None
    image: Path | None = None


@dataclass(frozen=True)
class Cancel:
    """Give up this drawing before its next step, without decoding."""

    id: str


@dataclass(frozen=True)
class Prepare:
    """This comes next, as far as one knows: begin with what can be made beside the drawings that are under way."""

    recipe: Recipe


# ---- worker to server


@dataclass(frozen=True)
class WorkerState:
    """What a worker has loaded and how full its memory is. ``at_once`` is how many drawings that share their calls are
    faster together than in turns, as it measured."""

    models: tuple[str, ...] = ()
    memory: Memory | None = None
    at_once: int = 1


@dataclass(frozen=True)
class Hello:
    """The first word of a worker that is ready: what it draws on."""

    device: str
    state: WorkerState


@dataclass(frozen=True)
class Progress:
    """``step`` of ``steps`` are done; 0 says that the text is encoded and the model is loaded."""

    step: int
    steps: int
    state: WorkerState


@dataclass(frozen=True)
class Preview:
    """What a drawing looks like so far: a small RGB image."""

    image: Image


@dataclass(frozen=True)
class Drawn:
    """A finished picture: an RGB image as it was drawn, and the facts that only the worker knows.

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
    """No picture, with the reason; the worker goes on."""

    error: Error


@dataclass(frozen=True)
class Cancelled:
    """No picture, as asked."""


WorkerEvent = Progress | Preview | Drawn | Failed | Cancelled


@dataclass(frozen=True)
class Said:
    """Something that has happened to the drawing with that id."""

    id: str
    event: WorkerEvent


class WorkerDied(Exception):
    """The worker's process ended, or said nothing for longer than its limit. ``str()`` says which, for the log."""


def shares_calls_with(one: Recipe, other: Recipe) -> bool:
    """Whether two drawings can go through the model in the same calls: same weights, same shapes."""
    return _shape(one) == _shape(other)


def _shape(recipe: Recipe) -> tuple[str, int, int, bool]:
    # A draft may draw with weights that are changed for it.
    return recipe.model, recipe.width, recipe.height, recipe.tier == "draft"


class Worker(Protocol):
    """What the server asks of anything that draws."""

    @property
    def is_ready(self) -> bool:
        """Whether hello() would return at once."""

    async def hello(self) -> Hello:
        """Start if need be, and return when ready to draw. Raises WorkerDied, and DrawingFailed with the reason."""

    def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
        """Draw one recipe beside others; the last event is Drawn, Failed or Cancelled. Raises WorkerDied."""

    def cancel(self, drawing_id: str) -> None:
        """Ask that drawing to end within one step; without it, do nothing."""

    def prepare(self, recipe: Recipe) -> None:
        """Tell what comes next, so that it may begin sooner."""

    async def close(self) -> None:
        """Free the card at once, whatever is running."""


# ---- inside the worker's process


class Engine(Protocol):
    """What the worker's process asks of the code that draws. Called from one thread only."""

    def hello(self) -> Hello:
        """Prepare the card and load the default model."""

    def start(self, draw: Draw) -> Any:
        """Encode the text, make the noise: a drawing with ``step``, ``steps`` (ints). Raises DrawingFailed."""

    def prepare(self, recipe: Recipe) -> None:
        """Begin with what of a drawing to come can be made beside the others. Waits for nothing."""

    def step(self, drawings: Sequence[Any]) -> None:
        """One step of denoising for each: every ``step`` grows by one. One that raised may be stepped again."""

    def preview(self, drawing: Any) -> Image | None:
        """What it looks like so far; None where that is not known, or too soon to be told again."""

    def finish(self, drawing: Any) -> Drawn:
        """Decode. Raises DrawingFailed when the result is no picture."""

    def state(self) -> WorkerState:
        """What is loaded now."""


# Called in the worker's process, so that the server's own process never imports torch.
EngineFactory = Callable[[], Engine]
