"""From a client's request to a full recipe, or to a refusal that names field, value, limit and choices.

All checks happen here, before a job is queued. Pure: knows neither aiohttp nor the card.
"""

import hashlib
import re
from collections.abc import Mapping
from difflib import get_close_matches
from math import ceil
from typing import TypeVar

from generator.api import limits
from generator.api.capabilities import ModelCard
from generator.api.refusals import MAX_SHOWN_CHARS
from generator.api.types import SLOTS, Recipe, RecipeRequest, Slots
from generator.errors import Refused
from generator.models.cards import MAX_STEPS_OF_LCM, SAMPLERS, TIERS
from generator.recipes import prompt

Number = TypeVar("Number", int, float)


def resolve(
    request: RecipeRequest,
    *,
    cards: Mapping[str, ModelCard],
    default_model: str,
    job_id: str,
    n: int = 0,
    image_size: tuple[int, int] | None = None,
) -> Recipe:
    """Fill in what the request leaves out, and check everything. Raises Refused.

    ``image_size`` is (width, height) of the image to draw from, which gives the shape unless the request has a size.
    A missing seed is made from the job's id, so that the same job submitted again draws the same picture.
    """
    card = cards[_choice("model", request.model or default_model, tuple(cards))]
    defaults, bounds = card.defaults, card.limits
    width, height = _size(request, card, image_size)
    _check_length("slots", request.slots.joined())
    slots = _slots(request.slots)
    if not slots.joined():
        raise Refused("empty_prompt", "The prompt is empty. Say what you want to see.", field="slots")
    tier = _choice("tier", request.tier or defaults.tier, TIERS)
    guidance_scale = _guidance_scale(request, card, tier)
    negative = _negative_prompt(request, card, guidance_scale)
    for field, text in (("slots", slots.joined()), ("negative_prompt", negative)):
        _check_text(field, text)
    usual = card.draft if tier == "draft" else defaults
    sampler = _choice("sampler", request.sampler or usual.sampler, SAMPLERS)
    most_steps = min(bounds.max_steps, MAX_STEPS_OF_LCM) if sampler == "lcm" else bounds.max_steps
    where = "" if most_steps == bounds.max_steps else " in a draft" if tier == "draft" else f" with {sampler}"
    steps = _bounded("steps", request.steps, min(usual.steps, most_steps), 1, most_steps, where=where)
    return Recipe(
        slots=slots,
        negative_prompt=negative,
        theme=_one_line(request.theme or "") or _theme(slots),
        model=card.name,
        seed=_seed_of(job_id, n) if request.seed is None else request.seed,
        width=width,
        height=height,
        steps=steps,
        guidance_scale=guidance_scale,
        sampler=sampler,
        tier=tier,
        image=request.image,
        strength=_strength(request, steps),
    )


def _strength(request: RecipeRequest, steps: int) -> float | None:
    """Return the strength, None without an image. Raises Refused for one without an image, or with no step to draw."""
    if request.image is None:
        if request.strength is not None:
            raise Refused(
                "no_image",
                "--strength needs a photo.",
                field="strength",
                value=request.strength,
            )
        return None
    strength = limits.DEFAULT_STRENGTH if request.strength is None else request.strength
    if int(steps * strength) < 1:
        least = ceil(1000 / steps) / 1000
        sentence = f"--strength goes from {least:g} to 1 with {steps} steps."
        raise Refused(
            "out_of_range",
            sentence if steps > 1 else "--strength must be 1 with 1 step.",
            field="strength",
            value=strength,
            limit=[least, 1],
        )
    return strength


def _negative_prompt(request: RecipeRequest, card: ModelCard, guidance_scale: float) -> str:
    """Return the request's negative prompt, else the model's own if there is guidance to use it. Raises Refused."""
    usual = card.defaults.negative_prompt if guidance_scale > 1 else ""
    negative = _prompt(usual if request.negative_prompt is None else request.negative_prompt)
    if negative and not card.limits.max_guidance_scale:
        raise Refused(
            "no_guidance",
            f"{card.name} draws without guidance, so it can't leave things out.",
            field="negative_prompt",
            value=negative[:MAX_SHOWN_CHARS],
            limit=0,
        )
    return negative


def _guidance_scale(request: RecipeRequest, card: ModelCard, tier: str) -> float:
    asked, bounds, draft = request.guidance_scale, card.limits, card.draft
    if bounds.max_guidance_scale:
        low, high = bounds.min_guidance_scale, bounds.max_guidance_scale
        if tier == "draft":
            high = min(high, draft.max_guidance_scale)
            return _bounded("guidance_scale", asked, draft.guidance_scale, low, high, where=" in a draft")
        return _bounded("guidance_scale", asked, card.defaults.guidance_scale, low, high)
    # Both 0 and 1 mean no guidance.
    if asked not in (None, 0, 1):
        raise Refused(
            "no_guidance",
            f"{card.name} draws without guidance: leave out --cfg.",
            field="guidance_scale",
            value=asked,
            limit=0,
        )
    return card.defaults.guidance_scale


def _slots(asked: Slots) -> Slots:
    """Convert the terms to compel's spelling, and drop those of white space only."""
    terms = {slot: tuple(filter(None, map(_prompt, getattr(asked, slot)))) for slot in SLOTS}
    # model_copy does not validate: a converted term may be a little longer than a client's may be.
    return asked.model_copy(update=terms)


def _prompt(text: str) -> str:
    """Return the text on one line, in compel's spelling."""
    return prompt.from_a1111(_one_line(text))


def _one_line(text: str) -> str:
    """Replace every run of white space and control characters, which a PNG must not carry, by one space."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def _size(request: RecipeRequest, card: ModelCard, image_size: tuple[int, int] | None) -> tuple[int, int]:
    """Return (width, height), rounded to the model's multiple and inside its limits. Raises Refused."""
    if image_size is not None and request.width is None and request.height is None:
        return _like(image_size, card)
    bounds, multiple = card.limits, card.limits.side_multiple
    max_side, max_pixels = bounds.max_side, bounds.max_pixels
    if image_size is not None:
        max_side, max_pixels = bounds.max_side_from_image, bounds.max_pixels_from_image
    width, height = (
        round(_side(field, asked, default, bounds.min_side, max_side, card.name) / multiple) * multiple
        for field, asked, default in (
            ("width", request.width, card.defaults.width),
            ("height", request.height, card.defaults.height),
        )
    )
    if width * height > max_pixels:
        raise Refused(
            "too_large",
            f"{width}×{height} is too large: {card.name} draws up to {max_pixels:,} pixels.",
            field="width",
            value=width * height,
            limit=max_pixels,
        )
    return width, height


def _side(field: str, asked: int | None, default: int, low: int, high: int, model: str) -> int:
    side = default if asked is None else asked
    if low <= side <= high:
        return side
    drawn = f"{low}×{low} only" if low == high else f"sides of {low} to {high} pixels"
    raise Refused("out_of_range", f"{model} draws {drawn}.", field=field, value=asked, limit=[low, high])


def _like(image_size: tuple[int, int], card: ModelCard) -> tuple[int, int]:
    """Return (width, height) with about the model's usual number of pixels, in the image's shape within the limits."""
    bounds, multiple = card.limits, card.limits.side_multiple
    pixels = min(card.defaults.width * card.defaults.height, bounds.max_pixels)
    width, height = image_size
    low, high = bounds.min_side / pixels**0.5, min(bounds.max_side, pixels / bounds.min_side) / pixels**0.5
    stretch = min(max((width / height) ** 0.5, low, 1 / high), high, 1 / low)
    # Rounded down, so that the pixels never exceed their limit.
    return tuple(  # type: ignore[return-value]
        max(bounds.min_side, int(pixels**0.5 * factor + 1e-6) // multiple * multiple)
        for factor in (stretch, 1 / stretch)
    )


def _bounded(
    field: str, asked: Number | None, default: Number, low: Number, high: Number, *, where: str = ""
) -> Number:
    if asked is None:
        return default
    if not low <= asked <= high:
        # A person typed the flag.
        flag = {"guidance_scale": "--cfg"}.get(field, f"--{field}")
        raise Refused(
            "out_of_range",
            f"{flag} goes from {_plain(low)} to {_plain(high)}{where}.",
            field=field,
            value=asked,
            limit=[low, high],
        )
    return asked


def _plain(number: float) -> str:
    """Format a number as a person writes it: 30, not 30.0."""
    return f"{number:g}" if isinstance(number, float) else str(number)


def _choice(field: str, asked: str, choices: tuple[str, ...]) -> str:
    wanted = _folded(asked[:MAX_SHOWN_CHARS])
    if known := next((choice for choice in choices if choice == asked or _folded(choice) == wanted), None):
        return known
    shown = asked[:MAX_SHOWN_CHARS]
    near = get_close_matches(shown.lower(), choices, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise Refused(
        "unknown_choice",
        f"There's no {field} “{shown}” here.{hint} There is: {', '.join(choices)}.",
        field=field,
        value=shown,
        choices=choices,
    )


def _folded(name: str) -> str:
    """Return the name as it is compared: capitals, hyphens, underscores and spaces make no difference."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _check_text(field: str, text: str) -> None:
    _check_length(field, text)
    try:
        prompt.parse(text)
    except prompt.PromptError as error:
        raise Refused(error.code, str(error), field=field, value=error.value, limit=error.limit) from error


def _check_length(field: str, text: str) -> None:
    if len(text) > limits.MAX_PROMPT_CHARS:
        raise Refused(
            "too_long",
            f"A {'prompt' if field == 'slots' else 'negative prompt'} takes up to {limits.MAX_PROMPT_CHARS} "
            f"characters, and that one has {len(text)}.",
            field=field,
            value=len(text),
            limit=limits.MAX_PROMPT_CHARS,
        )


def _theme(slots: Slots) -> str:
    """Return the first subject term, or the first of all terms, without its weights."""
    first = next(term for slot in SLOTS for term in getattr(slots, slot))
    try:
        plain = prompt.words(first)
    except prompt.PromptError:  # brackets that go on into the next term
        plain = first
    return _one_line(plain)[: limits.MAX_THEME_CHARS].strip() or "untitled"


def _seed_of(job_id: str, n: int) -> int:
    digest = hashlib.sha256(f"{job_id}/{n}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
