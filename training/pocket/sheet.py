"""Compose a contact sheet: many pictures with their prompts, for a person to look at."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLUMNS = 6
_SIDE = 176
_LINE = 13
_LINES = 4


def contact_sheet(pictures: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    """Compose pictures (height, width, 3) bytes in rows of six, each enlarged, above its prompt."""
    cell = _SIDE + _LINES * _LINE + 8
    rows = -(-len(pictures) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (_SIDE + 8), rows * cell), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for n, (prompt, picture) in enumerate(pictures):
        x, y = n % _COLUMNS * (_SIDE + 8) + 4, n // _COLUMNS * cell + 2
        sheet.paste(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (x, y))
        for line, words in enumerate(wrap(prompt, 30)[:_LINES]):
            draw.text((x, y + _SIDE + 2 + line * _LINE), words, fill="black", font=font)
    return sheet
