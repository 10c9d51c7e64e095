"""Recipes as people read them, and what differs between two. Pure."""

import re

from ..language import SLOTS, DrawRequest
from .views import Difference, Fact

_SETTINGS = {
    "negative_prompt": "Left out",
    "theme": "Theme",
    "model": "Model",
    "seed": "Seed",
    "steps": "Steps",
    "guidance_scale": "Guidance",
    "size": "Size",
    "sampler": "Sampler",
    "tier": "Tier",
    "strength": "Strength",
}


# Weights and their brackets are for the model.
_WEIGHT = re.compile(r"(?<=\))(?:[\d.]+|[+-]+)|(?<=\w)(?:\++|-+)(?=[\s,.)]|$)")
_BRACKET = re.compile(r"[()]")

# As much as somebody listens to.
MAX_PROMPT_CHARS = 400


def plain_prompt(prompt: str) -> str:
    """A prompt as people read it, without weights."""
    plain = _BRACKET.sub("", _WEIGHT.sub("", prompt[: 2 * MAX_PROMPT_CHARS]))
    return plain if len(plain) <= MAX_PROMPT_CHARS else f"{plain[:MAX_PROMPT_CHARS].rstrip()}…"


def facts_of(recipe: DrawRequest) -> tuple[Fact, ...]:
    """What a recipe says, in words; what it leaves open is left out."""
    slots = ((slot.capitalize(), ", ".join(getattr(recipe.slots, slot))) for slot in SLOTS)
    settings = ((label, _text(getattr(recipe, name))) for name, label in _SETTINGS.items())
    return tuple(Fact(label, value) for label, value in (*slots, *settings) if value)


def differences_of(before: DrawRequest, after: DrawRequest) -> tuple[Difference, ...]:
    """What differs between two recipes, in the order of their facts."""
    old, new = ({fact.label: fact.value for fact in facts_of(recipe)} for recipe in (before, after))
    labels = (*(slot.capitalize() for slot in SLOTS), *_SETTINGS.values())
    pairs = ((label, old.get(label, ""), new.get(label, "")) for label in labels)
    return tuple(Difference(label, left, right) for label, left, right in pairs if left != right)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
