"""Rules for settings: each checks a value from YAML and turns it into what the code uses. Knows no setting."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import tzinfo
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Any, TypeVar, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from yarl import URL

from .language import nearest
from .room.reactions import plain_emoji

T = TypeVar("T")
Rule = Callable[[str, Any], Any]

_MAC_ADDRESS = re.compile(r"[0-9a-fA-F]{2}([:-]?)[0-9a-fA-F]{2}(?:\1[0-9a-fA-F]{2}){4}")


class InvalidSettings(Exception):
    """A setting breaks a rule. ``str()`` names the key and the rule, for the log."""


def read_settings(kind: type[T], values: Mapping[str, Any], *, within: str = "") -> T:
    """Read a dataclass with rules as annotations from YAML values; null means the default if there is one.

    ``within`` is how errors begin: the keys that lead to ``values``. Raises InvalidSettings.
    """
    hints = get_type_hints(kind, include_extras=True)
    if unknown := [key for key in values if key not in hints]:
        raise InvalidSettings(within + no_such("setting", unknown[0], hints))
    read = {}
    for key, value in values.items():
        if value is not None or not hasattr(kind, key):
            (rule,) = hints[key].__metadata__
            read[key] = rule(f"{within}{key}", value)
    try:
        return kind(**read)
    except InvalidSettings as error:
        raise InvalidSettings(f"{within}{error}") from error


def no_such(what: str, key: object, choices: Iterable[str]) -> str:
    """That there is no setting of that name, and the nearest one, if one is near."""
    near = nearest(str(key), choices)
    return f"{key} is no {what}; " + (f"did you mean {near}?" if near else f"there is {', '.join(choices)}")


def text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidSettings(f"{key} must be text")
    return value


def absolute_path(key: str, value: Any) -> str:
    """An absolute path, or empty text."""
    if text(key, value) and not PurePosixPath(value).is_absolute():
        raise InvalidSettings(f"{key} must be an absolute path")
    return str(value)


def mac_address(key: str, value: Any) -> str:
    """A MAC address, or empty text."""
    if text(key, value) and not _MAC_ADDRESS.fullmatch(value):
        raise InvalidSettings(f"{key} must be a MAC address such as 00:11:22:aa:bb:cc")
    return str(value)


def ipv4_address(key: str, value: Any) -> str:
    try:
        return str(IPv4Address(text(key, value)))
    except ValueError as error:
        raise InvalidSettings(f"{key} must be an IPv4 address such as 192.168.1.255") from error


def time_zone(key: str, value: Any) -> tzinfo | None:
    """The zone of an IANA name; None for empty text, which is the machine's own."""
    if not text(key, value):
        return None
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidSettings(f"{key} must be a time zone such as Europe/Berlin") from error


def true_or_false(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettings(f"{key} must be true or false")
    return value


def web_address(key: str, value: Any) -> str:
    """The address of web pages, which ends with a slash, or empty text."""
    if not text(key, value):
        return ""
    try:
        url = URL(value)
    except ValueError as error:
        raise InvalidSettings(f"{key} is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise InvalidSettings(f"{key} must be an address such as https://example.org/_matrix/maubot/plugin/easel/")
    return f"{value.rstrip('/')}/"


def whole_number(*, at_least: int) -> Rule:
    def rule(key: str, value: Any) -> int:
        if not _is_number(value, int) or value < at_least:
            raise InvalidSettings(f"{key} must be a whole number, {at_least} or more")
        return int(value)

    return rule


def number(*, above: float | None = None) -> Rule:
    """A number of 0 or more, or one above ``above``."""

    def rule(key: str, value: Any) -> float:
        fits = _is_number(value, int, float) and value < float("inf")
        if above is None and not (fits and value >= 0):
            raise InvalidSettings(f"{key} must be a number, 0 or more")
        if above is not None and not (fits and value > above):
            raise InvalidSettings(f"{key} must be a number above {above:g}")
        return float(value)

    return rule


def number_or(word: str) -> Rule:
    """A number of 0 or more, or None for that word."""

    def rule(key: str, value: Any) -> float | None:
        if value == word:
            return None
        if isinstance(value, str):
            raise InvalidSettings(f"{key} must be {word}, or a number, 0 or more")
        return float(number()(key, value))

    return rule


def one_of(choices: type[StrEnum]) -> Rule:
    def rule(key: str, value: Any) -> StrEnum:
        if value not in list(choices):
            raise InvalidSettings(f"{key} must be one of {', '.join(choices)}")
        return choices(value)

    return rule


def some_of(choices: Collection[str]) -> Rule:
    """A list of emoji among the choices."""

    def rule(key: str, value: Any) -> frozenset[str]:
        chosen = frozenset(map(plain_emoji, texts(key, value)))
        if unknown := chosen.difference(choices):
            raise InvalidSettings(f"{key}: {min(unknown)} is none of {', '.join(choices)}")
        return chosen

    return rule


def texts(key: str, value: Any) -> tuple[str, ...]:
    """A list of texts, none of them empty."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise InvalidSettings(f"{key} must be a list of texts, such as {key.rsplit(': ')[-1]}: [one, two]")
    return tuple(str(item) for item in value)


def globs(sigil: str) -> Rule:
    """A list of patterns for Matrix ids that start with ``sigil``; ``*`` is any."""

    def rule(key: str, value: Any) -> tuple[str, ...]:
        return tuple(glob(sigil)(key, item) for item in texts(key, value))

    return rule


def glob(sigil: str) -> Rule:
    def rule(key: str, value: Any) -> str:
        if not text(key, value).startswith((sigil, "*")):
            raise InvalidSettings(f"{key}: {value} matches nothing, since these ids start with {sigil}")
        return str(value)

    return rule


def _is_number(value: object, *types: type) -> bool:
    # To Python, true and false are numbers; to the person who typed them they are not.
    return isinstance(value, types) and not isinstance(value, bool)
