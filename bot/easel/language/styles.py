"""``@names`` in a prompt, which stand for terms that a room has named: a style or a character. Knows no rooms."""

import re
from collections.abc import Mapping

from .chat import parse_chat
from .names import folded
from .nesting import bracket_pairs
from .request import DrawRequest, Slots
from .sentences import ParseError, nearest, quoted

MAX_NAME_CHARS = 40

# Enough for some terms. The model with the longest prompt reads four times as much.
MAX_STYLE_CHARS = 300

_NAME = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{MAX_NAME_CHARS - 2}}}[a-z0-9])?")

# An @name, but neither an email address nor a Matrix id.
_REFERENCE = re.compile(r"(?<![\w@＠.])[@＠](?P<name>[A-Za-z0-9_-]++)(?!\.*+[\w:@])")


def style_names(text: str) -> tuple[str, ...]:
    """The names that a text uses, in lower case, each once."""
    return tuple(dict.fromkeys(match["name"].lower() for match in _REFERENCE.finditer(text)))


def with_styles(text: str, styles: Mapping[str, str]) -> str:
    """The text with each name replaced by its terms. Raises ParseError for an unknown name."""

    by_name = {folded(name): terms for name, terms in styles.items()}

    def terms(match: re.Match[str]) -> str:
        name = match["name"].lower()
        if folded(name) not in by_name:
            near = nearest(name, styles)
            hint = f"Did you mean @{near}?" if near else "!easel style lists them."
            raise ParseError(f"There's no style {quoted(match[0])} in this room. {hint}")
        return by_name[folded(name)]

    return _REFERENCE.sub(terms, text)


def read_style(text: str) -> tuple[str, str]:
    """The name and the terms of ``name = terms``. Raises ParseError."""
    name, equals, terms = (part.strip() for part in text.partition("="))
    name = name.removeprefix("@").lower()
    if not equals or not terms:
        raise ParseError("A style is a name and its words, such as !easel style add cosy = soft light, cosy.")
    if not _NAME.fullmatch(name):
        raise ParseError(
            f"A style's name takes up to {MAX_NAME_CHARS} letters a to z, digits and hyphens, not {quoted(name)}."
        )
    if len(terms) > MAX_STYLE_CHARS:
        raise ParseError(f"A style has up to {MAX_STYLE_CHARS} characters. That one has {len(terms)}.")
    request = parse_chat(terms)
    is_terms_only = request == DrawRequest(slots=Slots(subject=request.slots.subject)) and request.slots
    if not is_terms_only or style_names(terms) or any(terms[start] == "{" for start, _ in bracket_pairs(terms)):
        raise ParseError("A style is words only, without slots, flags, lists or other styles.")
    return name, terms
