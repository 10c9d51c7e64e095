"""Finds a word or phrase in a text, however it is written. Knows spelling, not meaning.

A word is a run of letters and digits, after NFKC and case folding; a symbol such as 🔫 is a word of its own. Invisible
characters, and marks over and under letters, hide no word.
"""

import unicodedata
from collections.abc import Iterable

# Blank characters outside the format category: the grapheme joiner, Hangul fillers, variation selectors.
_BLANKS = frozenset(map(chr, (0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))))

# Canonical combining classes of marks that go with any letter. Below 200 are the vowel signs of many scripts.
_OVERLAY, _FIRST_ABOVE_OR_BELOW = 1, 200


def find_word(text: str, words: Iterable[str]) -> str | None:
    """The first of ``words`` that ``text`` contains as a whole word or phrase, or None."""
    readings = [f" {reading} " for reading in _readings(text)]
    return next((word for word in words if any(f" {as_words(word)} " in reading for reading in readings)), None)


def as_words(text: str) -> str:
    """The words of ``text``, one space between them."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(map(_spaced, _unhidden(folded, ""))).split())


def _readings(text: str) -> set[str]:
    """The words of a text with marks composed into letters where Unicode can, without marks, and split at marks.

    Composed letters keep their marks: “für” is not “fur”.
    """
    return {as_words(reading) for reading in {text, _unhidden(text, ""), _unhidden(text, " ")}}


def _unhidden(text: str, replacement: str) -> str:
    return "".join(replacement if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    combining = unicodedata.combining(character)
    return (
        combining == _OVERLAY
        or combining >= _FIRST_ABOVE_OR_BELOW
        or unicodedata.category(character) in ("Cf", "Me")
        or character in _BLANKS
    )


def _spaced(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LNM":
        return character
    return f" {character} " if category == "So" else " "
