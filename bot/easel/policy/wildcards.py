"""``__animal__`` in a prompt: a word from one of the settings' lists, chosen by the picture's seed. Pure."""

import re
from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from types import MappingProxyType
from typing import Any

from ..language import SLOTS, ParseError, Slots, nearest, quoted
from ..setting_rules import InvalidSettings, texts

_NAME = "[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*"
_WILDCARD = re.compile(rf"__(?P<name>{_NAME})__")

WordLists = Mapping[str, tuple[str, ...]]


def word_lists(key: str, value: Any) -> WordLists:
    """A rule for settings: lists of words by their names."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(f"{key} must be a mapping from names to lists of words")
    lists = {}
    for name, words in value.items():
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            raise InvalidSettings(f"{key}: {name} is no name; use letters, digits, hyphens and single underscores")
        lists[name.lower()] = texts(f"{key}: {name}", words)
        if not words:
            raise InvalidSettings(f"{key}: {name} has no words")
    return MappingProxyType(lists)


def resolved(slots: Slots, seed: int, lists: WordLists) -> Slots:
    """The slots with a word in place of each wildcard: the same seed always chooses the same. Raises ParseError."""
    numbers = count()

    def word(match: re.Match[str]) -> str:
        name = match["name"].lower()
        if name not in lists:
            near = nearest(name, lists)
            there = f"Did you mean __{near}__?" if near else f"There is: {', '.join(lists)}." if lists else ""
            raise ParseError(f"There's no word list {quoted(match[0])}. {there}".rstrip())
        # From a hash, which is the same in every version of Python. Each wildcard of a prompt chooses for itself.
        chosen = sha256(f"{seed} {name} {next(numbers)}".encode()).digest()
        return lists[name][int.from_bytes(chosen) % len(lists[name])]

    return Slots(**{slot: tuple(_WILDCARD.sub(word, term) for term in getattr(slots, slot)) for slot in SLOTS})
