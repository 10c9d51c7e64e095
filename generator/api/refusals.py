"""Turn pydantic's errors into one sentence for the person who typed. Knows neither HTTP nor what was checked."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from generator.errors import Refused

# Nobody reads more of a value that is shown back.
MAX_SHOWN_CHARS = 80

# By field, where the limits are best told together.
_ABOUT_VALUES = {"greater_than", "greater_than_equal", "less_than_equal", "string_pattern_mismatch"}
_OF_FIELDS = {
    "strength": "is {value}; it can be more than 0, up to 1",
    "image": "is a picture's SHA-256, 64 of the digits 0 to 9 and letters a to f",
}

# By pydantic's name of an error: the name of its limit in the context, and the sentence after the field's name.
_SENTENCES: dict[str, tuple[str | None, str]] = {
    "missing": (None, "is missing"),
    "extra_forbidden": (None, "is not a field that this generator knows"),
    "int_type": (None, "must be a whole number"),
    "int_parsing": (None, "must be a whole number"),
    "int_from_float": (None, "must be a whole number"),
    "float_type": (None, "must be a number"),
    "float_parsing": (None, "must be a number"),
    "finite_number": (None, "must be a finite number"),
    "string_type": (None, "must be a text"),
    "string_unicode": (None, "holds characters that are not valid Unicode"),
    "string_too_short": ("min_length", "must not be empty"),
    "string_too_long": ("max_length", "can have at most {limit} characters"),
    "string_pattern_mismatch": ("pattern", "can only have letters, digits, - and _"),
    "too_short": ("min_length", "needs at least {limit}"),
    "too_long": ("max_length", "can have at most {limit}"),
    "greater_than_equal": ("ge", "is {value}; it must be at least {limit}"),
    "greater_than": ("gt", "is {value}; it must be more than {limit}"),
    "less_than": ("lt", "is {value}; it must be less than {limit}"),
    "less_than_equal": ("le", "is {value}; it can be at most {limit}"),
    "tuple_type": (None, "must be a list"),
    "dict_type": (None, "must be an object"),
    "model_type": (None, "must be an object"),
    "model_attributes_type": (None, "must be an object"),
}


def refusal(error: ValidationError) -> Refused:
    """Return the first error as a refusal with field, value and limit."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return Refused("bad_json", f"The request is not JSON: {first['ctx']['error']}.")
    field = ".".join(str(part) for part in first["loc"]) or None
    limit_name, sentence = _SENTENCES.get(first["type"], (None, "is not of the right kind"))
    limit = first.get("ctx", {}).get(limit_name) if limit_name else None
    # A person typed `steps`, not `recipes.0.steps`.
    name = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "The request")
    if first["type"] in _ABOUT_VALUES:
        sentence = _OF_FIELDS.get(name, sentence)
    message = f"{name} {sentence.format(limit=limit, value=_shown(first))}."
    return Refused("invalid", message, field=field, value=_shown(first), limit=limit)


def _shown(error: ErrorDetails) -> Any:
    """The value, cut if it is long; None for a missing field and for anything but text and numbers."""
    value = error["input"]
    if error["type"] == "missing" or not isinstance(value, str | int | float | None):
        return None
    text = str(value)
    return value if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
