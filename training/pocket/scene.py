"""The scenes of pocket's small world: seven attributes with a few values each. Knows neither captions nor pictures."""

import random
from dataclasses import dataclass, fields, replace

ANIMALS = ("otter", "owl", "cat", "dog", "fox", "frog", "penguin", "bear", "greyhound", "squirrel")
HEADGEAR = ("none", "cowboy hat", "top hat", "party hat", "headphones")
OUTFITS = ("none", "scarf", "denim jacket", "red t-shirt", "boots", "cargo pants")
FACES = ("happy", "sleepy", "surprised")
PLACES = ("beach", "city street", "coffee shop", "forest", "snow")
LIGHTS = ("day", "sunset", "night")
STYLES = ("cartoon", "watercolor", "pop art", "pencil drawing", "pixel art", "pointillism")

# What a caption does not mention is drawn plainly, so that `!draw otter` gives an otter without a hat.
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

# In training, how many times as often a scene lacks headgear, or an outfit, as it has any single one.
_BARE_WEIGHT = {"headgear": 5, "outfit": 7}

# In training, the share of scenes in which all of these are plain.
_PLAIN_TOGETHER = ("face", "light", "style")
_ALL_PLAIN = 0.2

# One in this many combinations of animal, headgear, outfit and style is never trained on.
_HELD_OUT_ONE_IN = 12


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's combination of animal, headgear, outfit and style is reserved for the evaluation.

    Scenes without headgear or without an outfit are never held out: the other combinations are composed of their pairs.
    """
    if "none" in (scene.headgear, scene.outfit):
        return False
    digits = [ATTRIBUTES[name].index(getattr(scene, name)) for name in ("animal", "headgear", "outfit", "style")]
    return (7 * digits[0] + 5 * digits[1] + 3 * digits[2] + digits[3]) % _HELD_OUT_ONE_IN == 0


def random_scene(rng: random.Random) -> Scene:
    """Choose a scene at random, plain values more often, since captions do not mention those."""
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
    """Choose scenes to learn from. None is held out, many are bare, and for short captions some are otherwise plain.

    The rarer a thing is, the more a negative prompt that names it removes; docs/pocket.md has the figures.
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
    """Choose scenes to evaluate with, which are never trained on."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng)
        if is_held_out(scene):
            scenes.append(scene)
    return scenes
