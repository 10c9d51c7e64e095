"""Compose many pictures into one, under their headings, to be viewed on a phone. Knows neither jobs nor files."""

from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO
from math import ceil

from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling

# Four cells side by side have as many pixels as a large picture.
CELL_SIDE = 400
_GAP = 8
# On a phone a sheet of three columns shrinks to a third: this is then as large as small print.
_FONT_PX = 32
_LINE_PX = 40
# Has the letters of most of Europe, Greek and Cyrillic; Pillow's own font has no accents.
_FONT = "fonts/DejaVuSans.ttf"
_MAX_LINES = 2
_PAPER, _INK = "white", "black"


def contact_sheet(
    pictures: Sequence[Image.Image], *, columns: Sequence[str], rows: Sequence[str], notes: Sequence[str] = ()
) -> Image.Image:
    """Compose the pictures row by row, with the columns' headings on top and each row's heading above the row.

    Without ``rows``, ``columns`` has a heading for each picture, and the pictures are as large as they can be in a
    square. ``notes`` are lines at the end. The sheet is at least as wide as high: Element shows a higher one small.
    """
    cells = [_fitted(picture) for picture in pictures]
    width, height = max(cell.width for cell in cells), max(cell.height for cell in cells)
    across = len(columns) if rows else _across(len(cells), width, height)
    lines = [cells[first : first + across] for first in range(0, len(cells), across)]
    sheet = _Sheet(across, width)
    if rows:
        sheet.headings(columns)
    for number, line in enumerate(lines):
        if rows:
            sheet.band(rows[number])
        else:
            sheet.headings(columns[number * across :][: len(line)])
        sheet.pictures(line, first=number * across + 1)
    sheet.notes(notes)
    return sheet.image()


def _across(number: int, width: int, height: int) -> int:
    """How many cells of that size stand side by side, so that the square around all of them is small."""

    def side(across: int) -> int:
        down = ceil(number / across)
        return max(across * (width + _GAP), down * (height + 2 * _GAP + _LINE_PX))

    return min(range(1, number + 1), key=lambda across: (side(across), -across))


class _Sheet:
    """A sheet that grows downwards, strip by strip: its height is known at the end."""

    def __init__(self, across: int, cell_width: int) -> None:
        self._cell_width = cell_width
        self._width = across * (cell_width + _GAP) + _GAP
        self._font = ImageFont.truetype(BytesIO(files("generator.pictures").joinpath(_FONT).read_bytes()), _FONT_PX)
        self._strips: list[Image.Image] = []

    def headings(self, texts: Sequence[str]) -> None:
        wrapped = [self._wrapped(text, self._cell_width) for text in texts]
        strip, draw = self._strip(max(len(lines) for lines in wrapped) * _LINE_PX + _GAP)
        for number, lines in enumerate(wrapped):
            draw.multiline_text(self._at(number), "\n".join(lines), fill=_INK, font=self._font, spacing=2)
        self._strips.append(strip)

    def band(self, text: str) -> None:
        strip, draw = self._strip(_LINE_PX + _GAP)
        draw.text(self._at(0), self._cut(" ".join(text.split()), self._width - 2 * _GAP), fill=_INK, font=self._font)
        self._strips.append(strip)

    def pictures(self, cells: Sequence[Image.Image], *, first: int) -> None:
        """Add a row of pictures, numbered from ``first`` in their corners; people choose a picture by its number."""
        strip, draw = self._strip(max(cell.height for cell in cells) + 2 * _GAP)
        for place, cell in enumerate(cells):
            x, y = self._at(place)
            strip.paste(cell, (x, y))
            draw.rectangle((x, y, x + _LINE_PX, y + _LINE_PX), fill=_PAPER)
            draw.text((x + _LINE_PX / 2, y + _LINE_PX / 2), str(first + place), _INK, self._font, anchor="mm")
        self._strips.append(strip)

    def notes(self, texts: Sequence[str]) -> None:
        for text in texts:
            for line in self._wrapped(text, self._width - 2 * _GAP):
                strip, draw = self._strip(_LINE_PX + _GAP)
                draw.text(self._at(0), line, fill=_INK, font=self._font)
                self._strips.append(strip)

    def image(self) -> Image.Image:
        height = sum(strip.height for strip in self._strips)
        whole = Image.new("RGB", (max(self._width, height), height), _PAPER)
        left, top = (whole.width - self._width) // 2, 0
        for strip in self._strips:
            whole.paste(strip, (left, top))
            top += strip.height
        return whole

    def _strip(self, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        strip = Image.new("RGB", (self._width, height), _PAPER)
        return strip, ImageDraw.Draw(strip)

    def _at(self, number: int) -> tuple[int, int]:
        return _GAP + number * (self._cell_width + _GAP), _GAP

    def _wrapped(self, text: str, width: int) -> list[str]:
        """Wrap a text into at most _MAX_LINES lines of ``width`` pixels; a longer text ends in an ellipsis."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self._font.getlength(longer) <= width or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(word)
        kept = lines[:_MAX_LINES]
        if len(lines) > _MAX_LINES:
            kept[-1] += "…"
        return [self._cut(line, width) for line in kept]

    def _cut(self, line: str, width: int) -> str:
        if self._font.getlength(line) <= width:
            return line
        while line and self._font.getlength(f"{line}…") > width:
            line = line[:-1]
        return f"{line}…"


def _fitted(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((CELL_SIDE, CELL_SIDE), Resampling.LANCZOS)
    return small
