"""Finds the form of a ``!draw`` and reads it. Knows the forms by name only; each has its own module."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType

from .a1111 import is_a1111, parse_a1111
from .chat import parse_changes, parse_chat
from .lists import MAX_PICTURES, Cell, expand
from .phones import DASHES, straight_quotes
from .recipes import read_recipe
from .refine import refined
from .request import Asked, DrawRequest
from .sentences import ParseError
from .structured import read_json_start, read_yaml
from .styles import with_styles
from .weights import without_loras

# A recipe with the longest prompts and all its facts is below 8,000; Matrix itself takes 64 KiB.
MAX_MESSAGE_CHARS = 16_000

# All texts of a sheet, each with the recipe that it changes: more than nine of the longest recipes, and as much as is
# parsed within a second.
MAX_SHEET_CHARS = 100_000

_FENCE = re.compile(r"```(?:[ \t]*+(?P<language>\w*+)[ \t]*+\n)?")
_CLOSING_FENCE = re.compile(r"^```", re.MULTILINE)
_YAML_START = re.compile(r"(negative_)?prompt[ \t]*:", re.IGNORECASE)
_KEY = re.compile(r"\s*(---\s+)?[\"']?\w+[\"']?[ \t]*:(\s|$)")
_JSON_START = re.compile(r"""\{\s*["“„}]""")
_FLAG_LINE = re.compile(rf"^[{DASHES}]++[^\W\d_]", re.MULTILINE)


def parse_all(text: str, *, recipe: str | None = None, styles: Mapping[str, str] = MappingProxyType({})) -> Asked:
    """Read the text behind ``!draw``: a request per combination of its lists, with ``styles`` for their ``@names``.

    ``recipe`` is the file that the message replies to. Raises ParseError.
    """
    check_length(text)
    found = expand(text)
    earlier = _recipe(recipe)
    texts = _with_styles(found.cells, styles, added_chars=len(recipe or ""))
    requests = tuple(_parse(one, earlier) for one in texts)
    asked = Asked(requests, tuple(cell.headings for cell in found.cells), found.sizes)
    if asked.pictures > MAX_PICTURES:
        raise ParseError(f"That makes {asked.pictures} pictures, and {MAX_PICTURES} is far too many already.")
    return asked


def parse_draw(text: str, *, recipe: str | None = None) -> DrawRequest:
    """Read the text behind ``!draw`` as one request. Raises ParseError, and nothing else.

    ``recipe`` is the file that the message replies to, and the text changes it. A recipe in the text takes its place.
    """
    return _parse(text, _recipe(recipe))


def parse_recipe(text: str) -> DrawRequest:
    """Read the request of a recipe file. Raises ParseError."""
    check_length(text)
    return read_recipe(read_yaml(text))


def check_length(text: str) -> None:
    """Raise ParseError if a text is longer than Easel reads."""
    if len(text) > MAX_MESSAGE_CHARS:
        raise ParseError(f"That is {len(text)} characters long; Easel reads at most {MAX_MESSAGE_CHARS}.")


def _recipe(text: str | None) -> Callable[[], DrawRequest] | None:
    """What reads a recipe file, once and only if somebody asks for it."""
    return None if text is None else cache(partial(parse_recipe, text))


def _with_styles(cells: tuple[Cell, ...], styles: Mapping[str, str], *, added_chars: int) -> list[str]:
    """The texts of the cells with ``styles`` for their names; ``added_chars`` are parsed with each of them."""
    texts, chars = [], 0
    for cell in cells:
        texts.append(with_styles(cell.text, styles))
        check_length(texts[-1])
        chars += len(texts[-1]) + added_chars
        if chars > MAX_SHEET_CHARS:
            raise ParseError(f"That is too much for {len(cells)} pictures. Ask for fewer, or with fewer words.")
    return texts


def _parse(text: str, recipe: Callable[[], DrawRequest] | None) -> DrawRequest:
    check_length(text)
    text, notes = without_loras(text.strip())
    fence = _FENCE.search(text)
    if fence:
        request = _parse_fenced(text, fence)
    elif recipe is None or _is_recipe(text):
        request = _parse_bare(text)
    else:
        changes = parse_changes(text)
        request = refined(recipe(), changes)
    if not request.slots:
        raise ParseError("There is nothing to draw yet. Say what should be in the picture, such as !draw otter.")
    return replace(request, notes=notes + request.notes)


def _parse_fenced(text: str, fence: re.Match[str]) -> DrawRequest:
    """Read a fenced recipe, changed by the text around it. Other fenced text is read as if it had no fence."""
    before, inside, after = _cut_at_fences(text, fence)
    around = f"{before}\n{after}"
    if (fence["language"] or "").lower() in {"yaml", "yml"} or (_KEY.match(inside) and not is_a1111(inside)):
        return read_recipe(read_yaml(inside)).changed_by(parse_chat(around))
    if _JSON_START.match(inside) or is_a1111(inside):
        return _parse_bare(inside).changed_by(parse_chat(around))
    return parse_chat(f"{before}\n{inside}\n{after}")


def _cut_at_fences(text: str, fence: re.Match[str]) -> tuple[str, str, str]:
    """The text before, inside and after. A fence closes on a line of its own, else at the last backticks."""
    closing = _CLOSING_FENCE.search(text, fence.end())
    end = closing.start() if closing else text.rfind("```", fence.end())
    if end < 0:
        end = len(text)
    return text[: fence.start()], text[fence.end() : end].strip(), text[end + 3 :]


def _is_recipe(text: str) -> bool:
    return bool(_JSON_START.match(text) or _YAML_START.match(text)) or is_a1111(text)


def _parse_bare(text: str) -> DrawRequest:
    if _JSON_START.match(text):
        return _parse_json(text)
    if _YAML_START.match(text):
        return _parse_yaml(text)
    if is_a1111(text):
        return parse_a1111(text)
    return parse_chat(text)


def _parse_json(text: str) -> DrawRequest:
    """Read a JSON recipe, changed by the text behind it. Curly quotes are straightened where they break the JSON."""
    try:
        recipe, below = read_json_start(text)
    except ParseError:
        straight = straight_quotes(text)
        if straight == text:
            raise
        recipe, below = read_json_start(straight)
    return read_recipe(recipe).changed_by(parse_chat(below))


def _parse_yaml(text: str) -> DrawRequest:
    """Read a YAML recipe, changed by the flags from the first line that starts with one."""
    flags = _FLAG_LINE.search(text)
    recipe, below = (text[: flags.start()], text[flags.start() :]) if flags else (text, "")
    return read_recipe(read_yaml(recipe)).changed_by(parse_chat(below))
