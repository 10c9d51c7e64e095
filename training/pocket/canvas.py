"""Draw with outlines and tinted light, in units of a picture that is 64 wide and 64 high. Knows no animals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 64

# The side of the larger training pictures: half as large again, as for drawing over a smaller picture.
LARGER_SIDE = 96

# Shapes are drawn this many times larger and then reduced, since Pillow's own have no smooth edges.
OVERSAMPLING = 4

Floats = NDArray[np.float32]

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (38, 28, 36)


@dataclass
class Canvas:
    """A picture being drawn. Every shape is filled, and outlined ``line`` units wide by default.

    ``side`` is the number of pixels for the 64 units, a multiple of 32 for the blocks of pixel art.
    """

    line: float
    side: int = SIDE
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ink: Colour = INK

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.side * OVERSAMPLING, self.side * OVERSAMPLING))
        self._scale = self.side * OVERSAMPLING / SIDE
        self._draw = ImageDraw.Draw(self.image)

    def ellipse(self, centre: Point, rx: float, ry: float, fill: Colour, *, line: float | None = None) -> None:
        x, y = centre
        width = self.line if line is None else line
        if width:
            self._draw.ellipse(
                self._scaled((x - rx - width, y - ry - width), (x + rx + width, y + ry + width)), self.ink
            )
        self._draw.ellipse(self._scaled((x - rx, y - ry), (x + rx, y + ry)), self.lit(fill))

    def polygon(self, points: Sequence[Point], fill: Colour, *, line: float | None = None) -> None:
        width = self.line if line is None else line
        if width:
            self.stroke([*points, points[0], points[1]], self.ink, width=2 * width, lit=False)
        self._draw.polygon(self._scaled(*points), self.lit(fill))

    def rectangle(self, top_left: Point, bottom_right: Point, fill: Colour, *, line: float | None = None) -> None:
        (left, top), (right, bottom) = top_left, bottom_right
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill, line=line)

    def stroke(self, points: Sequence[Point], fill: Colour, *, width: float, lit: bool = True) -> None:
        """Draw a line with round ends and corners."""
        colour = self.lit(fill) if lit else fill
        self._draw.line(self._scaled(*points), colour, width=max(1, round(width * self._scale)), joint="curve")
        for x, y in (points[0], points[-1]):
            self._draw.ellipse(self._scaled((x - width / 2, y - width / 2), (x + width / 2, y + width / 2)), colour)

    def limb(self, points: Sequence[Point], fill: Colour, *, width: float) -> None:
        """Draw a stroke with an outline: an arm, a leg, a tail."""
        if self.line:
            self.stroke(points, self.ink, width=width + 2 * self.line, lit=False)
        self.stroke(points, fill, width=width)

    def gradient(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Draw a band over the whole width whose colour changes from ``above`` to ``below``."""
        rows = range(round(top * self._scale), round(bottom * self._scale))
        for n, row in enumerate(rows):
            share = n / len(rows)
            mixed = tuple(round(a + (b - a) * share) for a, b in zip(above, below, strict=True))
            self._draw.line([(0, row), (self.image.width, row)], mixed)

    def lit(self, colour: Colour) -> Colour:
        red, green, blue = (min(255, round(part * light)) for part, light in zip(colour, self.tint, strict=True))
        return red, green, blue

    def reduced(self) -> Floats:
        """Reduce the picture to (side, side, 3) floats, 0 to 255."""
        return np.asarray(self.image.resize((self.side, self.side), Image.Resampling.BOX), dtype=np.float32)

    def _scaled(self, *points: Point) -> list[Point]:
        return [(x * self._scale, y * self._scale) for x, y in points]
