"""Reads one value from text. ``what`` is its name in the error: ``--steps``, or ``steps`` in a recipe."""

import math
import re

from .sentences import ParseError, brief, quoted

NEW_SEED = "new"
RANDOM_SEEDS = (NEW_SEED, "random")

SIZE_NAMES = ("portrait", "landscape", "square")

_WHOLE = re.compile(r"(?P<number>[+-]?\d+)(?:\.0+)?")
_NUMBER = re.compile(r"[+-]?(?:\d++[.,]?\d*+|[.,]\d++)(?:[eE][+-]?\d++)?")
_FRACTION = re.compile(r"(\d{1,3})/(\d{1,3})")
# A strength from here on is a percentage. Below, it may be a slip or a scale up to ten.
LEAST_PERCENT = 10
# Five digits are more than any picture has; the generator checks the model's own limits.
_SIZE = re.compile(r"([1-9]\d{0,4})(?:px)?(?:[xX×*]|by)([1-9]\d{0,4})(?:px)?", re.ASCII)
_SQUARE = re.compile(r"([1-9]\d{1,4})(?:px)?", re.ASCII)
_SIDE = r"\d{1,5}(?:[.,]\d{1,4})?"
_RATIO = re.compile(rf"({_SIDE})(?:[:/xX×]({_SIDE}))?", re.ASCII)
_SHAPES = {"square": (1, 1), "portrait": (3, 4), "landscape": (4, 3)}
# A ratio's sides are whole numbers.
_RATIO_PARTS = 10_000

_SHA256 = re.compile("[0-9a-fA-F]{64}")

# What people say for a slot that has nothing in it.
_NO_TERMS = {"", "none", "nothing", "no", "off", "empty", "null", "n/a", "~", "-", "–", "—"}

# Twice what any seed needs; Python itself refuses integers of some thousand digits.
MAX_DIGITS = 32


def has_no_terms(slot: str, text: str) -> bool:
    """Whether a slot's text says that nothing is in it: ``none``, ``no style``, or no text at all."""
    words = " ".join(text.lower().split()).rstrip(".!")
    return words in _NO_TERMS or words == f"no {slot}"


def whole_number(what: str, text: str) -> int:
    if not (whole := _WHOLE.fullmatch(text)) or len(text) > MAX_DIGITS:
        raise ParseError(f"{what} takes a whole number, not {quoted(text)}.")
    return int(whole["number"])


def seed(what: str, text: str) -> int | None:
    """The seed, or None for ``new``, ``random`` and numbers below 0, which mean a random one everywhere."""
    if text.lower() in RANDOM_SEEDS:
        return None
    number = text.removeprefix("#")
    if not _WHOLE.fullmatch(number):
        raise ParseError(f"{what} takes a whole number, or {NEW_SEED}, not {quoted(text)}.")
    value = whole_number(what, number)
    return None if value < 0 else value


def number(what: str, text: str) -> float:
    """The number, with a decimal point or comma."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text.replace(",", "."))):
        raise ParseError(f"{what} takes a number such as 7.5, not {quoted(text)}.")
    return value


def strength(what: str, text: str) -> float:
    """The strength from 0 to 1, also as a percentage, ``60%`` or ``60``, or as a fraction, ``3/5``."""
    if (fraction := _FRACTION.fullmatch(text)) and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    plain = text.removesuffix("%")
    if not _NUMBER.fullmatch(plain):
        raise ParseError(f"{what} takes a number from 0 to 1, not {quoted(text)}.")
    value = number(what, plain)
    return value / 100 if text.endswith("%") or LEAST_PERCENT <= value <= 100 else value


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
