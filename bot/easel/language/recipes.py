"""Reads the keys of a recipe. Knows neither YAML nor JSON: it gets plain values."""

from collections.abc import Mapping
from typing import Any

from . import values
from .labels import field_called
from .request import SLOTS, DrawRequest, EarlierFacts, Scalar, Slots
from .sentences import ParseError, listed, nearest, quoted
from .structured import Unquoted, Value
from .typed_flags import first_flag
from .weights import read_terms, to_compel

KEYS = (
    "prompt",
    "negative_prompt",
    "slots",
    *SLOTS,
    *("theme", "model", "seed", "steps", "guidance_scale", "sampler", "width", "height", "tier"),
    *("image", "strength", "facts"),
)
# Only a person writes these.
_TYPED_KEYS = ("size", "aspect_ratio")


def read_recipe(recipe: Value) -> DrawRequest:
    """The request of a recipe. Of its facts it keeps what ``EarlierFacts`` holds. Raises ParseError."""
    if not isinstance(recipe, Mapping):
        raise ParseError("A recipe has lines such as “prompt: otter”.")
    recipe = _checked("key", recipe, KEYS)
    given = {key: value for key, value in recipe.items() if not _is_nothing(value)}
    fields: dict[str, Any] = {
        key: _text(key, given[key]) for key in ("theme", "model", "sampler", "tier") if key in given
    }
    if "image" in given:
        fields["image"] = values.image("image", _text("image", given["image"]))
    if str(given.get("seed")).lower() in values.RANDOM_SEEDS:
        del given["seed"]
    fields |= {key: values.whole_number(key, _text(key, given[key])) for key in ("seed", "steps") if key in given}
    if fields.get("seed", 0) < 0:
        # A random one, which every program writes so.
        fields["seed"] = None
    for key, read in (("guidance_scale", values.number), ("strength", values.strength)):
        if key in given:
            fields[key] = read(key, _text(key, given[key]))
    if "negative_prompt" in recipe:
        fields["negative_prompt"] = _negative_prompt(recipe["negative_prompt"])
        if "slots" not in given:
            # A person typed this. What Easel wrote has slots, and is taken as it is.
            _without_flags("negative_prompt", fields["negative_prompt"] or "")
    fields |= {"slots": _slots(given), "emptied": _emptied(given), "size": _size(given)}
    if "aspect_ratio" in given:
        fields["aspect_ratio"] = values.ratio("aspect ratio", _text("aspect_ratio", given["aspect_ratio"]))
    return DrawRequest(facts=_facts(given.get("facts")), **fields)


def _slots(given: Mapping[str, Value]) -> Slots:
    """The slots. A flat prompt that differs from them, and from their subject alone, replaces them as the subject.

    First-level slots override both.
    """
    prompt, written = given.get("prompt"), given.get("slots")
    if isinstance(prompt, Mapping):
        if written is not None:
            raise ParseError("That recipe has its slots twice, in “prompt” and in “slots”. Keep one of them.")
        prompt, written = None, prompt
    slots = _slot_terms({} if written is None else written)
    if prompt is not None:
        flat = " ".join(to_compel(_text("prompt", prompt)).split())
        subject = ", ".join(slots.get("subject", ()))
        if flat not in (" ".join(words.split()) for words in (Slots(**slots).joined(), subject)):
            slots = {"subject": read_terms(_without_flags("prompt", flat))}
    return Slots(**slots | _slot_terms({slot: given[slot] for slot in SLOTS if slot in given}))


def _slot_terms(slots: Value) -> dict[str, tuple[str, ...]]:
    if not isinstance(slots, Mapping):
        raise ParseError(f"“slots” has a line for each slot: {listed(SLOTS)}.")
    slots = _checked("slot", slots, SLOTS)
    return {slot: _terms(slot, terms) for slot, terms in slots.items() if not _is_nothing(terms)}


def _emptied(given: Mapping[str, Value]) -> tuple[str, ...]:
    """The slots that a person wrote ``none`` into."""
    written = [given, *(part for part in (given.get("slots"), given.get("prompt")) if isinstance(part, Mapping))]
    return tuple(
        slot
        for slot in SLOTS
        if any(isinstance(terms := part.get(slot), str) and values.has_no_terms(slot, terms) for part in written)
    )


def _terms(slot: str, terms: Value) -> tuple[str, ...]:
    """A list's items are terms as they stand; a text, which a person typed, is split at its commas."""
    if isinstance(terms, str):
        return () if values.has_no_terms(slot, terms) else read_terms(_without_flags(slot, terms))
    if not isinstance(terms, list):
        raise ParseError(f"{slot} takes a list of terms.")
    texts = (to_compel(_text(slot, term)).strip() for term in terms)
    return tuple(text for text in texts if text)


def _negative_prompt(value: Value) -> str | None:
    if isinstance(value, list):
        return ", ".join(_terms("negative_prompt", value))
    if value is None or (isinstance(value, Unquoted) and _is_nothing(value)):
        return None
    return " ".join(to_compel(_text("negative_prompt", value)).split())


def _size(given: Mapping[str, Value]) -> tuple[int, int] | str | None:
    if "size" in given:
        if "width" in given or "height" in given:
            raise ParseError("A recipe has a size, or width and height. Keep one of them.")
        return values.size("size", "".join(_text("size", given["size"]).split()))
    if "width" not in given and "height" not in given:
        return None
    if "width" not in given or "height" not in given:
        raise ParseError("A recipe needs both width and height, or neither.")
    width, height = (values.whole_number(key, _text(key, given[key])) for key in ("width", "height"))
    return width, height


def _facts(facts: Value) -> EarlierFacts | None:
    if facts is None:
        return None
    if not isinstance(facts, Mapping):
        raise ParseError("“facts” has a line for each fact.")
    revision, plan = facts.get("model_revision"), facts.get("plan")
    if _is_nothing(plan):
        read_plan = None
    elif isinstance(plan, Mapping):
        read_plan = {key: _scalar(key, value) for key, value in plan.items()}
    else:
        raise ParseError("“plan” has a line for each fact.")
    return EarlierFacts(
        model_revision=None if _is_nothing(revision) else _text("model_revision", revision), plan=read_plan
    )


def _scalar(key: str, value: Value) -> Scalar:
    """A plan's value with its type, so that numbers are compared as numbers."""
    if value is None or isinstance(value, bool):
        return value
    text = _text(key, value)
    if not isinstance(value, Unquoted):
        return text
    if _is_nothing(value):
        return None
    if text in {"true", "false"}:
        return text == "true"
    for convert in (values.whole_number, values.number):
        try:
            return convert(key, text)
        except ParseError:
            continue
    return text


def _without_flags(key: str, text: str) -> str:
    """The text that a person typed into a recipe. Raises ParseError if it hides a flag."""
    if first_flag(text) is not None:
        raise ParseError(f"There's a flag in {key}. Put flags on a line of their own, below the recipe.")
    return text


def _text(key: str, value: Value) -> str:
    if not isinstance(value, str):
        raise ParseError(f"In a recipe, {key} takes one text or number.")
    return str(value)


def _is_nothing(value: Value) -> bool:
    """Whether the value is null, however it is written."""
    return value is None or (isinstance(value, Unquoted) and value in {"", "~", "null"})


def _checked(what: str, mapping: Mapping[str, Value], known: tuple[str, ...]) -> dict[str, Value]:
    """The mapping with lower-case keys (phones capitalise). Raises ParseError for an unknown or repeated key."""
    checked: dict[str, Value] = {}
    for typed, value in mapping.items():
        key = typed.lower()
        if key not in known and (field := field_called(typed)) in (*known, *_TYPED_KEYS):
            key = field
        elif key not in known:
            near = nearest(key, known)
            hint = f"Did you mean {near}?" if near else f"There are {listed(known)}."
            raise ParseError(f"A recipe has no {what} {quoted(typed)}. {hint}")
        if key in checked:
            raise ParseError(f"{quoted(key)} is in the recipe twice. Keep one of them.")
        checked[key] = value
    return checked
