"""From what was asked to the body of ``PUT /v1/jobs/{id}``. Pure: knows neither the network nor Matrix.

It computes only what the bot must: sizes from names and ratios, terms added to a default, seeds. Everything else is
passed on as it was said, and the generator refuses what it cannot do.
"""

from dataclasses import asdict
from math import sqrt
from typing import Any

from .generator_words import Capabilities, ModelCard
from .language import DrawRequest


class CannotAsk(Exception):
    """What was asked cannot be put to the generator. ``str()`` is a sentence for the person who typed."""


def job_body(
    request: DrawRequest, capabilities: Capabilities, *, requester: str, seed: int, replaces: str | None = None
) -> dict[str, Any]:
    """The job as JSON, to be drawn in the place of the job ``replaces``.

    ``seed`` is used unless one was said; further pictures take the seeds that follow.

    Raises CannotAsk.
    """
    count = 1 if request.count is None else request.count
    most = capabilities.limits.max_recipes_per_job
    if not 1 <= count <= most:
        raise CannotAsk(f"-n is {count}; it can be 1 to {most}.")
    card = capabilities.card(request.model)
    recipe = {
        "slots": asdict(request.slots),
        "negative_prompt": _negative_prompt(request, card),
        "theme": request.theme,
        "model": card.name if card else request.model,
        "steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "sampler": request.sampler,
        "tier": request.tier,
        "facts": asdict(request.facts) if request.facts else None,
        # A model that does not exist has no sizes; the generator refuses it with its choices.
        **(_size(request, card) if card else {}),
    }
    first = seed if request.seed is None else request.seed
    seeds = [first] + [(first + n) % (capabilities.limits.max_seed + 1) for n in range(1, count)]
    said = {key: value for key, value in recipe.items() if value is not None}
    body = {"requester": requester, "recipes": [{**said, "seed": seed} for seed in seeds]}
    return {**body, "replaces": replaces} if replaces else body


def _negative_prompt(request: DrawRequest, card: ModelCard | None) -> str | None:
    """What replaces the default comes first, then what was added; None leaves the default to the generator."""
    if not request.no:
        return request.negative_prompt
    default = card.defaults.negative_prompt if card else ""
    start = default if request.negative_prompt is None else request.negative_prompt
    return ", ".join(text for text in (start, *request.no) if text)


def _size(request: DrawRequest, card: ModelCard) -> dict[str, int]:
    if request.aspect_ratio is not None:
        width, height = _size_of_ratio(*request.aspect_ratio, card)
    elif isinstance(request.size, str):
        if request.size not in card.sizes:
            raise CannotAsk(f"{card.name} has no size “{request.size}”. It has: {', '.join(card.sizes)}.")
        width, height = card.sizes[request.size].width, card.sizes[request.size].height
    elif request.size is not None:
        width, height = request.size
    else:
        return {}
    return {"width": width, "height": height}


def _size_of_ratio(width: int, height: int, card: ModelCard) -> tuple[int, int]:
    """The size of that shape with the model's native area, smaller where its longest side would be too long."""
    limits = card.limits
    if limits.min_side == limits.max_side and width != height:
        raise CannotAsk(
            f"{card.name} draws squares of {limits.min_side} pixels only, so --ar {width}:{height} cannot be."
        )
    ratio = width / height
    area = min(card.defaults.width * card.defaults.height, limits.max_pixels)
    longest = limits.max_side // limits.side_multiple * limits.side_multiple
    shrink = min(1.0, longest / sqrt(area * max(ratio, 1 / ratio)))
    sides = [round(side * shrink / limits.side_multiple) * limits.side_multiple for side in _sides(area, ratio)]
    if min(sides) < limits.min_side:
        raise CannotAsk(
            f"--ar {width}:{height} is too narrow for {card.name}, whose sides are "
            f"{limits.min_side} to {limits.max_side} pixels."
        )
    while sides[0] * sides[1] > limits.max_pixels:
        sides[sides.index(max(sides))] -= limits.side_multiple
    return sides[0], sides[1]


def _sides(area: float, ratio: float) -> tuple[float, float]:
    return sqrt(area * ratio), sqrt(area / ratio)
