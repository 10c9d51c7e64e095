"""Builds the body of ``PUT /v1/jobs/{id}`` from a request. Pure: knows neither the network nor Matrix.

It computes only what the bot must: terms added to a default, seeds, and what `fitting` fits. Everything else is passed
on unchanged, and the generator refuses what it cannot do.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from ..generator.types import Capabilities, ModelCard
from ..language import Asked, DrawRequest
from ..policy.wildcards import WordLists, resolved
from .fitting import all_fitted, fitted

NO_PHOTO = "--strength needs a photo. Reply to one, or send one with the command as its caption."

# At the end of a sheet, as in its caption: some clients show no captions.
PICK = "React with a number to have that picture in full size."

# As much as the generator takes, and more than fits on two lines above a picture.
MAX_HEADING_CHARS = 200


@dataclass(frozen=True)
class Draft:
    """The body of a job as accepted. It is valid while the generator has the same capabilities."""

    body: dict[str, Any]
    capabilities: Capabilities


class CannotAsk(Exception):
    """The generator cannot draw the request. ``str()`` is a sentence for the person who typed it."""


def job_body(
    asked: Asked,
    capabilities: Capabilities,
    *,
    requester: str,
    seed: int,
    replaces: str | None = None,
    wildcards: WordLists = MappingProxyType({}),
    has_photo: bool = False,
) -> dict[str, Any]:
    """The job as JSON, which takes the place of the job ``replaces``. Several pictures come on one sheet.

    ``seed`` is used unless a request has one: lists share it, and the pictures of ``-n`` take the seeds that follow.

    ``with_image`` adds the hash of a photo.

    Raises CannotAsk, and ParseError for a word list that is not among the ``wildcards``.
    """
    if len({request.count for request in asked.requests}) > 1:
        raise CannotAsk("-n counts all pictures. Put it outside the braces.")
    count, most = _count(asked), capabilities.limits.max_recipes_per_job
    if not 1 <= count <= most:
        raise CannotAsk(f"-n goes from 1 to {most}.")
    if count * len(asked.requests) > most:
        sizes = " × ".join(str(size) for size in (*asked.sizes, count) if size > 1)
        raise CannotAsk(f"{sizes} makes {count * len(asked.requests)} pictures. One !draw draws up to {most}.")
    if count > 1 and len({request.seed for request in asked.requests}) > 1:
        raise CannotAsk("Use a list of seeds or -n, not both.")
    requests, _, _ = all_fitted(asked.requests, partial(fitted, capabilities=capabilities, has_photo=has_photo))
    recipes, headings = [], []
    for request, heading in zip(requests, asked.headings, strict=True):
        first = seed if request.seed is None else request.seed
        if request.strength is not None and not has_photo:
            raise CannotAsk(NO_PHOTO)
        recipe = _recipe(request, capabilities)
        for n in range(count):
            own = (first + n) % (capabilities.limits.max_seed + 1) if n else first
            slots = asdict(resolved(request.slots, own, wildcards))
            recipes.append({"slots": slots, **recipe, "seed": own})
            headings.append((*heading, f"seed {own}") if count > 1 else heading)
    body: dict[str, Any] = {"requester": requester, "recipes": recipes}
    if len(recipes) > 1:
        sheet = _sheet(headings, (*asked.sizes, count) if count > 1 else asked.sizes)
        body["sheet"] = {**sheet, "notes": [PICK]}
    return {**body, "replaces": replaces} if replaces else body


def with_image(body: dict[str, Any], sha256: str) -> dict[str, Any]:
    """The body of a job, changed to draw from the image with that hash."""
    return {**body, "recipes": [{**recipe, "image": sha256} for recipe in body["recipes"]]}


def _count(asked: Asked) -> int:
    """How many pictures each request asks for."""
    count = asked.requests[0].count
    return 1 if count is None else count


def _sheet(headings: Sequence[tuple[str, ...]], sizes: Sequence[int]) -> dict[str, Any]:
    """The headings of a sheet: the last list across, all others down; a single list above its pictures."""
    if len(sizes) == 1:
        return {"columns": [own[0][:MAX_HEADING_CHARS] for own in headings]}
    across = sizes[-1]
    return {
        "columns": [own[-1][:MAX_HEADING_CHARS] for own in headings[:across]],
        "rows": [", ".join(own[:-1])[:MAX_HEADING_CHARS] for own in headings[::across]],
    }


def _recipe(request: DrawRequest, capabilities: Capabilities) -> dict[str, Any]:
    """A request as the generator reads it, without slots and seed."""
    card = capabilities.card(request.model)
    recipe = {
        "negative_prompt": _negative_prompt(request, card),
        "theme": request.theme,
        "model": card.name if card else request.model,
        "steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "sampler": request.sampler,
        "tier": request.tier,
        "strength": request.strength,
        "facts": asdict(request.facts) if request.facts else None,
    }
    if isinstance(request.size, tuple):
        recipe |= {"width": request.size[0], "height": request.size[1]}
    return {key: value for key, value in recipe.items() if value is not None}


def _negative_prompt(request: DrawRequest, card: ModelCard | None) -> str | None:
    """The replacement or the default, then the added terms. None leaves the default to the generator."""
    if not request.no:
        return request.negative_prompt
    default = card.defaults.negative_prompt if card else ""
    start = default if request.negative_prompt is None else request.negative_prompt
    return ", ".join(text for text in (start, *request.no) if text)
