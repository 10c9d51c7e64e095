"""The recipe as a YAML file: written to read like a caption, read with suspicion.

Scalars (`no`, `16:9`) are read as text and converted field by field. Knows neither pictures nor folders.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from generator.api import limits
from generator.api.refusals import refusal
from generator.api.types import SLOTS, EarlierFacts, Facts, Recipe, RecipeRequest, SheetRequest, Slots
from generator.errors import Refused
from generator.recipes.prompt import split_terms

# Prose is read comfortably at this width, and a prompt is prose.
WIDTH = 100

# ``write`` needs three levels: facts, plan and a value.
MAX_DEPTH = 6

_INTEGERS = ("seed", "width", "height", "steps")
_TEXTS = ("negative_prompt", "theme", "model", "sampler", "tier", "image")
_NUMBERS = ("guidance_scale", "strength")
_SHORT = {"cfg": "guidance_scale", "cfg_scale": "guidance_scale", "guidance": "guidance_scale"}
_FIELDS = ("prompt", "slots", *_TEXTS, *_INTEGERS, *_NUMBERS, "facts")


def write(recipe: Recipe, facts: Facts) -> str:
    """Format the recipe and its facts as YAML."""
    return _dumped(_document(recipe, facts))


def write_sheet(sheet: SheetRequest, cells: Sequence[tuple[Recipe, Facts]]) -> str:
    """Format a contact sheet as YAML: its headings, then each cell as a recipe of its own, in order."""
    recipes = [_document(recipe, facts) for recipe, facts in cells]
    return _dumped({"sheet": sheet.model_dump(mode="json", exclude={"notes"}), "cells": recipes})


def _dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)


def _document(recipe: Recipe, facts: Facts) -> dict[str, Any]:
    slots = {slot: list(terms) for slot in SLOTS if (terms := getattr(recipe.slots, slot))}
    return {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "slots": slots,
        "theme": recipe.theme,
        "model": recipe.model,
        "seed": recipe.seed,
        "steps": recipe.steps,
        "guidance_scale": recipe.guidance_scale,
        "sampler": recipe.sampler,
        "width": recipe.width,
        "height": recipe.height,
        "tier": recipe.tier,
        **({"image": recipe.image, "strength": recipe.strength} if recipe.image else {}),
        "facts": facts.model_dump(mode="json"),
    }


def read(text: str) -> RecipeRequest:
    """Read a recipe and check its form; `validation` checks later whether it can be drawn. Raises Refused.

    A flat ``prompt`` that differs from the slots, and from their subject alone, was edited by a person, and becomes the
    whole subject.
    """
    fields = _mapping(_parse(text), "the recipe", is_typed=True)
    for key in fields.keys() - set(_FIELDS):
        raise Refused("bad_recipe", f"“{key[:80]}” is not a line of a recipe.", field=key[:80], choices=_FIELDS)
    try:
        return RecipeRequest(
            slots=_slots(fields),
            **{key: _scalar(fields[key], key) for key in _TEXTS if key in fields},
            **{key: _number(fields[key], key, int) for key in _INTEGERS if key in fields},
            **{key: _number(fields[key], key, float) for key in _NUMBERS if key in fields},
            facts=_facts(fields.get("facts")),
        )
    except ValidationError as error:
        raise refusal(error) from error


def read_facts(text: str) -> Facts:
    """Read the facts of a file that `write` wrote. Raises Refused."""
    try:
        return Facts.model_validate(_typed(_mapping(_parse(text), "the recipe").get("facts")))
    except ValidationError as error:
        raise refusal(error) from error


class _Dumper(yaml.SafeDumper):
    """Escapes NEL, which YAML reads as a line break and PyYAML would write unescaped."""

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and refuses anchors, tags and depth, which no recipe needs, before they can grow."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # as types-PyYAML has it
        if getattr(event, "anchor", None) or isinstance(event, yaml.AliasEvent):
            raise _refused("A recipe has no anchors or aliases (& and *).", "&")
        if tag := getattr(event, "tag", None):
            raise _refused("A recipe has no tags (!).", tag[:80])
        if self._depth >= MAX_DEPTH:
            raise _refused(f"A recipe is at most {MAX_DEPTH} levels deep.", None, limit=MAX_DEPTH)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _parse(text: str) -> yaml.Node:
    if len(text) > limits.MAX_RECIPE_CHARS:
        raise _refused(
            f"A recipe has at most {limits.MAX_RECIPE_CHARS} characters; this one has {len(text)}.",
            len(text),
            limit=limits.MAX_RECIPE_CHARS,
        )
    try:
        # Chats write no-break spaces.
        node = _Loader(text.replace("\u00a0", " ")).get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise _refused(f"This is not a recipe: it cannot be read as YAML{where}.", None) from error
    if node is None:
        raise _refused("This is not a recipe: it is empty.", None)
    return node


def _mapping(node: yaml.Node | None, name: str, *, is_typed: bool = False) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _refused(f"{name.capitalize()} must be lines of “name: value”.", None)
    fields: dict[str, yaml.Node] = {}
    for key, value in node.value:
        word = _scalar(key, "a name") or ""
        if is_typed:
            # Phones write capitals at the start of a line, people spaces and hyphens.
            word = re.sub(r"[\s-]+", "_", word.lower())
            word = _SHORT.get(word, word)
        if word in fields:
            raise _refused(f"“{word[:80]}” is there twice.", word[:80], field=word[:80])
        fields[word] = value
    return fields


def _scalar(node: yaml.Node, field: str) -> str | None:
    """Return the scalar's text unconverted, or None if it is blank. Raises Refused."""
    if not isinstance(node, yaml.ScalarNode):
        raise _refused(f"{field} must be a single value.", None, field=field)
    return None if _is_blank(node) else str(node.value)


def _is_blank(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value == ""


def _number(node: yaml.Node, field: str, kind: type[int] | type[float]) -> int | float | None:
    text = _scalar(node, field)
    if kind is float and text and re.fullmatch(r"[0-9]+,[0-9]+", text):
        text = text.replace(",", ".")
    try:
        # int() would also accept underscores and the digits of every script, float() also nan and infinity.
        if text is not None and not re.fullmatch(r"[-+]?[0-9]{1,20}(\.[0-9]{1,20})?", text):
            raise ValueError
        # Everywhere -1 stands for a random seed.
        return None if text is None or (field, text) == ("seed", "-1") else kind(text)
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise _refused(f"{field} must be a {what}, not “{str(text)[:80]}”.", str(text)[:80], field=field) from None


def _slots(fields: Mapping[str, yaml.Node]) -> Slots:
    slots = Slots()
    if "slots" in fields and not _is_blank(fields["slots"]):
        slots = Slots(
            **{slot: _terms(node, slot) for slot, node in _mapping(fields["slots"], "slots", is_typed=True).items()}
        )
    prompt = _scalar(fields["prompt"], "prompt") if "prompt" in fields else None
    is_same = prompt in (None, slots.joined(), ", ".join(slots.subject))
    return slots if prompt is None or is_same else Slots(subject=split_terms(prompt))


def _terms(node: yaml.Node, slot: str) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return tuple(text for item in items if (text := _scalar(item, slot)) is not None)


def _facts(node: yaml.Node | None) -> EarlierFacts | None:
    """Read the facts to compare with; a person may have deleted all or some of them."""
    return None if node is None else EarlierFacts.model_validate(_typed(node))


def _typed(node: yaml.Node | None) -> Any:
    """Convert the facts to YAML's own types: only programs write them."""
    match node:
        case yaml.MappingNode():
            return {key: _typed(value) for key, value in _mapping(node, "facts").items()}
        case yaml.SequenceNode():
            return tuple(_typed(item) for item in node.value)
        case yaml.ScalarNode(tag=tag, value=text) if tag in _TYPED_TAGS:
            try:
                return yaml.SafeLoader("").construct_object(node)
            except ValueError:
                return text
        case yaml.ScalarNode(value=text):
            return text
    return None


_TYPED_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}


def _refused(message: str, value: Any, *, field: str | None = None, limit: Any = None) -> Refused:
    return Refused("bad_recipe", message, field=field, value=value, limit=limit)
