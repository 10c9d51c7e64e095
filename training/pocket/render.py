"""Draw a scene: place, animal, clothes, style. The same scene and seed give the same picture."""

import random

import numpy as np
from PIL import Image

from training.pocket.animals import ANIMALS, draw_body, draw_ears, draw_head, draw_tail
from training.pocket.canvas import SIDE, Canvas
from training.pocket.clothes import draw_headgear, draw_outfit
from training.pocket.places import LIGHTS, draw_place
from training.pocket.scene import Scene
from training.pocket.styles import LINES, STYLES


def render(scene: Scene, seed: int, *, side: int = SIDE) -> Image.Image:
    """Draw the scene with 64 x 64 pixels, or the same picture with more."""
    rng = random.Random(seed)
    canvas = Canvas(line=LINES[scene.style], side=side, tint=LIGHTS[scene.light].tint)
    animal = ANIMALS[scene.animal]

    # 1. The place.
    draw_place(canvas, scene.place, scene.light, rng)

    # 2. The animal, in a light that leaves it easy to see.
    red, green, blue = LIGHTS[scene.light].tint
    canvas.tint = ((2 + red) / 3, (2 + green) / 3, (2 + blue) / 3)
    draw_tail(canvas, animal)
    draw_body(canvas, animal, penguin=scene.animal == "penguin")
    draw_outfit(canvas, scene.outfit)
    draw_ears(canvas, animal)
    draw_head(canvas, scene.animal, animal, scene.face)
    draw_headgear(canvas, scene.headgear)

    # 3. Mirrored half of the time, then the style.
    picture = canvas.reduced()
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    styled = STYLES[scene.style](picture, np.random.default_rng(seed))
    return Image.fromarray(np.clip(styled, 0, 255).round().astype(np.uint8))
