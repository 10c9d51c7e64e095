"""A request as JSON, as the database keeps it: without the fields that were not given.

So a request from before a field existed keeps its meaning. A field that changes its meaning needs a new name.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..language import Asked, DrawRequest, EarlierFacts, ParseError, Slots


class UnknownRequest(Exception):
    """Another version of Easel wrote the request: it has fields that this one does not know, or lacks some."""


def request_to_json(asked: Asked) -> str:
    return json.dumps(asked, default=_given_fields)


def request_from_json(text: str) -> Asked:
    """Read a request. Raises UnknownRequest, since a part of a request would draw another picture."""
    try:
        asked = _frozen(json.loads(text))
        return Asked(**{**asked, "requests": tuple(map(_draw_request, asked["requests"]))})
    except (ParseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnknownRequest from error


def _draw_request(given: Mapping[str, Any]) -> DrawRequest:
    nested = {"slots": Slots, "facts": EarlierFacts}
    return DrawRequest(**{key: nested[key](**value) if key in nested else value for key, value in given.items()})


def _given_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults."""
    items = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: item for field, item in items if item != field.default}


def _frozen(value: Any) -> Any:
    """JSON with a tuple for each list."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        # Nearly all that a request has are terms.
        return tuple(value if value and isinstance(value[0], str) else map(_frozen, value))
    return value
