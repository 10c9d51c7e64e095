"""Small line charts in one picture, drawn with Pillow. Knows nothing of what is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# Drawn larger and made small again: Pillow's own lines have steps.
_SHARPER = 2

_WIDTH, _HEIGHT = 400, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 46, 52
_FOOT = 30

_INK, _PALE, _PAPER = "#222222", "#dddddd", "#ffffff"

# At most so many steps on an axis.
_TICKS = 5


@dataclass(frozen=True)
class Chart:
    """A line through measured points; both axes begin at 0. ``unit`` is what the upright axis counts."""

    title: str
    unit: str
    across: str
    points: Sequence[tuple[float, float]]
    colour: str = "#1f6fb2"


def save(rows: Sequence[Sequence[Chart]], foot: str, path: Path) -> None:
    """All charts, in rows, with a line of text below."""
    size = (_WIDTH * max(map(len, rows)), _HEIGHT * len(rows) + _FOOT)
    image = Image.new("RGB", (size[0] * _SHARPER, size[1] * _SHARPER), _PAPER)
    pen = ImageDraw.Draw(image)
    for n, row in enumerate(rows):
        for m, chart in enumerate(row):
            _Frame(pen, m * _WIDTH, n * _HEIGHT, chart).draw()
    pen.text((16 * _SHARPER, (size[1] - 22) * _SHARPER), foot, fill=_INK, font=_font(13))
    image.resize(size, Image.Resampling.LANCZOS).save(path, optimize=True)


class _Frame:
    """Where one chart is, and how its values become places."""

    def __init__(self, pen: ImageDraw.ImageDraw, left: int, top: int, chart: Chart) -> None:
        self._pen, self._chart = pen, chart
        self._x0, self._x1 = left + _LEFT, left + _WIDTH - _RIGHT
        self._y0, self._y1 = top + _HEIGHT - _BOTTOM, top + _TOP
        self._across = _ticks(max(x for x, _ in chart.points))
        self._upright = _ticks(max(y for _, y in chart.points))

    def draw(self) -> None:
        chart = self._chart
        for value in self._upright:
            y = self._y(value)
            self._line([(self._x0, y), (self._x1, y)], _PALE, 1)
            self._text(self._x0 - 8, y, _told(value), "rm")
        for value in self._across:
            self._line([(self._x(value), self._y0), (self._x(value), self._y0 + 5)], _INK, 1)
            self._text(self._x(value), self._y0 + 8, _told(value), "mt")
        self._line([(self._x0, self._y0), (self._x1, self._y0)], _INK, 1)
        self._text(self._x0 - 46, self._y1 - 30, chart.title, "lt", size=15)
        self._text(self._x1, self._y1 - 29, chart.unit, "rt")
        self._text((self._x0 + self._x1) / 2, self._y0 + 28, chart.across, "mt")
        places = [(self._x(x), self._y(y)) for x, y in chart.points]
        self._line(places, chart.colour, 2)
        for x, y in places:
            corners = [(side * _SHARPER) for side in (x - 3.5, y - 3.5, x + 3.5, y + 3.5)]
            self._pen.ellipse(corners, fill=chart.colour)

    def _x(self, value: float) -> float:
        return self._x0 + (self._x1 - self._x0) * value / self._across[-1]

    def _y(self, value: float) -> float:
        return self._y0 - (self._y0 - self._y1) * value / self._upright[-1]

    def _line(self, places: Sequence[tuple[float, float]], colour: str, width: int) -> None:
        self._pen.line([(x * _SHARPER, y * _SHARPER) for x, y in places], fill=colour, width=width * _SHARPER)

    def _text(self, x: float, y: float, text: str, anchor: str, *, size: int = 13) -> None:
        self._pen.text((x * _SHARPER, y * _SHARPER), text, fill=_INK, font=_font(size), anchor=anchor)


def _ticks(largest: float) -> list[float]:
    """From 0 to the first round number that is not below ``largest``."""
    largest = largest or 1.0
    power = 10 ** floor(log10(largest / _TICKS))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times * _TICKS >= largest * (1 - 1e-9))
    count = next(n for n in range(1, _TICKS + 1) if n * step >= largest * (1 - 1e-9))
    return [n * step for n in range(count + 1)]


def _told(value: float) -> str:
    return f"{value:g}" if value < 1 else f"{value:,.10g}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SHARPER)
