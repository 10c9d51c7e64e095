"""Says what pydantic finds wrong in a settings file, in the words of the person who writes it.

A field's description is its rule in words, where its type alone does not say it.
"""

from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from generator.models.cards import CardSettings

_UNKNOWN = ("extra_forbidden", "invalid_key")

_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    IPv4Address: "an IPv4 address such as 192.168.1.2",
}


def plain_error(error: ValidationError, settings: type[BaseModel]) -> str:
    """The first thing that is wrong. A misspelt name comes first, since the right one is then missing."""
    errors = error.errors()
    return _sentence(next((one for one in errors if one["type"] in _UNKNOWN), errors[0]), settings)


def _sentence(error: ErrorDetails, settings: type[BaseModel]) -> str:
    where, keys, field, is_unknown = error["loc"], list[str](), FieldInfo(), error["type"] in _UNKNOWN
    kind: Any = settings
    # As far as names lead: behind them are places in a list, or what pydantic adds.
    for part in where:
        if _is_model(kind) and part in kind.model_fields:
            field = kind.model_fields[part]
            kind = _without_none(field.annotation)
        # So pydantic marks what is wrong with a name, but a setting may be called so, too.
        elif _is_mapping_of_models(kind) and (is_unknown or where[len(keys) + 1 :] != ("[key]",)):
            kind, field = get_args(kind)[1], FieldInfo()
        else:
            break
        keys.append(str(part))
    key = ".".join(keys)
    if is_unknown:
        return _no_such(".".join(map(str, where)), str(where[-1]), _names(kind))
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}".removeprefix(": ")
    if not keys:
        return "the settings must be lines such as max_queued_jobs: 20"
    is_missing = error["type"] == "missing" and len(keys) == len(where)
    return f"{key} {'is missing; it ' if is_missing else ''}must be {_rule(kind, field)}"


def _no_such(key: str, name: str, names: list[str]) -> str:
    near = get_close_matches(name.lower(), names, n=1)
    return f"{key} is no setting; " + (f"did you mean {near[0]}?" if near else f"there is {', '.join(names)}")


def _rule(kind: Any, field: FieldInfo) -> str:
    """What a setting must be: its own words, if it has any, else those of its kind."""
    if field.description:
        return field.description
    if _is_model(kind):
        return f"a mapping of {', '.join(_names(kind))}"
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else str(choices[0])
    return _KINDS[kind] + _range(field)


def _range(field: FieldInfo) -> str:
    limits = ("gt", "ge", "le")
    match {name: getattr(limit, name) for limit in field.metadata for name in limits if hasattr(limit, name)}:
        case {"ge": low, "le": high}:
            return f" from {low} to {high}"
        case {"ge": low}:
            return f", {low} or more"
        case {"gt": low}:
            return f" above {low}"
        case {"le": high}:
            return f" up to {high}"
    return ""


def _names(model: type[BaseModel]) -> list[str]:
    # A card is like another before it is checked.
    return [*model.model_fields, *(["like"] if model is CardSettings else [])]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_mapping_of_models(kind: Any) -> bool:
    return get_origin(kind) is dict and _is_model(get_args(kind)[1])


def _without_none(kind: Any) -> Any:
    """The kind of a setting that may be left out, without what pydantic adds to it."""
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
