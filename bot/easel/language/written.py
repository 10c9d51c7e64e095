"""A request as a person would type it. Pure."""

import re
from dataclasses import fields, replace
from typing import Any

from .parse import parse_draw, parse_recipe
from .request import SLOTS, DrawRequest
from .sentences import ParseError

# What a request says of a picture, beside its words and its seed.
_SETTINGS = tuple(
    field.name
    for field in fields(DrawRequest)
    if field.name not in {"slots", "no", "notes", "unused", "pasted", "emptied", "seed", "theme", "facts", "image"}
)

NOTHING_USUAL = DrawRequest()

# A theme that only repeats the subject is what the generator would choose.
_OTHER_THAN_WORDS = re.compile(r"[^\w]+")


def as_command(recipe: str, usual: DrawRequest = NOTHING_USUAL) -> str | None:
    """The shortest ``!draw`` command that draws a recipe, to be copied and changed. Raises ParseError.

    ``usual`` is what a command draws with if it does not say otherwise, and is left out. None for a recipe that cannot
    be typed, such as one with a bar in a term. A recipe with an image takes the command in a reply to that image.
    """
    request = replace(parse_recipe(recipe), facts=None, image=None)
    same: dict[str, Any] = {name: None for name in _SETTINGS if getattr(request, name) == getattr(usual, name)}
    if request.theme and _words(request.theme) == _words(next(iter(request.slots.subject), "")):
        same["theme"] = None
    short = replace(request, **same)
    text = _typed(short)
    try:
        is_same = parse_draw(text) == short
    except ParseError:
        is_same = False
    return f"!draw {text}" if is_same else None


def _words(text: str) -> list[str]:
    return _OTHER_THAN_WORDS.sub(" ", text.lower()).split()


def _typed(request: DrawRequest) -> str:
    slots = [(slot, ", ".join(terms)) for slot in SLOTS if (terms := getattr(request.slots, slot))]
    prompt = " | ".join(terms if slot == "subject" else f"{slot}: {terms}" for slot, terms in slots)
    size = "x".join(str(side) for side in request.size) if isinstance(request.size, tuple) else None
    flags = {
        "negative": None if request.negative_prompt is None else f'"{request.negative_prompt}"',
        "theme": f'"{request.theme}"' if request.theme else None,
        "model": request.model,
        "seed": request.seed,
        "steps": request.steps,
        "cfg": None if request.guidance_scale is None else f"{request.guidance_scale:g}",
        "sampler": request.sampler,
        "size": size,
        "tier": request.tier,
        "strength": request.strength,
    }
    return " ".join([prompt, *(f"--{name} {value}" for name, value in flags.items() if value is not None)])
