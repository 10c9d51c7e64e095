"""Engines for the real worker process: one is good and fast, the others are named after their sin.

Each class is a picklable factory; none imports torch.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from generator.api.types import Memory, Recipe
from generator.errors import CardBusy, CardLost, CardUnusable, DrawingFailed, WeightsMissing
from generator.workers.assistance import Assistant
from generator.workers.messages import Draw, Drawn, Hello, WorkerState

# Long enough for a test to act between two steps, short enough to keep tests fast.
SLOW_STEP_S = 0.05

PAINT_BOX_BYTES = 8 * 1024**3


@dataclass
class Drawing:
    draw: Draw
    step: int = 0

    @property
    def steps(self) -> int:
        return self.draw.recipe.steps


@dataclass
class Colour:
    """Draws a gradient of the seed's colour without delay. Every step adds a byte to the memory in use."""

    loaded: tuple[str, ...] = field(default=())
    used_bytes: int = 0
    at_once: int = 1

    def hello(self) -> Hello:
        self.loaded = ("stand-in",)
        return Hello("paint box", self.state())

    def state(self) -> WorkerState:
        memory = Memory(used_bytes=self.used_bytes, total_bytes=PAINT_BOX_BYTES)
        return WorkerState(self.loaded, memory, self.at_once)

    def prepare(self, recipe: Recipe) -> None:
        """Nothing to do."""

    def add_assistant(self, name: str, assistant: Assistant) -> None:
        """Colours need no help."""

    def can_assist(self, weights: str) -> bool:
        return False

    def assist(self, weights: str, work: Any) -> Any:
        raise AssertionError("nobody asks")

    def start(self, draw: Draw) -> Drawing:
        return Drawing(draw)

    def step(self, drawings: Sequence[Drawing]) -> None:
        for drawing in drawings:
            self.step_one(drawing)

    def step_one(self, drawing: Drawing) -> None:
        drawing.step += 1
        self.used_bytes += 1

    def preview(self, drawing: Drawing) -> Image.Image | None:
        return None

    def finish(self, drawing: Drawing) -> Drawn:
        return drawn(self.paint(drawing))

    def paint(self, drawing: Drawing) -> Image.Image:
        recipe = drawing.draw.recipe
        red, green, blue = (recipe.seed >> shift & 255 for shift in (0, 8, 16))
        grey = Image.linear_gradient("L").resize((recipe.width, recipe.height))
        return Image.merge("RGB", [grey.point(lambda x, c=c: (x + c) % 256) for c in (red, green, blue)])


def drawn(image: Image.Image) -> Drawn:
    plan: dict[str, str | int | float | bool | None]
    plan = {"device": "paint box", "dtype": "colour", "tiling": False, "rows": 1}
    return Drawn(image, seconds=0.01, model_revision="1", plan=plan, notes=("Painted, not drawn.",))


class Foreseeing(Colour):
    """Reports with every picture the seed of the recipe that it last prepared."""

    def prepare(self, recipe: Recipe) -> None:
        self.foreseen = recipe.seed

    def finish(self, drawing: Drawing) -> Drawn:
        painted = super().finish(drawing)
        return replace(painted, plan={**painted.plan, "foreseen": getattr(self, "foreseen", None)})

    def step_one(self, drawing: Drawing) -> None:
        time.sleep(SLOW_STEP_S)
        super().step_one(drawing)


class Slow(Colour):
    """Takes its time over every step."""

    def step_one(self, drawing: Drawing) -> None:
        time.sleep(SLOW_STEP_S)
        super().step_one(drawing)


class SlowWhenLarge(Slow):
    """Says that four share calls at 64 pixels, and one at 128. A picture takes long to begin."""

    def start(self, draw: Draw) -> Drawing:
        time.sleep(0.3)
        self.at_once = 4 if draw.recipe.width == 64 else 1
        return super().start(draw)


class Raising(Colour):
    """Has a bug, unless the subject is good."""

    def step_one(self, drawing: Drawing) -> None:
        if "good" not in drawing.draw.recipe.prompt:
            raise ZeroDivisionError("a bug in the engine, not for people to read")
        super().step_one(drawing)


class Babbling(Colour):
    """Reports its steps as words, unless the subject is good."""

    def step_one(self, drawing: Drawing) -> None:
        super().step_one(drawing)
        if "good" not in drawing.draw.recipe.prompt:
            drawing.step = Words(drawing.step)


class Words(int):
    """A number that arrives in the server as a string."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (str, ("one",))


class Failing(Colour):
    """Fails with a reason instead of a picture."""

    def finish(self, drawing: Drawing) -> Drawn:
        raise DrawingFailed("not_a_number", "The picture came out as nothing. Another seed may work.")


class Dying(Colour):
    """Ends its process during a step if the subject names a way to die."""

    def step_one(self, drawing: Drawing) -> None:
        prompt = drawing.draw.recipe.prompt
        if "exit" in prompt:
            os._exit(3)
        if "segfault" in prompt:
            os.kill(os.getpid(), signal.SIGSEGV)
        super().step_one(drawing)


class Hanging(Colour):
    """Hangs in a step, unless the subject is good."""

    def step_one(self, drawing: Drawing) -> None:
        while "good" not in drawing.draw.recipe.prompt:
            time.sleep(1)
        super().step_one(drawing)


class Rubbish(Colour):
    """Returns the bad picture that the subject names: black, one colour, another size, another mode."""

    def paint(self, drawing: Drawing) -> Image.Image:
        recipe = drawing.draw.recipe
        size = (recipe.width, recipe.height)
        match recipe.prompt:
            case "black":
                return Image.new("RGB", size)
            case "constant":
                return Image.new("RGB", size, (120, 130, 140))
            case "small":
                return super().paint(drawing).resize((8, 8))
            case "grey":
                return super().paint(drawing).convert("L")
        return super().paint(drawing)


class OutOfMemoryError(RuntimeError):
    """Has the name of torch's exception."""


class Greedy(Colour):
    """Runs out of the card's memory, unless the subject is good."""

    def start(self, draw: Draw) -> Drawing:
        if "good" not in draw.recipe.prompt:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 7 EiB")
        return super().start(draw)


class Crowded(Colour):
    """Runs out of memory with two drawings at a time."""

    def step(self, drawings: Sequence[Drawing]) -> None:
        if len(drawings) > 1:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 7 EiB")
        super().step(drawings)


class Deaf(Colour):
    """Never gets ready."""

    def hello(self) -> Hello:
        time.sleep(3600)
        return super().hello()


@dataclass(kw_only=True)
class Late(Colour):
    """Loads until the weights file exists."""

    weights: Path

    def hello(self) -> Hello:
        self.load()
        return super().hello()

    def load(self) -> None:
        while not self.weights.exists():
            time.sleep(SLOW_STEP_S)


class Lazy(Late):
    """Greets at once and loads at the first drawing."""

    def hello(self) -> Hello:
        return Hello("paint box", self.state())

    def start(self, draw: Draw) -> Drawing:
        self.load()
        self.loaded = ("stand-in",)
        return super().start(draw)


@dataclass(kw_only=True)
class Outplayed(Colour):
    """Finds no free memory while the game's file exists."""

    game: Path

    def start(self, draw: Draw) -> Drawing:
        if self.game.exists():
            raise CardBusy("Another program holds 6.0 of the card's 8.0 GiB.")
        return super().start(draw)


@dataclass(kw_only=True)
class Cardless(Colour):
    """Finds no card while the file exists. A process looks for cards once, so it is asked only once."""

    card_is_away: Path
    error: type[CardLost] | type[CardUnusable] = CardLost

    def hello(self) -> Hello:
        if self.card_is_away.exists():
            raise self.error("CUDA finds no card: No CUDA GPUs are available")
        return super().hello()


class Showing(Slow):
    """Returns a preview of every step."""

    def preview(self, drawing: Drawing) -> Image.Image | None:
        return self.paint(drawing).resize((8, 8))


class Unborn(Colour):
    """Dies before its first word."""

    def hello(self) -> Hello:
        os._exit(4)


class Mumbling(Colour):
    """Sends something else as its greeting."""

    def hello(self) -> Hello:
        return Words(1)  # type: ignore[return-value]  # its sin


class Alien(Colour):
    """Sends a greeting that the server cannot unpickle."""

    def hello(self) -> Hello:
        return Elsewhere()  # type: ignore[return-value]  # its sin


class Elsewhere:
    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (int, ("no number",))


class Weightless(Colour):
    """Has no weights."""

    def hello(self) -> Hello:
        raise WeightsMissing("The weights of stand-in are not on this machine.")


class Lacking(Colour):
    """Has the weights of one model only."""

    def start(self, draw: Draw) -> Drawing:
        if "good" not in draw.recipe.prompt:
            raise WeightsMissing("The weights of mine are not here. Run python -m generator fetch mine")
        return super().start(draw)


@dataclass(kw_only=True)
class Forsaken(Colour):
    """Finds no weights once their file is removed."""

    weights: Path

    def hello(self) -> Hello:
        return super().hello() if self.weights.exists() else Weightless().hello()


# Cannot be pickled for the worker process: the bug is in the server, not in an engine.
Unsendable = lambda: Colour()  # noqa: E731 - a named function could be pickled
