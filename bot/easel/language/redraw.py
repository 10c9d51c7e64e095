"""Redraws a picture: makes a request from the request that drew it. Pure: reads no text."""

from dataclasses import replace
from math import ceil

from .refine import refined
from .request import Asked, Changes, DrawRequest
from .sentences import ParseError

# How much longer the sides of a larger picture are, and how much of it is redrawn: enough for details, but not for
# another composition.
LARGER = 1.5
LIGHT_STRENGTH = 0.35
SIDE_MULTIPLE = 8


def unchanged(recipe: DrawRequest) -> DrawRequest:
    """A recipe without its facts, so that it is drawn under any plan."""
    return refined(recipe, Changes(DrawRequest()))


def with_another_seed(recipe: DrawRequest) -> DrawRequest:
    """A recipe with its seed left open."""
    return refined(recipe, Changes(DrawRequest(), is_new_seed=True))


def larger(recipe: DrawRequest) -> DrawRequest:
    """A recipe at its larger size, drawn lightly over its own picture. Raises ParseError if it has no size."""
    if not isinstance(recipe.size, tuple):
        raise ParseError("That recipe doesn't say how large its picture is.")
    # Even of few steps, one must run.
    strength = max(LIGHT_STRENGTH, ceil(100 / (recipe.steps or 1)) / 100)
    width, height = (round(side * LARGER / SIDE_MULTIPLE) * SIDE_MULTIPLE for side in recipe.size)
    # A photo that the picture itself was drawn from is not its own picture.
    return refined(replace(recipe, image=None), Changes(DrawRequest(size=(width, height), strength=strength)))


def with_other_seeds(asked: Asked, first: int, *, image: str | None = None) -> Asked:
    """A sheet with seeds from ``first`` on in place of its own. Pictures that shared a seed share one again.

    A seed that was left open stays open. ``image`` is the SHA-256 of the photo that it was drawn from, if any: the
    room may have the photo twice.
    """
    old = dict.fromkeys(request.seed for request in asked.requests if request.seed is not None)
    new = {seed: first + n for n, seed in enumerate(old)}
    requests, headings = [], []
    for request, heading in zip(asked.requests, asked.headings, strict=True):
        if request.seed is not None:
            heading = tuple(_with_seed(text, request.seed, new[request.seed]) for text in heading)
            request = replace(request, seed=new[request.seed])
        requests.append(replace(request, image=image))
        headings.append(heading)
    return replace(asked, requests=tuple(requests), headings=tuple(headings))


def _with_seed(heading: str, old: int, new: int) -> str:
    """The heading with the new seed: of a list of seeds, ``seed 7`` or ``7``, or of an option with a seed flag."""
    return str(new) if heading == str(old) else heading.replace(f"seed {old}", f"seed {new}")
