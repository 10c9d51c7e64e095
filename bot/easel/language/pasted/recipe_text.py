"""Easel's own recipes as text: YAML as it was written, or what a chat left of it, without indentation or lines."""

import re

from ..phones import DASHES
from ..recipes import read_recipe
from ..request import SLOTS
from ..sentences import ParseError
from ..structured import Unquoted, Value, read_yaml
from .found import Pasted

# The keys in the order in which Easel writes them.
_IN_ORDER = (
    *("prompt", "negative_prompt", "slots", *SLOTS, "theme", "model", "seed", "steps", "guidance_scale", "sampler"),
    *(
        "width",
        "height",
        "tier",
        "image",
        "strength",
        "facts",
        "job",
        "drawn",
        "seconds",
        "model_revision",
        "plan",
        "notes",
    ),
)
_KEYS = "|".join(_IN_ORDER)

_START = re.compile(r"^[ \t]*+[\"']?(?:negative_)?prompt[\"']?[ \t]*+:|^slots:", re.MULTILINE | re.IGNORECASE)
# What only a program writes, or somebody who knows the recipe's form.
_WRITTEN = re.compile(
    rf"(?:^|\s)slots:\s*+\{{?\s*+[\"']?(?:{'|'.join(SLOTS)})[\"']?:|(?:^|\s)facts:(?:\s|$)"
    rf"|^prompt:[ \t]*+(?:\n[ \t]++\w+:|\{{[ \t]*(?:{'|'.join(SLOTS)}):"
    r"|[|>][+-]?[ \t]*+\n[ \t])",
    re.MULTILINE | re.IGNORECASE,
)
# A recipe that begins with a slot's list: brackets, or lines with hyphens.
_SLOT_LIST = re.compile(rf"\A(?:{'|'.join(SLOTS)}):[ \t]*+(?:\[[^\[\]\n]*+\][ \t]*+(?:\n|\Z)|\n[ \t]*+-[ \t])")
# What ends a recipe: a line of flags, or words behind an empty line.
_END = re.compile(rf"^[{DASHES}]++[^\W\d_]|(?<=\n)[ \t]*+\n(?=[^\W\d_][^:\n]*+(?:\n|\Z))", re.MULTILINE)
_LINE_KEY = re.compile(rf"^[ \t]*+(?P<key>{_KEYS}):(?=\s|$)", re.MULTILINE | re.IGNORECASE)
_WORD_KEY = re.compile(rf"(?:(?<=\s)|^)(?P<key>{_KEYS}):(?=\s|$)", re.IGNORECASE)
# What chats make of a list's hyphens.
_BULLET = re.compile(r"^([ \t]*+)[•‣◦▪–—·*](?=[ \t])", re.MULTILINE)
_LINE_ITEM = re.compile(r"^[ \t]*+-[ \t]++", re.MULTILINE)
_WORD_ITEM = re.compile(r"(?:(?<=\s)|^)-[ \t]++")
_FACT = re.compile(r"(?P<key>\w++):[ \t]++(?P<value>'[^']*+'|\"[^\"]*+\"|\S++)")


def recognise(text: str, *, is_reply: bool = False) -> Pasted | None:
    """Read a recipe with the text before it and the flags behind it. Raises ParseError."""
    # In a reply, a slot changes the picture's.
    if not is_reply and _SLOT_LIST.match(text):
        return _slot_lists(text)
    start = _START.search(text)
    if start is None or not _WRITTEN.search(text, start.start()):
        return None
    before, recipe = text[: start.start()], _BULLET.sub(r"\1-", text[start.start() :])
    recipe, below = _above_rest(recipe)
    try:
        request = read_recipe(read_yaml(recipe))
    except ParseError:
        without_layout = _without_layout(recipe)
        if without_layout is None:
            raise
        request = read_recipe(without_layout)
    return Pasted(request, f"{before}\n{below}")


def _slot_lists(text: str) -> Pasted | None:
    """A recipe of slots on the first level, with the flags behind it; None if it is no YAML."""
    recipe, below = _above_rest(text)
    try:
        return Pasted(read_recipe(read_yaml(recipe)), below)
    except ParseError:
        return None


def _above_rest(text: str) -> tuple[str, str]:
    """The text above its first line of flags or of words that are not the recipe's, and from there on."""
    below = _END.search(text)
    end = below.start() if below else len(text)
    return text[:end], text[end:]


def _without_layout(text: str) -> dict[str, Value] | None:
    """The recipe in a text that lost its lines or its indentation, or None if too little of it is there."""
    keys, item = list(_LINE_KEY.finditer(text)), _LINE_ITEM
    if len(keys) < 3:
        keys, item = list(_WORD_KEY.finditer(text)), _WORD_ITEM
    ordered: list[re.Match[str]] = []
    for key in keys:
        if not ordered or _IN_ORDER.index(key["key"].lower()) > _IN_ORDER.index(ordered[-1]["key"].lower()):
            ordered.append(key)
    ends = (*(key.start() for key in ordered), len(text))[1:]
    values = {key["key"].lower(): text[key.end() : end].strip() for key, end in zip(ordered, ends, strict=True)}
    if not {"prompt", "seed"} <= values.keys():
        return None
    slots = {
        slot: [_scalar(term) for term in item.split(values[slot]) if term.strip()] for slot in SLOTS if slot in values
    }
    facts: dict[str, Value] = {}
    if "model_revision" in values:
        facts["model_revision"] = _scalar(values["model_revision"])
    if "plan" in values:
        facts["plan"] = {fact["key"]: _scalar(fact["value"]) for fact in _FACT.finditer(values["plan"])}
    own = {key: _scalar(values[key]) for key in _IN_ORDER if key in values and key not in _NESTED}
    return {**own, "slots": slots, **({"facts": facts} if facts else {})}


_NESTED = {"slots", *SLOTS, "facts", "job", "drawn", "seconds", "model_revision", "plan", "notes"}


def _scalar(text: str) -> Value:
    """A scalar of YAML on one line."""
    text = " ".join(text.split())
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return Unquoted(text)
