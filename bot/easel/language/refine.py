"""A recipe changed by a reply to it. Pure: knows neither where the recipe comes from nor how it is drawn."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial

from .flags import find_slot
from .names import folded
from .request import SLOTS, Change, Changes, DrawRequest, Slots
from .sentences import ParseError, brief, listed, quoted, shortened
from .small_words import ARTICLE
from .things import without_thing
from .weights import read_terms

# Behind words too long to be typed again.
KEEP_THE_REST = "To keep the rest, put a + before it."

# A weight: a number or signs behind a bracket or a word. Then brackets, quotes and compel's escapes.
_WEIGHT = re.compile(r"(?<=[\w)\]\"'])(?:[+-]+|(?<=\))(?:\d++(?:\.\d++)?+|\.\d++))(?=\W|$)")
_ARTICLE = re.compile(rf"^(?:{ARTICLE}) ")
_BRACKETED = re.compile(r"\A\(([^()]*)\)\Z")
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
    words = "".join(f" {plain(term)} " for slot in SLOTS for term in getattr(request.slots, slot))
    for no in (no for no in reply.no if f" {plain(no)} " in words):
        # What is not to be there is not asked for either, unless that is all.
        if left := _each(request.slots, partial(_without_words, thing=plain(no), plain=plain)):
            request = replace(request, slots=left)
    place = None
    for change in changes.terms:
        if change.is_added:
            request, place = _added(request, change, plain, place), None
        else:
            request, place = _removed(request, change, plain)
    changed = _differences(before, request)
    notes: tuple[str, ...] = (f"Now: {changed}",) if changed else ()
    if changes.plain and before.slots.subject and before.slots.subject != request.slots.subject:
        words = ", ".join(changes.plain)
        notes += (f"To keep the rest: +{words}" if brief(words) == words else KEEP_THE_REST,)
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
    """A replaced slot or a single term as ``night (was: otter)``, else terms with signs; the subject needs no name."""
    name = "" if slot == "subject" else slot
    changed = [(was, now) for was, now in zip(old, new, strict=False) if was != now] if len(old) == len(new) else []
    if len(changed) == 1:
        was, now = changed[0]
        old, new = (was,), (now,)
        if (brief(was) != was or brief(now) != now) and (different := _word_difference(was.split(), now.split())):
            return [f"{name} {different}".strip()]
    if old and new and not set(old) & set(new):
        (was,) = _shown_terms("", old)
        return [f"{part} (was: {was})" for part in _shown_terms(f"{name}: " if name else "", new)]
    return _shown_terms(f"{name} " if name else "", (*_without("+", new, old), *_without("−", old, new)))


def _word_difference(old: list[str], new: list[str]) -> str:
    """What a phrase has anew, as ``forest (was: park)`` or ``−with a hat``; "" if it has hardly a word of before."""
    same = min(len(old), len(new))
    start = next((n for n in range(same) if old[n] != new[n]), same)
    behind = next((n for n in range(same - start) if old[-1 - n] != new[-1 - n]), same - start)
    was, now = (brief(" ".join(words[start : len(words) - behind])) for words in (old, new))
    if start + behind < 2:
        return ""
    return f"{now} (was: {was})" if was and now else f"+{now}" if now else f"−{was}"


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


def _added(
    request: DrawRequest, change: Change, plain: Callable[[str], str], place: tuple[str, int] | None
) -> DrawRequest:
    """The request with a term added: in place of the same term with another weight, else where a term of its slot was
    removed just before, else at its slot's end."""
    wanted = plain(change.term)
    for slot in SLOTS:
        terms = getattr(request.slots, slot)
        if any(plain(term) == wanted for term in terms):
            same = [change.term if plain(term) == wanted else term for term in terms]
            return _with_slot(request, slot, tuple(dict.fromkeys(same)))
    terms = list(getattr(request.slots, change.slot))
    terms.insert(place[1] if place and place[0] == change.slot else len(terms), change.term)
    return _with_slot(request, change.slot, tuple(terms))


def _removed(
    request: DrawRequest, change: Change, plain: Callable[[str], str]
) -> tuple[DrawRequest, tuple[str, int] | None]:
    """The request without the term, at any weight; else with its words taken out of the terms that contain them.

    A slot's name takes away all that is in it. Also returns the slot and index of the first term that is gone, if one
    is. Raises ParseError.
    """
    wanted, slot = plain(change.term), find_slot(_ARTICLE.sub("", change.term))
    has_slot = slot is not None and bool(getattr(request.slots, slot))
    if slot == wanted and has_slot:
        return _with_slot(request, slot, ()), None
    for without in (
        lambda term: None if plain(term) == wanted else term,
        partial(_without_words, thing=_ARTICLE.sub("", wanted), plain=plain),
    ):
        slots = _each(request.slots, without)
        if slots != request.slots:
            terms = [(slot, n, term) for slot in SLOTS for n, term in enumerate(getattr(request.slots, slot))]
            gone = [(slot, n) for slot, n, term in terms if without(term) is None]
            return replace(request, slots=slots), gone[0] if gone else None
    if slot is not None and has_slot:
        return _with_slot(request, slot, ()), None
    left = [quoted(term) for slot in SLOTS for term in getattr(request.slots, slot)]
    there = f"It has {listed(shortened(left))}." if left else "There's nothing left in it."
    name = _BRACKETED.sub(r"\1", change.term)
    raise ParseError(f"There's no {quoted(name)} in that recipe. {there}")


def _each(slots: Slots, changed: Callable[[str], str | None]) -> Slots:
    """The slots with each term changed, or gone where that gives None."""
    return Slots(**{slot: tuple(filter(None, map(changed, getattr(slots, slot)))) for slot in SLOTS})


def _without_words(term: str, *, thing: str, plain: Callable[[str], str]) -> str | None:
    return without_thing(term, thing) if f" {thing} " in f" {plain(term)} " else term


def _with_slot(request: DrawRequest, slot: str, terms: tuple[str, ...]) -> DrawRequest:
    return replace(request, slots=replace(request.slots, **{slot: terms}))


def plain_term(term: str) -> str:
    """The words of a term in lower case, without weights and brackets."""
    return " ".join(_BRACKETS.sub(" ", _WEIGHT.sub("", term)).lower().split())
