"""Reads YAML and JSON as plain values, in which every scalar keeps its text. Knows nothing of recipes.

YAML is read from its events, so that nothing is constructed, expanded or resolved: ``no``, ``16:9`` and ``1e3`` stay
text, and aliases, anchors and tags are refused.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from .sentences import ParseError, quoted

# A recipe's deepest values are three levels down, in the facts' plan.
MAX_DEPTH = 5

# Other programs' JSON has more.
MAX_JSON_DEPTH = 16

# Brackets that are open at once, those of texts too. The scanner looks at all of them for each token that it reads.
MAX_OPEN_BRACKETS = 16


class Unquoted(str):
    """A scalar written without quotes, which may mean a number, a boolean or null."""


Value = str | bool | None | Sequence["Value"] | Mapping[str, "Value"]


def read_yaml(text: str) -> Value:
    """The one document in ``text``. Raises ParseError."""
    _check_open_brackets(text)
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        next(events), next(events)  # the start of the stream and of the document; an empty stream has no document
        value = _node(next(events), events, depth=0)
        next(events)  # the end of the document
        if not isinstance(next(events), StreamEndEvent):
            raise ParseError("That's several recipes. Send one at a time.")
    except StopIteration:
        raise ParseError("That recipe is empty.") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1} of " if mark else ""
        raise ParseError(f"I can't read {where}that recipe. Texts with odd signs need quotes.") from error
    _check_characters(value)
    return value


def read_json_start(text: str) -> tuple[Value, str]:
    """The JSON value at the start of ``text``, and the text behind it. Raises ParseError."""
    _check_json_depth(text)
    try:
        value, end = _JSON.raw_decode(text)
    except json.JSONDecodeError as error:
        raise ParseError(
            f"I can't read that JSON at line {error.lineno}, column {error.colno}: {error.msg.lower()}."
        ) from error
    _check_characters(value)
    return value, text[end:]


def _node(event: Event, events: Iterator[Event], depth: int) -> Value:
    if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
        raise ParseError("A recipe can't have anchors (&) or aliases (*). Put quotes around such a text.")
    if getattr(event, "tag", None) is not None:
        raise ParseError("A recipe can't have tags (!). Put quotes around such a text.")
    if depth > MAX_DEPTH:
        _too_deep()
    if isinstance(event, ScalarEvent):
        return event.value if event.style else Unquoted(event.value)
    if isinstance(event, SequenceStartEvent):
        items = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(_node(event, events, depth + 1))
        return items
    pairs = []
    while not isinstance(event := next(events), MappingEndEvent):
        key = _node(event, events, depth + 1)
        pairs.append((key, _node(next(events), events, depth + 1)))
    return _mapping(pairs)


def _mapping(pairs: Sequence[tuple[Value, Value]]) -> dict[str, Value]:
    mapping: dict[str, Value] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise ParseError("A key of a recipe is one word.")
        if key in mapping:
            raise ParseError(f"{quoted(key)} is in the recipe twice. Keep one of them.")
        mapping[str(key)] = value
    return mapping


def _check_open_brackets(text: str) -> None:
    depth = 0
    for bracket in re.finditer(r"[][{}]", text):
        depth = max(0, depth + (1 if bracket[0] in "[{" else -1))
        if depth > MAX_OPEN_BRACKETS:
            _too_deep()


def _check_json_depth(text: str) -> None:
    """Limit the depth here: how deep the decoder recurses differs by the interpreter's version."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*+"?|[][{}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_JSON_DEPTH:
            _too_deep(MAX_JSON_DEPTH)
        if depth <= 0:
            return  # the value's end; any text may follow


def _check_characters(value: Value) -> None:
    r"""Refuse halves of characters (``"\ud83d"``) and NUL, which JSON and YAML can write, but no database keeps."""
    written = json.dumps(value, ensure_ascii=False)
    # JSON writes a backslash that stands for itself twice.
    if "\\u0000" in written.replace("\\\\", ""):
        raise ParseError("That recipe has a sign that no text can have, “\\u0000”.")
    try:
        written.encode()
    except UnicodeEncodeError:
        raise ParseError("That recipe has half a sign in it, such as “\\ud83d”.") from None


def _too_deep(most: int = MAX_DEPTH) -> NoReturn:
    raise ParseError(f"A recipe nests up to {most} levels deep.")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Value]:
    return _mapping(pairs)


_JSON = json.JSONDecoder(
    parse_int=Unquoted, parse_float=Unquoted, parse_constant=Unquoted, object_pairs_hook=_pairs, strict=False
)
