"""What a picture of pocket's small world shows: seven attributes with a few values each."""

import random
from dataclasses import dataclass, fields, replace

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

# Of the training's scenes: without headgear, and without an outfit, so many times as often as with any one of them.
_BARE_WEIGHT = {"headgear": 5, "outfit": 7}

# And how many have all of these plain.
_PLAIN_TOGETHER = ("face", "light", "style")
_ALL_PLAIN = 0.2

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
    """Plain values more often, since captions leave them unsaid."""
    return Scene(
        animal=rng.choice(ANIMALS),
        headgear=rng.choice(HEADGEAR),
        outfit=rng.choice(OUTFITS),
        face=rng.choice((*FACES, "happy")),
        place=rng.choice(PLACES),
        light=rng.choice((*LIGHTS, "day")),
        style=rng.choice((*STYLES, "cartoon")),
    )


def training_scenes(count: int, *, seed: int) -> list[Scene]:
    """Scenes to learn from: none is held out, more are bare, and some are plain in all else, for captions of few words.

    The rarer a thing is, the more a negative prompt that names it takes away; docs/pocket.md has the figures.
    """
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        changes = {kind: rng.choice(("none",) * weight + ATTRIBUTES[kind][1:]) for kind, weight in _BARE_WEIGHT.items()}
        if rng.random() < _ALL_PLAIN:
            changes |= {name: PLAIN[name] for name in _PLAIN_TOGETHER}
        scene = replace(random_scene(rng), **changes)
        if not is_held_out(scene):
            scenes.append(scene)
    return scenes


def held_out_scenes(count: int, *, seed: int) -> list[Scene]:
    """Scenes to judge by, none of them ever trained on."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng)
        if is_held_out(scene):
            scenes.append(scene)
    return scenes
