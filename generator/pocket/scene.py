"""What a picture of pocket's small world shows: seven attributes with a few values each."""

import random
from dataclasses import dataclass, fields

ANIMALS = ("otter", "owl", "cat", "dog", "fox", "frog", "penguin", "bear", "greyhound", "squirrel")
HEADGEAR = ("none", "cowboy hat", "top hat", "party hat", "headphones")
OUTFITS = ("none", "scarf", "denim jacket", "red t-shirt", "boots", "cargo pants")
FACES = ("happy", "sleepy", "surprised")
PLACES = ("beach", "city street", "coffee shop", "forest", "snow")
LIGHTS = ("day", "sunset", "night")
STYLES = ("cartoon", "watercolor", "pop art", "pencil drawing", "pixel art", "pointillism")

# What the caption leaves unsaid is drawn plainly, so that `!draw otter` gives an otter, and no hat.
PLAIN = {"headgear": "none", "outfit": "none", "face": "happy", "light": "day", "style": "cartoon"}


@dataclass(frozen=True)
class Scene:
    """One picture's contents; each field is one of the values above."""

    animal: str
    headgear: str
    outfit: str
    face: str
    place: str
    light: str
    style: str


ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "animal": ANIMALS,
    "headgear": HEADGEAR,
    "outfit": OUTFITS,
    "face": FACES,
    "place": PLACES,
    "light": LIGHTS,
    "style": STYLES,
}
assert list(ATTRIBUTES) == [field.name for field in fields(Scene)]

# One combination in so many of animal, headgear, outfit and style is never trained on.
_HELD_OUT_ONE_IN = 12


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's combination of animal, headgear, outfit and style is kept for the evaluation.

    Scenes without headgear or outfit are all trained on: pairs of them are what the others are composed of.
    """
    if "none" in (scene.headgear, scene.outfit):
        return False
    digits = [ATTRIBUTES[name].index(getattr(scene, name)) for name in ("animal", "headgear", "outfit", "style")]
    return (7 * digits[0] + 5 * digits[1] + 3 * digits[2] + digits[3]) % _HELD_OUT_ONE_IN == 0


def random_scene(rng: random.Random) -> Scene:
    """A scene as the training sees them: plain values more often, since captions leave them unsaid."""
    return Scene(
        animal=rng.choice(ANIMALS),
        headgear=rng.choice(HEADGEAR),
        outfit=rng.choice(OUTFITS),
        face=rng.choice((*FACES, "happy")),
        place=rng.choice(PLACES),
        light=rng.choice((*LIGHTS, "day")),
        style=rng.choice((*STYLES, "cartoon")),
    )


def random_scenes(count: int, *, seed: int, held_out: bool) -> list[Scene]:
    """Scenes to judge by, none of them ever trained on, if ``held_out``; else scenes to learn from."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng)
        if is_held_out(scene) == held_out:
            scenes.append(scene)
    return scenes
