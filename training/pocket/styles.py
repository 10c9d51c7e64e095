"""The styles: each changes a drawn picture, from and to (side, side, 3) floats, 0 to 255.

Dots, blocks and hatching are measured in canvas units, so that a larger picture shows the same ones larger.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from training.pocket.canvas import SIDE, Floats

# The perceived brightness of red, green and blue.
_LUMA = np.array([0.3, 0.59, 0.11], dtype=np.float32)

_PAPER, _CANVAS, _MAGENTA, _WARMER = (
    np.array(colour, dtype=np.float32) for colour in ((252, 250, 244), (250, 240, 222), (255, 40, 150), (26, -6, -26))
)

# Width of the outlines in canvas units.
LINES = {
    "cartoon": 0.7,
    "watercolor": 0.25,
    "pop art": 1.1,
    "pencil drawing": 0.55,
    "pixel art": 0.5,
    "pointillism": 0.3,
}


def cartoon(picture: Floats, noise: np.random.Generator) -> Floats:
    return picture


def watercolor(picture: Floats, noise: np.random.Generator) -> Floats:
    """Thin the colours with white, blur them a little, and let paper show at the edges."""
    rows, columns = _places(picture)
    soft = 0.35 * _blurred(picture, 2.2) + 0.65 * _blurred(picture, 0.6)
    thinned = 255 - (255 - soft) * 0.62
    wash = _smooth_noise(noise, 5, side=len(picture)) * 16
    edge = np.minimum.reduce([rows, columns, SIDE - 1 - rows, SIDE - 1 - columns])
    covered = np.clip((edge - 2.5 + 1.8 * np.sin(rows / 4.5) + 1.8 * np.sin(columns / 5.5)) / 1.5, 0, 1)[..., None]
    painted: Floats = (thinned + wash[..., None]) * covered + _PAPER * (1 - covered)
    return painted


def pop_art(picture: Floats, noise: np.random.Generator) -> Floats:
    """Reduce the picture to few, loud colours, with a screen of dots over light areas."""
    rows, columns = _places(picture)
    mean = picture.mean(axis=-1, keepdims=True)
    loud = np.clip((picture - mean) * 2.0 + mean, 0, 255)
    posterised = np.round(loud / 85) * 85
    dots = (np.cos(columns * np.pi / 2) + np.cos(rows * np.pi / 2) > 0.9)[..., None]
    light = (mean > 90) & dots
    screened: Floats = np.where(light, 0.35 * posterised + 0.65 * _MAGENTA, posterised)
    return screened


def pencil_drawing(picture: Floats, noise: np.random.Generator) -> Floats:
    """Draw grey lines and hatching on paper, which keeps a little of the light's colour."""
    rows, columns = _places(picture)
    grey = picture @ _LUMA
    darkness = (255 - grey) / 255
    hatch = 0.5 + 0.5 * np.sin((rows + columns) * np.pi / 2)
    shade = 252 - 120 * darkness - 80 * np.clip(darkness - 0.3, 0, 1) * hatch
    edges = np.clip(_blurred(picture, 1.2) @ _LUMA - grey, 0, 255)
    drawn = np.clip(shade - 2.5 * edges, 15, 255)[..., None]
    paper = picture.mean(axis=(0, 1)) / picture.mean()
    tinted: Floats = drawn * (0.8 + 0.2 * np.clip(paper, 0.5, 1.5))
    return tinted


def pixel_art(picture: Floats, noise: np.random.Generator) -> Floats:
    """Reduce the picture to blocks of two by two, in the 216 colours that every old screen could show."""
    block = 2 * len(picture) // SIDE
    blocks = picture.reshape(SIDE // 2, block, SIDE // 2, block, 3).mean(axis=(1, 3))
    mean = blocks.mean(axis=-1, keepdims=True)
    vivid = np.clip((blocks - mean) * 1.5 + mean, 0, 255)
    screen: Floats = np.round(vivid / 51) * 51
    return screen.repeat(block, axis=0).repeat(block, axis=1)


def pointillism(picture: Floats, noise: np.random.Generator) -> Floats:
    """Cover primed canvas with rows of round dots, four units apart, each a little off its colour."""
    rows, columns = (0.5 + place for place in _places(picture))
    columns = columns + np.where((rows // 4) % 2, 2, 0)
    inside = (columns % 4 - 2) ** 2 + (rows % 4 - 2) ** 2 < 3.2
    mean = picture.mean(axis=-1, keepdims=True)
    vivid = np.clip((picture - mean) * 1.4 + mean, 0, 255)
    blocks = np.sign(np.sin(rows // 4 * 2.1 + columns // 4 * 3.7))
    shifted = np.clip(vivid + blocks[..., None] * _WARMER, 0, 255)
    dotted: Floats = np.where(inside[..., None], shifted, 0.55 * shifted + 0.45 * _CANVAS)
    return dotted


STYLES: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "cartoon": cartoon,
    "watercolor": watercolor,
    "pop art": pop_art,
    "pencil drawing": pencil_drawing,
    "pixel art": pixel_art,
    "pointillism": pointillism,
}


def _places(picture: Floats) -> tuple[Floats, Floats]:
    """Return row and column of each pixel's centre in canvas units, (side, side) each: 0 to 63, and a little beyond."""
    rows, columns = (np.mgrid[0 : len(picture), 0 : len(picture)].astype(np.float32) + 0.5) * SIDE / len(picture) - 0.5
    return rows, columns


def _blurred(picture: Floats, radius: float) -> Floats:
    blur = ImageFilter.GaussianBlur(radius * len(picture) / SIDE)
    return np.asarray(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(blur), dtype=np.float32)


def _smooth_noise(noise: np.random.Generator, cells: int, *, side: int) -> Floats:
    """Make noise that changes slowly over the picture: (side, side) floats around 0."""
    coarse = Image.fromarray(noise.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
