"""The messages between the server and a worker, by direction, and the interfaces of both sides.

A worker draws several recipes at a time if that is faster than one after the other. The server keeps the queue,
attempts and the choice of a worker to itself; the worker knows neither jobs nor requesters. Everything here is
picklable, since a worker is a process of its own.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from PIL.Image import Image

from generator.api.types import EarlierFacts, Error, Memory, Recipe
from generator.workers.assistance import Assistant

# ---- server to worker


@dataclass(frozen=True)
class Draw:
    """Draw a recipe. ``id`` is the server's name for the drawing, ``image`` the file to draw from, if any.

    ``earlier`` are a recipe file's facts of its first drawing: the worker notes where its own plan differs.
    """

    id: str
    recipe: Recipe
    earlier: EarlierFacts | None = None
    image: Path | None = None


@dataclass(frozen=True)
class Cancel:
    """End a drawing before its next step, without decoding it."""

    id: str


@dataclass(frozen=True)
class Prepare:
    """Begin the work for a likely next recipe that can be done beside the present drawings."""

    recipe: Recipe


@dataclass(frozen=True)
class Help:
    """While there is nothing to draw, help the worker of this name, at the other end of the pipe.

    See `workers.assistance`. The pipe is pickled by itself: one that cannot be opened is no reason to end.
    """

    name: str
    pipe: bytes


@dataclass(frozen=True)
class Meet:
    """The worker of this name, at the other end of the pipe, may help you."""

    name: str
    pipe: bytes


# ---- worker to server


@dataclass(frozen=True)
class WorkerState:
    """The models that a worker has loaded, and its memory.

    ``at_once`` is the number of drawings of the latest one's model and size that, as measured, are faster with shared
    calls than in turns; ``arrangement`` says where the parts of the first model are, ``load_s`` how long its load
    took.
    """

    models: tuple[str, ...] = ()
    memory: Memory | None = None
    at_once: int = 1
    arrangement: str | None = None
    load_s: float = 0.0


@dataclass(frozen=True)
class Hello:
    """The first message of a worker, once it is ready to draw."""

    device: str
    state: WorkerState


@dataclass(frozen=True)
class Progress:
    """A drawing has done ``step`` of ``steps``; at 0 the text is encoded and the model is loaded."""

    step: int
    steps: int
    state: WorkerState


@dataclass(frozen=True)
class Preview:
    """A small RGB image of what a drawing looks like so far."""

    image: Image


@dataclass(frozen=True)
class Drawn:
    """A finished picture: an RGB image as drawn, and the facts that only the worker knows.

    ``enlarge`` is how many times as large to save and show it.
    """

    image: Image
    seconds: float
    model_revision: str
    plan: dict[str, str | int | float | bool | None]
    notes: tuple[str, ...]
    enlarge: int = 1


@dataclass(frozen=True)
class Failed:
    """A drawing gave no picture, with the reason; the worker goes on."""

    error: Error


@dataclass(frozen=True)
class Cancelled:
    """A drawing was ended on request, without a picture."""


WorkerEvent = Progress | Preview | Drawn | Failed | Cancelled


@dataclass(frozen=True)
class DrawingEvent:
    """An event of the drawing with this id."""

    id: str
    event: WorkerEvent


class WorkerDied(Exception):
    """The worker's process ended, or was silent for longer than its limit. ``str()`` describes its end in a clause."""


class Shape(NamedTuple):
    """Drawings of one shape can share the model's calls: same weights, same sizes."""

    model: str
    width: int
    height: int
    # A draft may use a LoRA.
    is_draft: bool


def shape_of(recipe: Recipe) -> Shape:
    return Shape(recipe.model, recipe.width, recipe.height, recipe.tier == "draft")


class Worker(Protocol):
    """The interface of anything that draws, for the server."""

    @property
    def is_ready(self) -> bool:
        """Whether ``hello`` would return at once."""

    async def hello(self) -> Hello:
        """Start if necessary, and return when ready to draw. Raises WorkerDied, and DrawingFailed with the reason."""

    def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
        """Draw one recipe beside others; the last event is Drawn, Failed or Cancelled. Raises WorkerDied."""

    def cancel(self, drawing_id: str) -> None:
        """Ask a drawing to end within one step; an unknown id does nothing."""

    def prepare(self, recipe: Recipe) -> None:
        """Announce the recipe that likely comes next, so that it starts sooner."""

    def meet(self, name: str, other: "Worker", others_name: str) -> None:
        """Let this worker, of that name, and one on an equal card help each other with lone drawings, if both can."""

    async def close(self) -> None:
        """Free the card at once, even in the middle of a drawing."""


# ---- inside the worker's process


class Engine(Protocol):
    """The interface of the code that draws, for the worker's process. Called from one thread only."""

    def hello(self) -> Hello:
        """Set up the card and load the default model."""

    def start(self, draw: Draw) -> Any:
        """Begin a drawing, which has ``step`` and ``steps`` (ints). Raises DrawingFailed."""

    def prepare(self, recipe: Recipe) -> None:
        """Begin the work for a drawing to come that can be done beside the others. Returns at once."""

    def step(self, drawings: Sequence[Any]) -> None:
        """Denoise each drawing by one step, adding one to its ``step``. After an error it may be called again."""

    def add_assistant(self, name: str, assistant: Assistant) -> None:
        """Note another worker that may compute a part of a lone drawing, in place of an earlier one of this name."""

    def can_assist(self, weights: str) -> bool:
        """Whether it can compute parts of other workers' drawings by these weights at once."""

    def assist(self, weights: str, work: Any) -> Any:
        """Compute a part of another worker's drawing, and return the result, which is not None."""

    def preview(self, drawing: Any) -> Image | None:
        """Return a picture of the drawing so far; None if it is unknown or too soon after the last one."""

    def finish(self, drawing: Any) -> Drawn:
        """Decode the drawing. Raises DrawingFailed if the result is not a picture."""

    def state(self) -> WorkerState:
        """Return the present state of models and memory."""


# Called in the worker's process, so that the server's process never imports torch.
EngineFactory = Callable[[], Engine]
