"""Fits a request to what its model can do, and says what changed. Pure.

A size is always drawn at the nearest that the model has, and a long prompt as far as the generator takes it. Names are
found in any spelling. What else a person typed is passed on, for the generator to refuse with its choices; what was
pasted from another program is left out or bounded.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from ..generator.types import Capabilities, CardLimits, ModelCard
from ..language import (
    SLOTS,
    DrawRequest,
    Slots,
    few_weakened,
    fitting_terms,
    read_terms,
    same_name,
    sampler_name,
    within_limits,
)


@dataclass(frozen=True)
class Fitted:
    """A request that its model can draw, as far as the bot knows. ``notes`` are sentences for the caption."""

    request: DrawRequest
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_request(self, *, unused: tuple[str, ...] = (), notes: tuple[str, ...] = (), **fields: Any) -> "Fitted":
        return Fitted(replace(self.request, **fields), self.unused + unused, self.notes + notes)


def fitted(request: DrawRequest, capabilities: Capabilities, *, has_photo: bool) -> Fitted:
    """The request as the model can draw it, with all that it changed."""
    fit = with_known_names(request, capabilities)
    card = capabilities.card(fit.request.model)
    if card is None:
        # The generator refuses it with its choices.
        return fit
    if request.pasted:
        fit = _with_weights(_with_numbers(fit, card, capabilities, has_photo=has_photo), capabilities)
    return _with_size(_with_length(fit, card, capabilities.limits.max_prompt_chars), card, has_photo=has_photo)


def with_known_names(request: DrawRequest, capabilities: Capabilities) -> Fitted:
    """The request with the generator's own names of model, sampler and tier, and without pasted ones that it lacks."""
    fit = Fitted(request)
    if request.model is not None:
        card = capabilities.card(request.model)
        if "model" in request.pasted and not (card and card.available):
            fit = fit.with_request(model=None, unused=(f"Model {request.model}",))
        elif card:
            fit = fit.with_request(model=card.name)
    if request.sampler is not None:
        name, schedule = sampler_name(request.sampler)
        known = same_name(request.sampler, capabilities.samplers) or same_name(name, capabilities.samplers)
        if known:
            left = (f"Schedule {schedule}",) if schedule and same_name(request.sampler, [known]) is None else ()
            fit = fit.with_request(sampler=known, unused=left)
        elif "sampler" in request.pasted:
            fit = fit.with_request(sampler=None, unused=(f"Sampler {request.sampler}",))
    if request.tier is not None and (tier := same_name(request.tier, capabilities.tiers)):
        fit = fit.with_request(tier=tier)
    return fit


def _with_numbers(fit: Fitted, card: ModelCard, capabilities: Capabilities, *, has_photo: bool) -> Fitted:
    """The request with pasted numbers inside the limits."""
    limits, request = card.limits, fit.request
    pasted = {name for name in request.pasted if getattr(request, name, None) is not None}
    if "seed" in pasted and request.seed is not None and request.seed > capabilities.limits.max_seed:
        fit = fit.with_request(seed=None, unused=(f"Seed {request.seed}",))
    if "strength" in pasted and not has_photo:
        fit = fit.with_request(strength=None, unused=(f"Denoising strength {request.strength:g}",))
    if not card.takes_guidance:
        if "guidance_scale" in pasted and request.guidance_scale not in (0, 1):
            fit = fit.with_request(guidance_scale=None, unused=(f"CFG scale {request.guidance_scale:g}",))
        if "negative_prompt" in pasted and request.negative_prompt:
            fit = fit.with_request(negative_prompt=None, unused=("Negative prompt",))
    else:
        fit = _bounded(fit, "guidance_scale", "CFG scale", card, 1, limits.max_guidance_scale)
    return _bounded(fit, "steps", "Steps", card, 1, limits.max_steps)


def _bounded(fit: Fitted, field: str, label: str, card: ModelCard, low: float, high: float) -> Fitted:
    value = getattr(fit.request, field)
    if field not in fit.request.pasted or value is None or low <= value <= high:
        return fit
    near = type(value)(min(max(value, low), high))
    return fit.with_request(
        **{field: near}, notes=(f"{label} {value:g} is {near:g} here: {card.name} has {low:g} to {high:g}.",)
    )


def _with_weights(fit: Fitted, capabilities: Capabilities) -> Fitted:
    """The request with pasted weights inside the limits."""
    limits, request = capabilities.limits, fit.request

    def bounded(text: str) -> str:
        return within_limits(text, limits.min_weight, limits.max_weight, max_nesting=limits.max_nesting)

    slots, negative = request.slots, request.negative_prompt
    if "slots" in request.pasted:
        slots = Slots(**{slot: tuple(map(bounded, getattr(slots, slot))) for slot in SLOTS})
    if "negative_prompt" in request.pasted and negative:
        negative = bounded(negative)
    if (slots, negative) != (request.slots, request.negative_prompt):
        note = f"Weights go from {limits.min_weight:g} to {limits.max_weight:g} here; some were outside."
        fit = fit.with_request(slots=slots, negative_prompt=negative, notes=(note,))
    return _with_few_weakened(fit, limits.max_weakened)


def _with_few_weakened(fit: Fitted, most: int) -> Fitted:
    """The request with as many weakened parts in each pasted prompt as the generator takes."""
    request = fit.request
    slots, negative = request.slots, request.negative_prompt
    if "slots" in request.pasted:
        terms = few_weakened([term for _, term in _terms(slots)], most)
        slots = _of_terms((slot, term) for (slot, _), term in zip(_terms(slots), terms, strict=True))
    if "negative_prompt" in request.pasted and negative:
        (negative,) = few_weakened([negative], most)
    if (slots, negative) == (request.slots, request.negative_prompt):
        return fit
    note = f"I can weaken up to {most} parts of a prompt; the others keep their weight."
    return fit.with_request(slots=slots, negative_prompt=negative, notes=(note,))


def _with_length(fit: Fitted, card: ModelCard, most: int) -> Fitted:
    """The request with as much of its prompts as the generator takes, in whole terms."""
    request = fit.request
    terms = _terms(request.slots)
    kept, left = fitting_terms([term for _, term in terms], most)
    if left:
        slots = _of_terms((slot, term) for (slot, _), term in zip(terms, kept, strict=False))
        fit = fit.with_request(slots=slots, unused=left)
    negative = card.defaults.negative_prompt if request.negative_prompt is None else request.negative_prompt
    kept, left = fitting_terms(read_terms(negative), most)
    if left:
        fit = fit.with_request(negative_prompt=", ".join(kept), unused=left)
    no, left = fitting_terms(request.no, most - sum(len(term) + 2 for term in kept))
    return fit.with_request(no=no, unused=left) if left else fit


def _terms(slots: Slots) -> list[tuple[str, str]]:
    """All terms in the prompt's order, each with its slot."""
    return [(slot, term) for slot in SLOTS for term in getattr(slots, slot)]


def _of_terms(terms: Iterable[tuple[str, str]]) -> Slots:
    terms = tuple(terms)
    return Slots(**{slot: tuple(term for own, term in terms if own == slot) for slot in SLOTS})


def _with_size(fit: Fitted, card: ModelCard, *, has_photo: bool) -> Fitted:
    """The request with the nearest size in pixels that the model can draw."""
    request = fit.request
    if request.aspect_ratio is not None:
        width, height = request.aspect_ratio
        asked = f"{width}:{height}"
        wanted = size_of_ratio(width, height, card)
        is_as_asked = abs(wanted[0] * height - wanted[1] * width) <= card.limits.side_multiple * max(width, height)
    elif isinstance(request.size, str):
        asked, size = request.size, card.sizes.get(request.size)
        default = card.defaults.width, card.defaults.height
        wanted, is_as_asked = ((size.width, size.height), True) if size else (default, False)
    elif request.size is not None:
        asked = f"{request.size[0]}×{request.size[1]}"
        wanted = nearest_size(*request.size, card.limits, from_image=has_photo)
        multiple = card.limits.side_multiple
        is_as_asked = all(abs(one - other) < multiple for one, other in zip(wanted, request.size, strict=True))
    else:
        return fit
    notes = () if is_as_asked else (_size_note(asked, wanted, card),)
    return fit.with_request(size=wanted, aspect_ratio=None, notes=notes)


def _size_note(asked: str, size: tuple[int, int], card: ModelCard) -> str:
    drawn = f"{size[0]}×{size[1]}"
    if card.limits.min_side == card.limits.max_side:
        return f"{card.name} draws {drawn} only, not {asked}."
    return f"{card.name} can't draw {asked}. This is {drawn}, the nearest."


def cannot_enlarge(request: DrawRequest, capabilities: Capabilities) -> str | None:
    """Why a picture cannot be drawn at a larger size, which would be no larger, or None."""
    card = capabilities.card(request.model)
    if card is None or not isinstance(request.size, tuple):
        return None
    near = nearest_size(*request.size, card.limits, from_image=True)
    return None if near == request.size else f"{card.name} can't make it larger than {near[0]}×{near[1]}."


def nearest_size(width: int, height: int, limits: CardLimits, *, from_image: bool = False) -> tuple[int, int]:
    """The size in the same shape inside the limits, or as near to it as they allow. A size inside them stays."""
    most, pixels = limits.max_side, limits.max_pixels
    if from_image and limits.max_side_from_image:
        most, pixels = limits.max_side_from_image, limits.max_pixels_from_image
    longest, shortest = most // limits.side_multiple * limits.side_multiple, limits.min_side
    if min(width, height) < 1:
        # No size at all: the generator refuses it.
        return width, height
    if shortest <= min(width, height) and max(width, height) <= longest and width * height <= pixels:
        return width, height
    shrink = min(1.0, longest / max(width, height), sqrt(pixels / (width * height)))
    grow = max(1.0, shortest / (min(width, height) * shrink)) if min(width, height) * shrink < shortest else 1.0
    return _sides(width * shrink * grow, height * shrink * grow, limits, longest=longest, pixels=pixels)


def size_of_ratio(width: int, height: int, card: ModelCard) -> tuple[int, int]:
    """A size of that shape with the model's native area, or as near to it as its limits allow."""
    limits, ratio = card.limits, width / height
    area = min(card.defaults.width * card.defaults.height, limits.max_pixels)
    longest = limits.max_side // limits.side_multiple * limits.side_multiple
    shrink = min(1.0, longest / sqrt(area * max(ratio, 1 / ratio)))
    return _sides(
        sqrt(area * ratio) * shrink, sqrt(area / ratio) * shrink, limits, longest=longest, pixels=limits.max_pixels
    )


def _sides(width: float, height: float, limits: CardLimits, *, longest: int, pixels: int) -> tuple[int, int]:
    """The sides in the model's steps: none below its shortest, none above ``longest``, and no more than ``pixels``."""
    least, multiple = limits.min_side, limits.side_multiple
    sides = [min(max(round(wanted / multiple) * multiple, least), max(longest, least)) for wanted in (width, height)]
    while sides[0] * sides[1] > pixels and max(sides) > least:
        sides[sides.index(max(sides))] -= multiple
    return sides[0], sides[1]


def all_fitted(
    requests: tuple[DrawRequest, ...], fit: Callable[[DrawRequest], Fitted]
) -> tuple[tuple[DrawRequest, ...], tuple[str, ...], tuple[str, ...]]:
    """The fitted requests, and what all of them leave out and say, each once."""
    fits = [fit(request) for request in requests]
    unused = dict.fromkeys(part for one in fits for part in one.unused)
    notes = dict.fromkeys(note for one in fits for note in one.notes)
    return tuple(one.request for one in fits), tuple(unused), tuple(notes)
