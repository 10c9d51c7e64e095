"""Reads one value from text. ``what`` is its name in the error: ``--steps``, or ``steps`` in a recipe."""

import math
import re

from .sentences import ParseError, brief, quoted

NEW_SEED = "new"

SIZE_NAMES = ("portrait", "landscape", "square")

_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(?:\d++[.,]?\d*+|[.,]\d++)(?:[eE][+-]?\d++)?")
# Five digits are more than any picture has; the generator checks the model's own limits.
_SIZE = re.compile(r"([1-9]\d{0,4})(?:px)?(?:[xX×*]|by)([1-9]\d{0,4})(?:px)?", re.ASCII)
_SQUARE = re.compile(r"([1-9]\d{1,4})(?:px)?", re.ASCII)
_SIDE = r"\d{1,5}(?:[.,]\d{1,4})?"
_RATIO = re.compile(rf"({_SIDE})(?:[:/xX×]({_SIDE}))?", re.ASCII)
_SHAPES = {"square": (1, 1), "portrait": (3, 4), "landscape": (4, 3)}
# A ratio's sides are whole numbers.
_RATIO_PARTS = 10_000

_SHA256 = re.compile("[0-9a-fA-F]{64}")

# Twice what any seed needs; Python itself refuses integers of some thousand digits.
MAX_DIGITS = 32


def whole_number(what: str, text: str) -> int:
    if not _WHOLE.fullmatch(text) or len(text) > MAX_DIGITS:
        raise ParseError(f"{what} takes a whole number, not {quoted(text)}.")
    return int(text)


def seed(what: str, text: str) -> int | None:
    """The seed, or None for ``new``, ``random`` and numbers below 0, which mean a random one everywhere."""
    if text.lower() in (NEW_SEED, "random"):
        return None
    if not _WHOLE.fullmatch(text):
        raise ParseError(f"{what} takes a whole number, or {NEW_SEED}, not {quoted(text)}.")
    value = whole_number(what, text)
    return None if value < 0 else value


def number(what: str, text: str) -> float:
    """The number, with a decimal point or comma."""
    if _NUMBER.fullmatch(text.removesuffix("%")) and text.endswith("%"):
        return float(text[:-1].replace(",", ".")) / 100
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text.replace(",", "."))):
        raise ParseError(f"{what} takes a number such as 7.5, not {quoted(text)}.")
    return value


def size(what: str, text: str) -> tuple[int, int] | str:
    """The size as (width, height) in pixels, or one of ``SIZE_NAMES``."""
    if text.lower() in SIZE_NAMES:
        return text.lower()
    if match := _SIZE.fullmatch(text):
        return int(match[1]), int(match[2])
    if match := _SQUARE.fullmatch(text):
        return int(match[1]), int(match[1])
    if _RATIO.fullmatch(text) and ":" in text:
        raise ParseError(f"{what} is in pixels. A shape is --ar {brief(text)}.")
    raise ParseError(f"{what} takes portrait, landscape, square or pixels such as 768x1024, not {quoted(text)}.")


def ratio(what: str, text: str) -> tuple[int, int]:
    """The ratio as (width, height) in whole numbers: ``3:4``, ``2.39:1`` or ``1.85``."""
    if text.lower() in _SHAPES:
        return _SHAPES[text.lower()]
    if (match := _RATIO.fullmatch(text)) and (match[2] or not match[1].isdigit()):
        width, height = (round(float(side.replace(",", ".")) * _RATIO_PARTS) for side in (match[1], match[2] or "1"))
        if width and height:
            shared = math.gcd(width, height)
            return width // shared, height // shared
    raise ParseError(f"{what} takes width to height such as 3:4, not {quoted(text)}.")


def image(what: str, text: str) -> str:
    """The SHA-256 by which a recipe names the photo that it was drawn from."""
    if _SHA256.fullmatch(text):
        return text.lower()
    raise ParseError(f"{what} is a photo's SHA-256, 64 digits and letters, not {quoted(text)}. Reply to the photo.")
