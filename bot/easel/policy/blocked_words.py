"""Finds a word or phrase in a text, however it is written. Knows spelling, not meaning.

A word is a run of letters and digits, after NFKC and case folding; a symbol such as 🔫 is a word of its own. Invisible
characters, and marks over and under letters, hide no word. A blocked word is also found between digits and vowel signs,
since CLIP's tokenizer cuts a text there: what the models read as a word is always found.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# Blank characters outside the format category: the grapheme joiner, Hangul fillers, variation selectors.
_BLANKS = frozenset(map(chr, (0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))))

# Canonical combining classes of marks that go with any letter. Below 200 are the vowel signs of many scripts.
_OVERLAY, _FIRST_ABOVE_OR_BELOW = 1, 200

# CLIP's tokenizer cuts these off before it looks for letters: of “'sgun” it reads “gun”. Behind another sign the
# apostrophe goes with that: of “:'dagger” it reads “dagger”.
_CONTRACTION = re.compile(r"(?<![^\s\w]|_)'(?:s|t|re|ve|m|ll|d)")

# More marks in a row are in no language (Unicode's stream-safe format has this limit), and Python takes quadratic time
# to put them in order.
MAX_MARKS = 30

# More than the characters of a long text, and more words than a room blocks.
_KEPT = 4096


def find_word(text: str, words: Iterable[str]) -> str | None:
    """The first of ``words`` that ``text`` contains as a whole word or phrase, or None."""
    readings = [f" {reading} " for reading in _readings(_with_few_marks(text))]
    return next((word for word in words if any(_wanted(word) in reading for reading in readings)), None)


def as_words(text: str) -> str:
    """The words of ``text``, one space between them."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(map(_spaced, _unhidden(folded, ""))).split())


@lru_cache(_KEPT)
def _wanted(word: str) -> str:
    return f" {_pieces(word)} "


def _pieces(text: str) -> str:
    """The words of ``text``, in which each digit and vowel sign stands alone."""
    return " ".join(_apart(as_words(text)).split())


def _apart(text: str) -> str:
    return "".join(character if character.isalpha() else f" {character} " for character in text)


def _readings(text: str) -> set[str]:
    """The words of a text with marks composed into letters where Unicode can, without marks, and split at marks.

    Each also as the tokenizer cuts it, before NFKC makes letters of a symbol: “gun™” is “gun” and “™” to the models.
    And each without what is not made of letters, so that “horror1 movie” has the phrase “horror movie”. Composed
    letters keep their marks: “für” is not “fur”.
    """
    bases = {text, _unhidden(text, ""), _unhidden(text, " ")}
    readings = set(map(_pieces, bases | set(map(_cut, bases))))
    return readings | {" ".join(filter(str.isalpha, reading.split())) for reading in readings}


def _cut(text: str) -> str:
    """``text`` with spaces where CLIP's tokenizer cuts it."""
    return _apart(_CONTRACTION.sub(" ", unicodedata.normalize("NFC", text).lower()))


def _with_few_marks(text: str) -> str:
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if _is_mark(character) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


@lru_cache(_KEPT)
def _is_mark(character: str) -> bool:
    """Whether a character goes with the letter before it. A few marks are composed of others."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


def _unhidden(text: str, replacement: str) -> str:
    return "".join(replacement if _is_hidden(character) else character for character in text)


@lru_cache(_KEPT)
def _is_hidden(character: str) -> bool:
    combining = unicodedata.combining(character)
    return (
        combining == _OVERLAY
        or combining >= _FIRST_ABOVE_OR_BELOW
        or unicodedata.category(character) in ("Cf", "Me")
        or character in _BLANKS
    )


@lru_cache(_KEPT)
def _spaced(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LNM":
        return character
    return f" {character} " if category == "So" else " "
