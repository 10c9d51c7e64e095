"""A recipe changed by a reply to it. Pure: knows neither where the recipe comes from nor how it is drawn."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

from .flags import find_slot
from .names import folded
from .request import SLOTS, Change, Changes, DrawRequest, Slots
from .sentences import ParseError, brief, listed, quoted, shortened
from .weights import read_terms

# A weight: a number or signs behind a bracket or a word. Then brackets, quotes and compel's escapes.
_WEIGHT = re.compile(r"(?<=[\w)\]\"'])(?:[+-]+|(?<=\))(?:\d++(?:\.\d++)?+|\.\d++))(?=\W|$)")
_ARTICLE = re.compile(r"^(?:the|an?|his|her|its|their) ")
_BRACKETS = re.compile(r"[()\[\]\\\"]")


def refined(recipe: DrawRequest, changes: Changes) -> DrawRequest:
    """The recipe with the slots and fields that the reply sets, and with single terms added and removed.

    The seed stays unless the reply sets one. Another model draws with its own settings, since the recipe's were for
    its model. A note lists the changes. Raises ParseError for a term to remove that is not there.
    """
    before = recipe
    model = changes.request.model
    if model is not None and folded(model) != folded(recipe.model or ""):
        recipe = replace(recipe, steps=None, guidance_scale=None, sampler=None, size=None)
    reply = changes.request
    left_out = set(read_terms(recipe.negative_prompt or "") if reply.no else ())
    reply = replace(reply, no=tuple(term for term in reply.no if term not in left_out))
    theme = None if reply.slots.subject else recipe.theme
    seed = None if changes.is_new_seed else recipe.seed
    # Without facts: the new picture need not match the recipe's.
    request = replace(recipe, theme=theme, seed=seed, facts=None).changed_by(reply)
    plain = cache(plain_term)
    # What is not to be there is not asked for either, unless that is all.
    gone = [f" {plain(term)} " for term in reply.no]
    kept = {
        slot: tuple(term for term in getattr(request.slots, slot) if not any(no in f" {plain(term)} " for no in gone))
        for slot in SLOTS
    }
    request = replace(request, slots=Slots(**kept)) if any(kept.values()) else request
    for change in changes.terms:
        request = (_added if change.is_added else _removed)(request, change, plain)
    changed = _differences(before, request)
    notes: tuple[str, ...] = (f"Now: {changed}",) if changed else ()
    if changes.plain and before.slots.subject and before.slots.subject != request.slots.subject:
        notes += (f"To keep the rest: +{brief(', '.join(changes.plain))}",)
    return replace(request, notes=(*notes, *request.notes)) if notes else request


def _differences(before: DrawRequest, after: DrawRequest) -> str:
    """What the second request changes, on one line: ``+scarf, −hat · steps 30``; "" if nothing changes."""
    parts = []
    for slot in SLOTS:
        parts += _slot_difference(slot, getattr(before.slots, slot), getattr(after.slots, slot))
    parts += _shown_terms("no ", after.no)
    if before.seed is not None and after.seed is None:
        parts.append("another roll")
    for name, label in _LABELS.items():
        value = getattr(after, name)
        if value is not None and value != getattr(before, name):
            parts.append(f"{label} {_shown(value, ':' if name == 'aspect_ratio' else '×')}")
    return " · ".join(parts)


def _slot_difference(slot: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    """A replaced slot as ``night (was: otter)``, else each term with a sign; the subject needs no name."""
    name = "" if slot == "subject" else slot
    if old and new and not set(old) & set(new):
        (was,) = _shown_terms("", old)
        return [f"{part} (was: {was})" for part in _shown_terms(f"{name}: " if name else "", new)]
    return _shown_terms(f"{name} " if name else "", (*_without("+", new, old), *_without("−", old, new)))


def _without(sign: str, terms: Iterable[str], others: Iterable[str]) -> list[str]:
    """The terms that are not among the others, with a sign."""
    known = set(others)
    return [f"{sign}{term}" for term in terms if term not in known]


def _shown_terms(label: str, terms: tuple[str, ...]) -> list[str]:
    return [f"{label}{', '.join(map(brief, shortened(terms)))}"] if terms else []


_LABELS = {
    "negative_prompt": "negative prompt",
    "model": "model",
    "seed": "seed",
    "steps": "steps",
    "guidance_scale": "guidance",
    "size": "size",
    "aspect_ratio": "shape",
    "sampler": "sampler",
    "tier": "tier",
    "strength": "strength",
}


def _shown(value: object, sign: str) -> str:
    if value == "":
        return "none"
    if isinstance(value, tuple):
        return sign.join(str(side) for side in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _added(request: DrawRequest, change: Change, plain: Callable[[str], str]) -> DrawRequest:
    """The request with a term added: in place of the same term with another weight, else at its slot's end."""
    wanted = plain(change.term)
    for slot in SLOTS:
        terms = getattr(request.slots, slot)
        if any(plain(term) == wanted for term in terms):
            same = [change.term if plain(term) == wanted else term for term in terms]
            return _with_slot(request, slot, tuple(dict.fromkeys(same)))
    return _with_slot(request, change.slot, (*getattr(request.slots, change.slot), change.term))


def _removed(request: DrawRequest, change: Change, plain: Callable[[str], str]) -> DrawRequest:
    """The request without the term, at any weight; else without the terms that contain its words.

    A slot's name takes away all that is in it.
    """
    wanted, slot = plain(change.term), find_slot(_ARTICLE.sub("", change.term))
    if slot == wanted and getattr(request.slots, slot):
        return _with_slot(request, slot, ())
    terms = [term for slot in SLOTS for term in getattr(request.slots, slot)]
    gone = {term for term in terms if plain(term) == wanted}
    gone = gone or {term for term in terms if f" {_ARTICLE.sub('', wanted)} " in f" {plain(term)} "}
    gone = gone or set(getattr(request.slots, slot) if slot else ())
    if not gone:
        there = f"It has {listed(shortened([*map(quoted, terms)]))}." if terms else "There's nothing left in it."
        raise ParseError(f"There's no {quoted(change.term)} in that recipe. {there}")
    kept = {slot: tuple(term for term in getattr(request.slots, slot) if term not in gone) for slot in SLOTS}
    return replace(request, slots=Slots(**kept))


def _with_slot(request: DrawRequest, slot: str, terms: tuple[str, ...]) -> DrawRequest:
    return replace(request, slots=replace(request.slots, **{slot: terms}))


def plain_term(term: str) -> str:
    """The words of a term in lower case, without weights and brackets."""
    return " ".join(_BRACKETS.sub(" ", _WEIGHT.sub("", term)).lower().split())
