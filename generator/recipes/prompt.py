"""The syntax of one prompt: from text with compel weights to weighted fragments. Knows neither tokens nor models.

Reads compel's weights by itself, in one pass: compel's parser takes seconds for a prompt of the greatest length. Takes
`+`, `-` and numeric weights, and refuses compel's operators, since each changes more than the weight of a term.
"""

import re
from functools import lru_cache
from typing import Any

from generator.api import limits

# A piece of text with the weight that compel gives it.
Fragment = tuple[str, float]

# compel's factors for one + and one -.
_STRONGER, _WEAKER = 1.1, 0.9

_OPERATOR = re.compile(r"(\.(?:swap|blend|and|add|attend)|(?:with|use)Lora)\(")

# An escaped bracket or quote, a bracket, quote or comma, white space, or a word.
_TOKEN = re.compile(r'\\[()"\[\]]|[()",]|\s+|(?:(?!\\[()"\[\]])[^\s()",])+')
_ESCAPED = {rf"\{mark}": mark for mark in '()[]"'}

_WEIGHT = re.compile(r"\++|-+|\d+\.?\d*|\.\d+")

# The look-ahead skips brackets that already have a compel weight: `(ratio 16:9)++`.
_A1111_WEIGHT = re.compile(r"(?<!\\)\(((?:[^():\\]|\([^()]*\))+):\s*(\d+(?:\.\d+)?|\.\d+)\s*\)(?![-+\d.])")
_A1111_WEAKER = re.compile(r"(?<!\\)\[([^\[\]\\|:]+)\]")


class PromptError(Exception):
    """A prompt that cannot be drawn as written. ``str()`` may be shown to the person who typed it."""

    def __init__(self, code: str, message: str, *, value: Any = None, limit: Any = None) -> None:
        super().__init__(message)
        self.code, self.value, self.limit = code, value, limit


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[Fragment, ...]:
    """Parse a prompt into its weighted fragments, in order.

    Returns text without weights or brackets unchanged, so that it is encoded as by the pipeline itself. Raises
    PromptError for nesting, weights and weakened fragments beyond their limits, and for syntax that is refused.
    """
    if operator := _OPERATOR.search(text):
        raise PromptError(
            "unsupported_syntax",
            f"A prompt takes weights such as (hat)++, (hat)- and (hat)1.3, not {operator[1]}().",
            value=f"{operator[1]}()",
        )
    fragments = _fused(_weighted(text, _closing(text)))
    for words, weight in fragments:
        _check_weight(words, weight)
    _check_weakened(sum(weight < 1 for _, weight in fragments))
    if all(weight == 1 for _, weight in fragments) and not re.search(r"[()\\]", text):
        return ((text, 1.0),)
    return fragments or (("", 1.0),)


def words(text: str) -> str:
    """Return the prompt without its weights and brackets. Raises PromptError."""
    return " ".join(" ".join(piece for piece, _ in parse(text)).split()).replace(" ,", ",")


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

    ``(x:1.2)`` becomes ``(x)1.2``, and ``[x]``, which weakens by a tenth, becomes ``(x)-``. Converts one level more
    than a prompt may have.
    """
    for _ in range(limits.MAX_NESTING + 1):
        text = _A1111_WEIGHT.sub(r"(\1)\2", text)
        text = _A1111_WEAKER.sub(r"(\1)-", text)
    return text


def _closing(text: str) -> dict[int, int]:
    """Find where each bracket and quote that opens is closed. What has no partner is plain text. Raises PromptError."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for mark in re.finditer(r'\\.|[()"]', text):
        at, kind = mark.start(), mark[0]
        if opened and ((kind == ")" and text[opened[-1]] == "(") or kind == '"' == text[opened[-1]]):
            closing[opened.pop()] = at
        # Inside a word, a quote stands for an inch or a minute.
        elif kind == "(" or (kind == '"' and (at == 0 or text[at - 1] in " \t\n(")):
            opened.append(at)
            _check_nesting(len(opened))
    return closing


def _weighted(text: str, closing: dict[int, int]) -> list[Fragment]:
    """Split a text into words, commas and white space, each with the product of its weights."""
    pieces: list[Fragment] = []
    first_inside: dict[int, int] = {}
    at = 0
    while token := _TOKEN.match(text, at):
        piece, start, at = token[0], at, token.end()
        if start in closing:
            first_inside[closing[start]] = len(pieces)
            pieces.append((" ", 1.0))
        elif start in first_inside:
            weight, at = _weight(text, at)
            inside = first_inside[start]
            pieces[inside:] = [(words, own * weight) for words, own in pieces[inside:]]
            pieces.append((" ", 1.0))
        else:
            pieces += _word(piece)
    return pieces


def _weight(text: str, at: int) -> tuple[float, int]:
    """Read the weight behind a closing bracket; return it with the position behind it."""
    match = _WEIGHT.match(text, at)
    if match is None:
        return 1.0, at
    return _power(match[0]) if match[0][0] in "+-" else float(match[0]), match.end()


def _power(signs: str) -> float:
    return (_STRONGER if signs[0] == "+" else _WEAKER) ** len(signs)


def _word(token: str) -> list[Fragment]:
    """Read the signs at the end of a word, before a full stop: ``fog--``, but not ``sci-fi`` and ``--``."""
    body = token.rstrip(".")
    words = body.rstrip(body[-1]) if body[-1:] in ("+", "-") else ""
    # The hyphen of `:-(` is a nose.
    if words and words[-1] not in ":;=":
        return [(words, _power(body[len(words) :])), (token[len(body) :] or " ", 1.0)]
    return [(_ESCAPED.get(token, token), 1.0)]


def _fused(pieces: list[Fragment]) -> tuple[Fragment, ...]:
    """Join neighbours of the same weight, and white space to what stands before it."""
    fused: list[Fragment] = []
    for words, weight in pieces:
        if fused and (weight == fused[-1][1] or not words.strip()):
            fused[-1] = fused[-1][0] + words, fused[-1][1]
        else:
            fused.append((words, weight))
    return tuple((" ".join(words.split()), weight) for words, weight in fused if words.strip())


def _check_weight(words: str, weight: float) -> None:
    if not limits.MIN_WEIGHT <= weight <= limits.MAX_WEIGHT:
        raise PromptError(
            "weight_out_of_range",
            f"Weights go from {limits.MIN_WEIGHT:g} to {limits.MAX_WEIGHT:g}, and “{_short(words)}” has {weight:.6g}.",
            value=round(weight, 6),
            limit=[limits.MIN_WEIGHT, limits.MAX_WEIGHT],
        )


def _check_weakened(count: int) -> None:
    if count > limits.MAX_WEAKENED:
        raise PromptError(
            "too_many_weakened",
            f"I can weaken up to {limits.MAX_WEAKENED} parts of a prompt, and that one has {count}.",
            value=count,
            limit=limits.MAX_WEAKENED,
        )


def _check_nesting(depth: int) -> None:
    if depth > limits.MAX_NESTING:
        raise PromptError(
            "too_nested",
            f"A prompt can't have more than {limits.MAX_NESTING} brackets inside each other.",
            value=depth,
            limit=limits.MAX_NESTING,
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
