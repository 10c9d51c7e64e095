"""The text behind ``!draw``: plain terms, slots after ``|`` or on lines, flags; in a reply ``+term`` and ``-term``.

Knows no recipes.
"""

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from . import values
from .flags import Flag, Kind, find_flag, find_slot, flag_like
from .nesting import matches_outside, quote_spans, split_outside
from .phones import DASHES, as_typed
from .request import SLOTS, Change, Changes, DrawRequest, Slots
from .sentences import ParseError, brief, listed, nearest, quoted
from .weights import read_terms

# A person adds and removes a handful of terms. Each is looked for among all terms of a recipe.
MAX_CHANGES = 100

_BREAK = re.compile(r"[|\n]")
# A line that ends in a comma continues in the next one, unless the next one has a label.
_CONTINUED = re.compile(r",[ \t\r]*+\n(?![ \t]*+[^\W\d_][\w-]*+[ \t]*+:)")
_DASHED = re.compile(rf"(?<![^\s,|])(?P<dashes>[{DASHES}]++)(?P<name>[^\W\d_][\w-]*+)")
# A sign before a term of a reply: before a letter, bracket, quote, wildcard or emoji, but not a number below 0.
_SIGN = re.compile(r"(?<![^\s,|])(?P<sign>\+|-(?![\d.]+(?:\s|$)))(?=[^\W_]|[(\"]|__\w|[^\x00-\x7f\s])")
_EQUALS = re.compile(r"[ \t]*[=:]")
# `768 x 1024`, as autocorrect likes to write it.
_SIDES = re.compile(r"\d+\s*[xX×*:/]\s*\d+")
# The end of a sentence is not part of a number or a name; phones turn two spaces into a full stop.
_STOPS = ",.;!?"
_SHORT_FLAG = re.compile(r"(?P<name>n)(?P<value>\d*)", re.IGNORECASE)
# A word and its colon: `style: …` and `style:…`, but neither `https://…` nor `16:9`.
_LABEL = re.compile(r"\s*(?P<word>[^\W\d_][\w-]*+)[ \t]*:(?!//)(?P<gap>\s|$)?")
_QUOTED_VALUE = re.compile(
    r"""(?P<quote>["'])(?P<text>(?:(?!(?P=quote))[^\\]|\\.)*+)(?P=quote)(?=[\s,]|$)""", re.DOTALL
)
# A slot's label where it starts no slot: behind a comma, or in brackets.
_STRAY_LABEL = re.compile(r"[,|\n][ \t]*+(?P<word>[^\W\d_][\w-]*+)[ \t]*+:\s")


def parse_chat(text: str) -> DrawRequest:
    """Read plain terms, slots and flags; an empty text is an empty request. Raises ParseError."""
    return _parse(text, are_signs_read=False).request


def parse_changes(text: str) -> Changes:
    """Read a reply to a recipe, where a sign adds or removes a term or a list of terms. Raises ParseError."""
    changes = _parse(text, are_signs_read=True)
    if len(changes.terms) > MAX_CHANGES:
        raise ParseError(f"That adds and removes {len(changes.terms)} terms; one reply can change {MAX_CHANGES}.")
    return changes


def _parse(text: str, *, are_signs_read: bool) -> Changes:
    slots: dict[str, list[str]] = {slot: [] for slot in SLOTS}
    fields: dict[str, Any] = {}
    flag_of: dict[str, Flag] = {}
    changes: list[Change] = []
    for segment in split_outside(_CONTINUED.sub(", ", as_typed(text)), _BREAK):
        plain, flags, signed = _take_flags(segment, _sign_starts(segment) if are_signs_read else [])
        slot, plain = _take_label(plain)
        slots[slot] += _plain_terms(plain)
        changes += (Change(term, sign == "+", slot) for sign, terms in signed for term in read_terms(terms))
        for flag, value in flags:
            if earlier := flag_of.get(flag.field):
                raise ParseError(_twice(earlier.typed, flag.typed))
            flag_of[flag.field] = flag
            if flag.field in slots:
                slots[flag.field] += read_terms(value)
            else:
                fields[flag.field] = _converted(flag, value)
    is_new_seed = "seed" in flag_of and fields["seed"] is None
    request = DrawRequest(slots=Slots(**{slot: tuple(terms) for slot, terms in slots.items()}), **fields)
    return Changes(request, tuple(changes), is_new_seed)


def first_flag(text: str) -> int | None:
    """The position of the first flag in ``text``, or None."""
    return next((match.start() for match in dashed(text) if match["dashes"] != "-"), None)


def _sign_starts(segment: str) -> list[re.Match[str]]:
    """The signs of a segment. A flag's hyphen is not a sign."""
    flags = {match.start() for match in dashed(segment) if _is_flag(match)}
    return [match for match in matches_outside(segment, _SIGN) if match.start() not in flags]


def _is_flag(word: re.Match[str]) -> bool:
    return word["dashes"] != "-" or bool(_SHORT_FLAG.fullmatch(word["name"]) or flag_like(word["name"]))


def dashed(text: str) -> list[re.Match[str]]:
    """The words outside quotes that start with dashes, as matches with the groups ``dashes`` and ``name``."""
    matches, spans = list(_DASHED.finditer(text)), quote_spans(text)
    found, at = [], 0
    for match in matches:
        while at < len(spans) and spans[at][1] <= match.start():
            at += 1
        if at == len(spans) or match.start() < spans[at][0]:
            found.append(match)
    return found


def _take_flags(
    segment: str, signs: Sequence[re.Match[str]]
) -> tuple[str, list[tuple[Flag, str]], list[tuple[str, str]]]:
    """The plain text, the flags and the signed terms of a segment. What follows a complete value is plain text."""
    at_signs = {match.start() for match in signs}
    starts = sorted(
        [*signs, *(match for match in dashed(segment) if match.start() not in at_signs)],
        key=lambda match: match.start(),
    )
    plain = [segment[: starts[0].start()] if starts else segment]
    flags, signed = [], []
    for match, following in zip_longest(starts, starts[1:]):
        tail = segment[match.end() : following.start() if following else len(segment)]
        if match.start() in at_signs:
            signed.append((match["sign"], tail))
            continue
        flag, glued = _named(match)
        value, rest = _take_value(flag, glued + tail)
        flags.append((flag, value))
        plain.append(rest)
    return " ".join(text for piece in plain if (text := piece.strip())), flags, signed


def _named(match: re.Match[str]) -> tuple[Flag, str]:
    """The flag that a dashed word names, and the part of its value that is glued on (``-n4``)."""
    name = match["name"]
    if match["dashes"] != "-":
        return find_flag(name), ""
    if short := _SHORT_FLAG.fullmatch(name):
        return find_flag(short["name"]), short["value"]
    if flag := flag_like(name):
        raise ParseError(f"Flags start with two hyphens. Did you mean {flag}?")
    raise ParseError(f"{quoted(match[0])} starts with one hyphen. To leave something out, write --no {brief(name)}.")


def _take_value(flag: Flag, tail: str) -> tuple[str, str]:
    """The flag's value at the start of ``tail``, and the rest of ``tail``."""
    equals = _EQUALS.match(tail)
    if flag.kind is Kind.SWITCH:
        if equals:
            raise ParseError(f"{flag.typed} takes no value.")
        return flag.example, _without_stops(tail)
    text = tail[equals.end() if equals else 0 :].strip()
    match = _QUOTED_VALUE.match(text)
    # Terms may be quoted one by one: "red boots", "blue scarf".
    if match and not (flag.kind is Kind.TERMS and text.startswith(",", match.end())):
        return match["text"], text[match.end() :]
    if flag.kind.runs_on:
        value, rest = text.strip(", \t\r\n"), ""
    else:
        if flag.kind in (Kind.SIZE, Kind.RATIO) and (sides := _SIDES.match(text)):
            text = "".join(sides[0].split()) + text[sides.end() :]
        word = text.split(maxsplit=1)[0] if text else ""
        value = word.rstrip(_STOPS)
        rest = _without_stops(text[len(value) :])
    if not value:
        raise ParseError(f"{flag.typed} needs a value, such as {flag.usage}.")
    return value, rest


def _without_stops(rest: str) -> str:
    """The text behind a value, without the end of a sentence. A comma stays, as it separates terms."""
    text = rest.lstrip(_STOPS)
    return f",{text}" if "," in rest[: len(rest) - len(text)] else text


def _converted(flag: Flag, text: str) -> Any:
    """The value of a flag, converted for its field of ``DrawRequest``. The flag is not a slot."""
    what, text = flag.typed, " ".join(text.split())
    match flag.kind:
        case Kind.TERMS:
            terms = read_terms(text)
            return ", ".join(terms) if flag.field == "negative_prompt" else terms
        case Kind.WHOLE_NUMBER:
            return values.whole_number(what, text)
        case Kind.SEED:
            return values.seed(what, text)
        case Kind.NUMBER:
            return values.number(what, text)
        case Kind.SIZE:
            return values.size(what, text)
        case Kind.RATIO:
            return values.ratio(what, text)
        case _ if not text:
            raise ParseError(f"{what} needs a value, such as {flag.usage}.")
        case _:
            return text


def _take_label(text: str) -> tuple[str, str]:
    """The slot that a segment is for, and its text without the label."""
    label = _LABEL.match(text)
    if not label:
        return "subject", text
    if slot := find_slot(label["word"]):
        return slot, text[label.end() :]
    if label["gap"] is None:
        return "subject", text
    raise ParseError(_no_slot(label["word"], text[label.end() :]))


def _plain_terms(text: str) -> tuple[str, ...]:
    for label in _STRAY_LABEL.finditer(text):
        if find_slot(label["word"]):
            slot = quoted(text[label.start("word") :])
            raise ParseError(f"To start another slot, put “|” or a new line before {slot}, outside of brackets.")
    return read_terms(text)


def _no_slot(word: str, value: str) -> str:
    near = nearest(word, SLOTS)
    if flag := flag_like(word):
        hint = f"Did you mean {flag} {brief(value)}".rstrip() + "?"
    elif near:
        hint = f"Did you mean {near}?"
    else:
        hint = f"The slots are {listed(SLOTS)}; to draw the words themselves, write “subject: {brief(word)}: …”."
    return f"There is no slot {quoted(word)}. {hint}"


def _twice(first: str, second: str) -> str:
    if first == second:
        return f"{first} stands there twice. Keep one of them."
    return f"{first} and {second} set the same thing. Keep one of them."
