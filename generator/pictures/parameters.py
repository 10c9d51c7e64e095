"""Format a recipe as AUTOMATIC1111's web UI does under its pictures, so that it and its kin read it. Pure.

The prompt is one text, so the slots become one; each weight is a number. Easel's own values come last.
"""

import json
import re

from generator.api.types import Recipe
from generator.recipes import prompt

# What the web UI calls our samplers.
SAMPLER_NAMES = {
    "unipc": "UniPC",
    "euler_a": "Euler a",
    "pndm": "PLMS",
    "euler": "Euler",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "lcm": "LCM",
}

_SPECIAL = re.compile(r'[()\[\]"]')
# To the web UI these are commands; a text encoder reads them in small letters anyway.
_COMMANDS = re.compile(r"\b(?:AND|BREAK)\b")
# A space behind a comma, and none before: brackets that went leave others.
_AT_COMMA = re.compile(r" +,(?: |(?=\())|,(?=\()")
_NEEDS_QUOTES = re.compile(r'[,:\n"]')


def a1111_parameters(recipe: Recipe, *, enlarged: int = 1) -> str:
    """Format the recipe. Its Size is the one before enlarging."""
    settings = {
        "Steps": recipe.steps,
        "Sampler": SAMPLER_NAMES.get(recipe.sampler, recipe.sampler),
        "CFG scale": _number(recipe.guidance_scale),
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model": recipe.model,
        "Denoising strength": None if recipe.strength is None else _number(recipe.strength),
        "Image": recipe.image,
        "Tier": recipe.tier if recipe.tier != "exact" else None,
        "Theme": recipe.theme,
        "Postprocess upscale by": enlarged if enlarged > 1 else None,
        "Postprocess upscaler": "Lanczos" if enlarged > 1 else None,
    }
    line = ", ".join(f"{key}: {_quoted(str(value))}" for key, value in settings.items() if value is not None)
    # Without its line, a reader would take the model's usual negative prompt.
    return f"{a1111_prompt(recipe.prompt)}\nNegative prompt: {a1111_prompt(recipe.negative_prompt)}\n{line}"


def a1111_prompt(text: str) -> str:
    """Write a prompt's weights as the web UI does: ``(hat:1.21)``, with escapes before brackets that are none."""
    pieces = []
    for words, weight in prompt.parse(text):
        plain = _COMMANDS.sub(lambda command: command[0].lower(), _SPECIAL.sub(r"\\\g<0>", words))
        inside = plain.strip()
        if inside and weight != 1:
            start = plain.index(inside)
            plain = f"{plain[:start]}({inside}:{_weight(weight)}){plain[start + len(inside) :]}"
        pieces.append(plain)
    return _AT_COMMA.sub(", ", " ".join("".join(pieces).split()))


def _weight(value: float) -> str:
    """Always with a point: `(16:9:2)` would be a ratio."""
    text = _number(value)
    return text if "." in text else f"{text}.0"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if _NEEDS_QUOTES.search(text) else text
