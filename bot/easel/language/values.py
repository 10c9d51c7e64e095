"""Reads one value from text. ``what`` is its name in the error: ``--steps``, or ``steps`` in a recipe."""

import math
import re

from .sentences import ParseError, quoted

NEW_SEED = "new"

SIZE_NAMES = ("portrait", "landscape", "square")

_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?")
# Five digits are more than any picture has; the generator checks the model's own limits.
_SIZE = re.compile(r"([1-9]\d{0,4})[xX×*]([1-9]\d{0,4})", re.ASCII)
_RATIO = re.compile(r"([1-9]\d{0,4})[:/xX×]([1-9]\d{0,4})", re.ASCII)

# Twice what any seed needs; Python itself refuses integers of some thousand digits.
MAX_DIGITS = 32


def whole_number(what: str, text: str) -> int:
    if not _WHOLE.fullmatch(text) or len(text) > MAX_DIGITS:
        raise ParseError(f"{what} takes a whole number, not {quoted(text)}.")
    return int(text)


def seed(what: str, text: str) -> int | None:
    """The seed, or None for ``new``."""
    if text.lower() == NEW_SEED:
        return None
    if not _WHOLE.fullmatch(text):
        raise ParseError(f"{what} takes a whole number, or {NEW_SEED}, not {quoted(text)}.")
    return whole_number(what, text)


def number(what: str, text: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        raise ParseError(f"{what} takes a number such as 7.5, not {quoted(text)}.")
    return value


def size(what: str, text: str) -> tuple[int, int] | str:
    """The size as (width, height) in pixels, or one of ``SIZE_NAMES``."""
    if text.lower() in SIZE_NAMES:
        return text.lower()
    if match := _SIZE.fullmatch(text):
        return int(match[1]), int(match[2])
    raise ParseError(f"{what} takes portrait, landscape, square or pixels such as 768x1024, not {quoted(text)}.")


def ratio(what: str, text: str) -> tuple[int, int]:
    """The ratio as (width, height), in any unit."""
    if match := _RATIO.fullmatch(text):
        return int(match[1]), int(match[2])
    raise ParseError(f"{what} takes width to height such as 3:4, not {quoted(text)}.")
