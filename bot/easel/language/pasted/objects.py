"""JSON of Easel, A1111, ComfyUI, InvokeAI, Fooocus, NovelAI and SwarmUI, also as Python prints it, in a text."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..labels import NEGATIVE, PROMPT, field_called, says_nothing
from ..names import folded
from ..phones import straight_quotes
from ..recipes import KEYS, read_recipe
from ..request import SLOTS, DrawRequest, Slots
from ..sentences import ParseError, quoted
from ..structured import Value, read_json_start
from ..values import has_no_terms
from ..weights import read_terms, to_compel
from .found import Pasted
from .graphs import settings_of_graph
from .others_syntax import in_our_syntax
from .settings import Settings

_START = re.compile(r"^[ \t]*+(?:\[\s*+)?\{\s*+[\"'“”„‘’]\w[\w .-]{0,60}[\"'“”„’]\s*+[:：]|\A\{\s*+\}", re.MULTILINE)
# Copied without its braces.
_LINES = re.compile(r"\s*+(?P<lines>\"(?:positive[ _]?)?prompt\"\s*+:\s*+\".*\n.*?),?\s*+", re.IGNORECASE | re.DOTALL)
# Between words of a line, where its first key is a prompt.
_START_IN_LINE = re.compile(
    r"(?<=[\s:])\{\s*+[\"'“”„‘’](?:positive[ _]?)?prompt[\"'“”„’]\s*+[:：](?=\s*+[\"'“„‘])", re.IGNORECASE
)
# A program's block, whose settings may have JSON in them.
_BLOCK = re.compile(r"^steps:", re.IGNORECASE | re.MULTILINE)
_PYTHON = re.compile(
    r"'(?P<text>(?:[^'\\\n]|\\.)*+)'(?=\s*[:,}\]])|\"(?:[^\"\\]|\\.)*+\"|\b(?:True|False|None)\b|,(?=\s*[}\]])"
)
_LITERALS = {"True": "true", "False": "false", "None": "null", ",": ""}

# Objects that only hold the settings.
_HOLDERS = {
    "image",
    "parameters",
    "settings",
    "metadata",
    "input",
    "suiimageparams",
    "prompt",
    "txt2img",
    "params",
    "data",
    "sdmetadata",
    "v4prompt",
    "caption",
}
# InvokeAI writes compel's weights, the others A1111's.
_COMPEL_KEYS = {"positive_prompt", "positiveprompt", "app_version", "positive_style_prompt"}


def recognise(text: str) -> Pasted | None:
    """Read the first object in a text. Raises ParseError."""
    if lines := _LINES.fullmatch(text):
        text = f"{{{lines['lines']}}}"
    start = _START.search(text)
    if start is None and not _BLOCK.search(text):
        start = _START_IN_LINE.search(text)
    if start is None:
        return None
    before, pasted = text[: start.start()], text[start.start() :].lstrip()
    value, below = _read(pasted.removeprefix("[").lstrip())
    others: tuple[str, ...] = ()
    if pasted.startswith("["):
        # The first of a list.
        rest, _, below = below.rpartition("]")
        others = (quoted(rest.strip(" ,\n")),) if rest.strip() else ()
    graph = settings_of_graph(value)
    is_easels = graph is None and isinstance(value, Mapping) and _is_easels(value)
    request = read_recipe(value) if is_easels else _of_others(graph or _flat(value))
    return Pasted(replace(request, unused=request.unused + others), f"{before}\n{below}")


def _is_easels(value: Mapping[str, Value]) -> bool:
    return all(key.lower() in KEYS for key in value) and not isinstance(value.get("image"), Mapping)


def _read(text: str) -> tuple[Value, str]:
    """The value and what is behind it, with the quotes that phones and Python write where they break the JSON."""
    first: ParseError | None = None
    for spelled in (str, straight_quotes, _json_of_python):
        try:
            return read_json_start(spelled(text))
        except ParseError as error:
            first = first or error
    assert first
    raise first


def _json_of_python(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match["text"] is not None:
            return json.dumps(match["text"].replace("\\'", "'"))
        return _LITERALS.get(match[0], match[0])

    return _PYTHON.sub(plain, straight_quotes(text))


def _of_others(given: Mapping[str, Any]) -> DrawRequest:
    """The request in another program's settings: what is known of them; the rest is named. Raises ParseError."""
    prompt = _first(given, PROMPT)
    if prompt is None:
        keys = quoted(", ".join(given)) if given else "nothing"
        raise ParseError(f"There's no prompt in that JSON, only {keys}. Say it in words: !draw otter --steps 20.")
    settings = Settings()
    negative = _first(given, NEGATIVE)
    negative = _weighed_below_0(given) if negative is None else negative
    for key, item in given.items():
        if field_called(key) in (PROMPT, NEGATIVE) or key.lower() in SLOTS:
            continue
        if isinstance(item, list | Mapping):
            _take_nested(settings, key, item)
        elif item not in (None, "", False) and (field_called(key) or item not in ("0", "0.0")):
            settings.take(key, "yes" if item is True else str(item))
    weighs = not any(key.lower() in _COMPEL_KEYS for key in given)
    fields = settings.request_fields()
    if negative is not None:
        fields[NEGATIVE] = " ".join(to_compel(in_our_syntax(negative), bare_brackets_weigh=weighs).split())
    terms = read_terms(to_compel(in_our_syntax(prompt), bare_brackets_weigh=weighs))
    unused = (*settings.unused, *settings.words)
    slots = {slot: read_terms(to_compel(in_our_syntax(words))) for slot, words in _own_slots(given).items()}
    return DrawRequest(slots=Slots(**{"subject": terms, **slots}), unused=unused, pasted=(*fields, "slots"), **fields)


def _own_slots(given: Mapping[str, Any]) -> dict[str, str]:
    """The words of the slots that are among the settings."""
    parts = {key.lower(): item if isinstance(item, list) else [item] for key, item in given.items()}
    texts = {slot: ", ".join(part for part in parts.get(slot, ()) if isinstance(part, str)) for slot in SLOTS}
    return {slot: text for slot, text in texts.items() if not has_no_terms(slot, text)}


def _flat(value: Value) -> dict[str, Any]:
    """The keys of an object and of those in it that only hold settings. The outer ones count."""
    if not isinstance(value, Mapping):
        return {}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and folded(key) in _HOLDERS:
            flat = {**_flat(item), **flat}
    outer = {key: item for key, item in value.items() if not (isinstance(item, Mapping) and folded(key) in _HOLDERS)}
    return {**outer, **{key: item for key, item in flat.items() if key not in outer}}


def _first(given: Mapping[str, Any], field: str) -> str | None:
    """The prompt of that kind: a text, or a list of texts or of objects with one."""
    for key, item in given.items():
        if field_called(key) != field:
            continue
        parts = item if isinstance(item, list) else [item]
        texts = [_text(part) if isinstance(part, Mapping) else part for part in parts]
        words = ", ".join(text for text in texts if isinstance(text, str) and text.strip())
        if words or field == NEGATIVE:
            return words
    return None


def _text(part: Mapping[str, Any]) -> Any:
    """The words of a part of a prompt, unless they should not be in the picture."""
    return None if _is_below_0(part) else part.get("prompt") or part.get("text")


def _weighed_below_0(given: Mapping[str, Any]) -> str | None:
    """What Stability's parts of a prompt say should not be in the picture."""
    parts = [part for item in given.values() if isinstance(item, list) for part in item if isinstance(part, Mapping)]
    texts = [part.get("text") for part in parts if _is_below_0(part)]
    return ", ".join(text for text in texts if isinstance(text, str)) or None


def _is_below_0(part: Mapping[str, Any]) -> bool:
    return str(part.get("weight", "")).startswith("-")


def _take_nested(settings: Settings, key: str, item: Any) -> None:
    """Take a size in a list and a model in an object; the rest is named only."""
    field = field_called(key)
    if field == "size" and isinstance(item, list) and len(item) == 2:
        settings.take(key, "x".join(str(side) for side in item))
    elif field == "model" and isinstance(item, Mapping):
        name = next((item[name] for name in ("name", "model_name", "key") if isinstance(item.get(name), str)), None)
        if name:
            settings.take(key, name)
    elif item and not says_nothing(key):
        settings.unused.append(key)
