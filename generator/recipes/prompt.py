"""The syntax of one prompt: from text with compel weights to weighted fragments. Knows neither tokens nor models.

The parser is compel's own, bounded: it accepts `+`, `-` and numeric weights, and refuses `.blend()`, `.and()`,
`.swap()` and `withLora()`, since each changes more than the weight of a term.
"""

import importlib.util
import re
from functools import cache, lru_cache
from typing import Any

import pyparsing

from generator.api import limits

# A piece of text with the weight that compel gives it.
Fragment = tuple[str, float]


class PromptError(Exception):
    """A prompt that cannot be drawn as written. ``str()`` may be shown to the person who typed it."""

    def __init__(self, code: str, message: str, *, value: Any = None, limit: Any = None) -> None:
        super().__init__(message)
        self.code, self.value, self.limit = code, value, limit


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[Fragment, ...]:
    """Parse a prompt into its weighted fragments, in order.

    Returns text without weights or brackets unchanged, so that it is encoded as by the pipeline itself. Raises
    PromptError for nesting or weights beyond their limits, and for syntax that is refused.
    """
    if not re.search(r"[-+()\\]", text):
        # compel's parser takes seconds for a long text, and finds nothing in this one.
        return ((text, 1.0),)
    _nesting_is_bounded(text)
    try:
        conjunction = _compel_parser().parse_conjunction(text)
    except (pyparsing.ParseException, RecursionError) as error:
        raise PromptError("bad_syntax", f"The brackets and weights of “{_short(text)}” cannot be read.") from error
    fragments = tuple(
        _fragment(child)
        for part in [*conjunction.prompts, *conjunction.lora_weights]
        for child in getattr(part, "children", [part])
    )
    if len(conjunction.prompts) > 1:
        raise _refused_syntax(".and()")
    if all(weight == 1 for _, weight in fragments) and not re.search(r"[()\\]", text):
        return ((text, 1.0),)
    return fragments or (("", 1.0),)


def split_terms(text: str) -> tuple[str, ...]:
    """Split a text at its commas, except those inside brackets."""
    terms, depth, start = [], 0, 0
    for match in re.finditer(r"\\.|[(),]", text):
        depth = max(0, depth + {"(": 1, ")": -1}.get(match[0], 0))
        if match[0] == "," and depth == 0:
            terms.append(text[start : match.start()])
            start = match.end()
    return tuple(term.strip() for term in (*terms, text[start:]) if term.strip())


def from_a1111(text: str) -> str:
    """Convert weights from the spelling of AUTOMATIC1111's web UI to compel's.

    ``(x:1.2)`` becomes ``(x)1.2``, and ``[x]``, which weakens by a tenth, becomes ``(x)-``.
    """
    before = None
    while before != text:
        before = text
        text = _A1111_WEIGHT.sub(r"(\1)\2", text)
        text = _A1111_WEAKER.sub(r"(\1)-", text)
    return text


# The look-ahead skips brackets that already have a compel weight: `(ratio 16:9)++`.
_A1111_WEIGHT = re.compile(r"(?<!\\)\(((?:[^():\\]|\([^()]*\))+):\s*(\d+(?:\.\d+)?|\.\d+)\s*\)(?![-+\d.])")
_A1111_WEAKER = re.compile(r"(?<!\\)\[([^\[\]\\|:]+)\]")


def _fragment(child: Any) -> Fragment:
    if type(child).__name__ != "Fragment":
        raise _refused_syntax(_OPERATORS.get(type(child).__name__, ".blend()"))
    if not limits.MIN_WEIGHT <= child.weight <= limits.MAX_WEIGHT:
        raise PromptError(
            "weight_out_of_range",
            f"The weight of “{_short(child.text)}” is {child.weight:.6g}; "
            f"it can be {limits.MIN_WEIGHT:g} to {limits.MAX_WEIGHT:g}.",
            value=round(float(child.weight), 6),
            limit=[limits.MIN_WEIGHT, limits.MAX_WEIGHT],
        )
    return str(child.text), float(child.weight)


_OPERATORS = {"CrossAttentionControlSubstitute": ".swap()", "LoraWeight": "withLora()"}


def _refused_syntax(operator: str) -> PromptError:
    return PromptError(
        "unsupported_syntax",
        f"Easel does not take {operator} in a prompt; weights such as (hat)++, (hat)- and (hat)1.3 are fine.",
        value=operator,
    )


def _nesting_is_bounded(text: str) -> None:
    depth = 0
    for bracket in re.findall(r"\\.|[()]", text):
        depth += {"(": 1, ")": -1}.get(bracket, 0)
        if depth > limits.MAX_NESTING:
            raise PromptError(
                "too_nested",
                f"The prompt has more than {limits.MAX_NESTING} brackets inside each other.",
                value=depth,
                limit=limits.MAX_NESTING,
            )
        depth = max(depth, 0)


@cache
def _compel_parser() -> Any:
    """Load compel's parser alone: its package imports torch, which the server's process never does."""
    # Without packrat the parser's time is exponential in the nesting: six brackets take five seconds.
    pyparsing.ParserElement.enable_packrat()
    package = importlib.util.find_spec("compel")
    assert package is not None and package.submodule_search_locations
    spec = importlib.util.spec_from_file_location(
        "easel_compel_parser", package.submodule_search_locations[0] + "/prompt_parser.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PromptParser()


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
