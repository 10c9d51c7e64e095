"""Draw the places behind the animal, in three lights. Knows nothing of animals."""

import random
from dataclasses import dataclass

from training.pocket.canvas import SIDE, Canvas, Colour


@dataclass(frozen=True)
class Light:
    """The sky's colours at the top and at the horizon, and the tint, a factor for red, green and blue of everything."""

    sky: tuple[Colour, Colour]
    tint: tuple[float, float, float]


LIGHTS = {
    "day": Light(((84, 178, 250), (190, 230, 255)), (1.0, 1.0, 1.0)),
    "sunset": Light(((226, 84, 92), (255, 190, 90)), (1.0, 0.82, 0.70)),
    "night": Light(((14, 18, 58), (44, 56, 120)), (0.50, 0.54, 0.80)),
}


def draw_place(canvas: Canvas, place: str, light: str, rng: random.Random) -> None:
    """Draw the sky, the sun or moon, and the place. ``rng`` moves things a little."""
    _sky(canvas, light, indoors=place == "coffee shop")
    {
        "beach": _beach,
        "city street": _city_street,
        "coffee shop": _coffee_shop,
        "forest": _forest,
        "snow": _snow,
    }[place](canvas, light, rng)


def _sky(canvas: Canvas, light: str, *, indoors: bool) -> None:
    above, below = LIGHTS[light].sky
    canvas.gradient(0, 48, above, below)
    lamp = (53, 17) if indoors else (55, 9)
    if light == "sunset":
        canvas.ellipse((lamp[0], lamp[1] + (16 if not indoors else 0)), 7, 7, (300, 290, 150), line=0)
    elif light == "night":
        canvas.ellipse(lamp, 4.5, 4.5, (500, 470, 270), line=0)
        for x, y in ((6, 6), (14, 19), (24, 4), (44, 7), (58, 20), (50, 15), (9, 29)):
            canvas.ellipse((x, y), 0.9, 0.9, (500, 470, 300), line=0)
    elif not indoors:
        for x in (0, 6):
            canvas.ellipse((53 + x, 9 + x / 3), 6, 3, (255, 255, 255), line=0)


def _beach(canvas: Canvas, light: str, rng: random.Random) -> None:
    canvas.rectangle((0, 33), (SIDE, 45), (40, 140, 214), line=0)
    canvas.rectangle((0, 43), (SIDE, 45), (230, 246, 255), line=0)
    canvas.rectangle((0, 45), (SIDE, SIDE), (246, 216, 140), line=0)
    x = 8 + rng.uniform(-1, 1)
    canvas.limb([(x, 50), (x + 1.5, 36), (x + 3, 24)], (150, 96, 52), width=2.6)
    top = (x + 3, 23)
    for dx, dy in ((-9, 3), (-7, -4), (8, 4), (7, -4), (0, 6)):
        canvas.stroke([top, (top[0] + dx / 2, top[1] + dy / 2 - 2), (top[0] + dx, top[1] + dy)], (40, 150, 70), width=3)


def _city_street(canvas: Canvas, light: str, rng: random.Random) -> None:
    window: Colour = (500, 430, 160) if light == "night" else (250, 236, 170) if light == "sunset" else (206, 232, 250)
    heights = rng.choice(([14, 24, 10, 19], [19, 10, 24, 14]))
    colours: list[Colour] = [(150, 108, 120), (120, 120, 150), (172, 126, 100), (110, 134, 140)]
    for n, (top, colour) in enumerate(zip(heights, colours, strict=True)):
        canvas.rectangle((16 * n, top), (16 * n + 16, 50), colour)
        for row in range(top + 3, 46, 7):
            for column in (2.5, 9.5):
                canvas.rectangle((16 * n + column, row), (16 * n + column + 4, row + 4), window, line=0)
    canvas.rectangle((0, 49), (SIDE, SIDE), (104, 104, 112), line=0)
    canvas.rectangle((0, 47.5), (SIDE, 50), (176, 176, 180), line=0)
    for x in (2, 22, 42):
        canvas.rectangle((x, 61), (x + 12, 62.5), (250, 240, 160), line=0)


def _coffee_shop(canvas: Canvas, light: str, rng: random.Random) -> None:
    wall: Colour = (214, 150, 106)
    canvas.rectangle((0, 0), (SIDE, 6), wall, line=0)
    canvas.rectangle((0, 0), (3, SIDE), wall, line=0)
    canvas.rectangle((SIDE - 3, 0), (SIDE, SIDE), wall, line=0)
    canvas.rectangle((24, 0), (40, 40), wall, line=0)
    canvas.rectangle((0, 34), (SIDE, SIDE), wall, line=0)
    for left, right in ((3, 24), (40, 61)):
        middle = (left + right) / 2
        canvas.stroke([(left, 6), (right, 6), (right, 34), (left, 34), (left, 6)], (110, 62, 40), width=2)
        canvas.stroke([(middle, 6), (middle, 34)], (110, 62, 40), width=1.4)
    canvas.rectangle((0, 52), (SIDE, SIDE), (122, 72, 48), line=0)
    x = 54 + rng.uniform(-1, 1)
    canvas.rectangle((x - 9, 46), (x + 9, 48.5), (90, 50, 34))
    canvas.rectangle((x - 1.5, 48.5), (x + 1.5, 60), (90, 50, 34))
    canvas.limb([(x + 4, 41.5), (x + 6, 42.5), (x + 4, 43.5)], (255, 255, 255), width=1.0)
    canvas.rectangle((x - 3.5, 40), (x + 3.5, 46), (255, 255, 255))
    canvas.stroke([(x - 1, 38), (x, 36), (x - 1, 34)], (255, 250, 240), width=1.2)


def _forest(canvas: Canvas, light: str, rng: random.Random) -> None:
    canvas.rectangle((0, 46), (SIDE, SIDE), (92, 158, 66), line=0)
    shift = rng.uniform(-1.5, 1.5)
    for x, top in ((22, 12), (43, 14), (4, 8), (58, 10), (12, 22), (53, 24)):
        middle = x + shift
        canvas.rectangle((middle - 1.4, 44), (middle + 1.4, 52), (104, 66, 40))
        colour: Colour = (34, 112, 58) if top > 20 else (24, 88, 52)
        for rise, reach in ((0, 5), (10, 7), (20, 9)):
            if top + rise + 14 < 50:
                canvas.polygon(
                    [(middle, top + rise), (middle - reach, top + rise + 14), (middle + reach, top + rise + 14)], colour
                )


def _snow(canvas: Canvas, light: str, rng: random.Random) -> None:
    for middle, top, reach in ((44, 22, 22), (14, 14, 26)):
        canvas.polygon([(middle, top), (middle - reach, 48), (middle + reach, 48)], (142, 160, 190))
        cap = [(middle, top), (middle - reach * 0.33, top + 10), (middle, top + 7), (middle + reach * 0.33, top + 10)]
        canvas.polygon(cap, (250, 252, 255), line=0)
    canvas.rectangle((0, 45), (SIDE, SIDE), (240, 246, 255), line=0)
    shift = rng.uniform(-1, 1)
    for n in range(16):
        canvas.ellipse(((n * 23 + 5) % 64 + shift, (n * 37 + 3) % 60), 1.1, 1.1, (255, 255, 255), line=0)
