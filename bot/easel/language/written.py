"""A request as a person would type it. Pure."""

from dataclasses import replace

from .parse import parse_draw, parse_recipe
from .request import SLOTS, DrawRequest
from .sentences import ParseError


def as_command(recipe: str) -> str:
    """The ``!draw`` command that draws a recipe, to be copied and changed. Raises ParseError.

    A recipe that cannot be typed, such as one with a bar in a term, follows ``!draw`` as it is.
    """
    request = replace(parse_recipe(recipe), facts=None)
    text = _typed(request)
    try:
        is_same = parse_draw(text) == request
    except ParseError:
        is_same = False
    return f"!draw {text}" if is_same else f"!draw\n```yaml\n{recipe.rstrip()}\n```"


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
        "cfg": request.guidance_scale,
        "sampler": request.sampler,
        "size": size,
        "tier": request.tier,
        "strength": request.strength,
    }
    return " ".join([prompt, *(f"--{name} {value}" for name, value in flags.items() if value is not None)])
