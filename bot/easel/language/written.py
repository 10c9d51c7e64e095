"""A request as one would type it. Pure."""

import re
from dataclasses import replace
from math import ceil

from .chat import dashed
from .flags import flag_named
from .parse import parse_draw, parse_recipe
from .phones import as_typed
from .request import SLOTS, DrawRequest
from .sentences import ParseError

# How much longer the sides of a larger picture are, and how much of it is drawn anew: enough for details, and no other
# composition.
LARGER = 1.5
LIGHT_STRENGTH = 0.35
SIDE_MULTIPLE = 8

# One seed or several, or the word for another one.
_SEEDS = re.compile(r"[ \t]*[=:]?[ \t]*(?P<list>(?:\d+|new\b)(?:[ \t]*,[ \t]*\d+)*)", re.IGNORECASE)


def as_command(recipe: str) -> str:
    """The ``!draw`` that draws the recipe of a file, to be copied and changed. Raises ParseError.

    What cannot be typed, such as a term with a bar in it, makes it the recipe itself after ``!draw``.
    """
    request = replace(parse_recipe(recipe), facts=None)
    text = _typed(request)
    try:
        is_same = parse_draw(text) == request
    except ParseError:
        is_same = False
    return f"!draw {text}" if is_same else f"!draw\n```yaml\n{recipe.rstrip()}\n```"


def larger_size(request: DrawRequest) -> tuple[int, int]:
    """Width and height, half as long again as those of a recipe. Raises ParseError where it says none."""
    if not isinstance(request.size, tuple):
        raise ParseError("That recipe does not say how large its picture is.")
    width, height = (round(side * LARGER / SIDE_MULTIPLE) * SIDE_MULTIPLE for side in request.size)
    return width, height


def larger(recipe: str) -> str:
    """What draws the recipe's own picture half as large again, lightly over what is there. Raises ParseError."""
    request = parse_recipe(recipe)
    width, height = larger_size(request)
    # Of few steps one must be left.
    strength = max(LIGHT_STRENGTH, ceil(100 / (request.steps or 1)) / 100)
    return f"--size {width}x{height} --strength {strength:g} -n 1"


def with_seed(text: str, seed: int) -> str:
    """What follows ``!draw`` with that seed in place of its own; further seeds count on from it. Raises ParseError."""
    typed, pieces, done = as_typed(text), [], 0
    for match in dashed(typed):
        flag = flag_named(match["name"])
        if flag is None or flag.field != "seed":
            continue
        own = _SEEDS.match(typed, match.end())
        if own is None:
            raise ParseError("I cannot find the seed in that. Say it again, with another one.")
        count = own["list"].count(",") + 1
        pieces += [typed[done : own.start("list")], ",".join(str(seed + n) for n in range(count))]
        seed, done = seed + count, own.end("list")
    return "".join([*pieces, typed[done:]]) if pieces else f"{text}\n--seed {seed}"


def _typed(request: DrawRequest) -> str:
    slots = [(slot, ", ".join(terms)) for slot in SLOTS if (terms := getattr(request.slots, slot))]
    words = " | ".join(terms if slot == "subject" else f"{slot}: {terms}" for slot, terms in slots)
    size = "x".join(str(side) for side in request.size) if isinstance(request.size, tuple) else None
    flags = {
        "negative": None if request.negative_prompt is None else f'"{request.negative_prompt}"',
        "theme": f'"{request.theme}"' if request.theme else None,
        "model": request.model,
        "seed": request.seed,
        "steps": request.steps,
        "cfg": request.guidance_scale,
        "sampler": request.sampler,
        "size": size,
        "tier": request.tier,
        "strength": request.strength,
    }
    return " ".join([words, *(f"--{name} {value}" for name, value in flags.items() if value is not None)])
