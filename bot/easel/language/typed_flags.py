"""Finds the flags in a piece of text and reads their values. Knows no slots and no recipes."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from . import values
from .flags import FLAGS, OTHERS_FLAGS, Flag, Kind, flag_like, flag_named, unknown_flags
from .names import folded
from .nesting import quote_spans
from .phones import DASHES
from .sentences import ParseError, brief, listed, quoted
from .weights import read_terms

# As much as a person reads at once.
MAX_PROBLEM_CHARS = 360

_DASHED = re.compile(rf"(?<![^\s,|])(?P<dashes>[{DASHES}]++)(?P<name>[^\W\d_][\w-]*+)")
_EQUALS = re.compile(r"[ \t]*[=:]")
# `768 x 1024`, as autocorrect likes to write it.
_SIDES = re.compile(r"\d+\s*(?:[xX×*:/]|by\b)\s*\d+(?:px\b)?")
# `512,768` and `512 768`, which are no list: a size has two sides.
_TWO_NUMBERS = re.compile(r"(\d{2,5})(?:,[ \t]?|[ \t])(\d{2,5})(?![\w.])")
# The end of a sentence is not part of a number or a name; phones turn two spaces into a full stop.
_STOPS = ",.;!?。"
# A name with spaces, of up to three words.
_SPACED_NAME = re.compile(
    r"[ \t]*+[=:]?[ \t]*+(?P<name>[\w.+-]++(?P<second>[ \t]++[\w.+-]++)(?P<third>[ \t]++[\w.+-]++)?)"
)
_NAME_TERM = re.compile(
    r"(?:^|(?<=[,|\n]))[ \t]*+(?:(?:now|same|but|with|use|try|the)[ \t]++)*+(?P<flag>model|sampler)[ \t]++"
    r"(?P<name>[\w.+-]++(?:[ \t]++[\w.+-]++){0,2})[ \t]*+(?=$|[,|\n])",
    re.IGNORECASE,
)
_SHORT_FLAG = re.compile(r"(?P<name>n)(?P<value>\d*)", re.IGNORECASE)
# `-s50` and `-Ak_euler`
_OTHERS_GLUED = re.compile(r"[WHwhsSCc]\d+|A[a-z]_?\w+")
_QUOTED_VALUE = re.compile(
    r"""(?P<quote>["'])(?P<text>(?:(?!(?P=quote))[^\\]|\\.)*+)(?P=quote)(?=[\s,]|$)""", re.DOTALL
)
_DIGIT = re.compile(r"[ \t]*+[=:]?[ \t]*+[\d.]")
# Numbers, codes, addresses and grades behind a flag of another program.
_OTHERS_VALUE = re.compile(
    r"[ \t]*+[=:]?[ \t]*+(?P<value>(?:https?://\S+|[\w.:/-]*\d[\w.:/-]*"
    r"|(?:raw|random|low|medium|high|best|standard|ultra)\b)(?:[ \t]++https?://\S+)*+)"
)

# `--v6` and `--seed7`
_GLUED_VALUE = re.compile(r"(?P<name>[A-Za-z]+)(?P<value>\d+)")
# `--no-hat`
_NO_TERM = re.compile(r"no-(?P<term>\w[\w-]*)", re.IGNORECASE)
# `60 %`, and `20 steps` behind --steps
_UNIT = re.compile(r"(?P<number>#?\d+(?:[.,]\d+)?)[ \t]*(?P<unit>%|percent\b|[a-z]+\b)", re.IGNORECASE)

# The short flags of InvokeAI's and older command lines, and what they are here.
_OTHERS_SHORT = {
    **dict.fromkeys("WHwh", "--size"),
    **{"s": "--steps", "S": "--seed", "C": "--cfg", "c": "--cfg", "A": "--sampler", "m": "--model", "f": "--strength"},
}

# A dash that stands alone before a flag.
_STRAY = re.compile(rf"(?<![^\s,|])[{DASHES}]{{1,2}}[ \t]++(?=(?!-\w)[{DASHES}]++[^\W\d_])")
# A flag whose dashes stand apart from its name or are glued to the word before, or that has a slash for dashes: a
# number behind makes it one. Two dashes with a space between them, which some phones make of `--`, need only a name.
_NUMBERED = "|".join(
    name for flag in FLAGS for name in (flag.name, *flag.synonyms) if flag.kind.starts_with_digit and len(name) > 1
)
_NAMED = "|".join(name for flag in FLAGS for name in (flag.name, *flag.synonyms) if len(name) > 1)
_NUMBER_BEHIND = rf"(?=(?:{_NUMBERED})\b[ \t]*+[:=]?[ \t]*+[\d.])"
_APART = re.compile(
    rf"(?:(?<![^\s,|])[{DASHES}]{{1,2}}|(?<=\w)--)[ \t]++{_NUMBER_BEHIND}|(?<![^\s,|])/{_NUMBER_BEHIND}"
    rf"|(?<![^\s,|])(?:--|—)[ \t]++(?=(?:no|negative|style)\b[ \t]*+[:=]?[ \t]*+\w)"
    rf"|(?<![^\s,|])[{DASHES}][ \t]++[{DASHES}][ \t]++(?=(?:{_NAMED})\b)",
    re.IGNORECASE,
)
_BEFORE_GLUED = rf"(?<=[^\s,|(\[{{<=/\{DASHES}])"
_GLUED = re.compile(
    rf"{_BEFORE_GLUED}(?:--|[—–]){_NUMBER_BEHIND}|{_BEFORE_GLUED}--(?=(?:{_NAMED})(?:[\s:=,|]|$))", re.IGNORECASE
)


@dataclass
class TakenFlags:
    """What a text's flags say. ``problems`` are sentences about flags that cannot be read."""

    flags: list[tuple[Flag, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise ParseError with all that is wrong."""
        problems = [unknown_flags(self.unknown)] if self.unknown else []
        if self.short:
            meant = dict.fromkeys(f"-{brief(name)} is {_OTHERS_SHORT[name]}" for name in self.short)
            problems.append(f"Here {listed(meant)}.")
        problems += self.problems
        told = ""
        for problem in dict.fromkeys(problems):
            if told and len(told) + len(problem) > MAX_PROBLEM_CHARS:
                break
            told = f"{told} {problem}".strip()
        if told:
            raise ParseError(told)


def with_flags_apart(text: str) -> str:
    """The text with a space before each flag that is glued to a word, and without one between dashes and name.

    A dash that stands alone before a flag goes.
    """
    if not any(sign in text for sign in (*DASHES, "/")):
        return text
    return _STRAY.sub("", _GLUED.sub(" --", _APART.sub(" --", text)))


def with_names_quoted(text: str, names: Collection[str]) -> str:
    """The text with quotes around each model's name that has spaces, as in ``--model SD 1.5``.

    A term such as ``model ssd-1b`` becomes a flag.
    """
    known = set(map(folded, names))
    text = _NAME_TERM.sub(
        lambda term: f' --{term["flag"]} "{term["name"]}" ' if folded(term["name"]) in known else term[0], text
    )
    pieces, done = [], 0
    for match in dashed(text):
        flag = flag_named(match["name"])
        named = _SPACED_NAME.match(text, match.end()) if flag and flag.field == "model" else None
        if named is None:
            continue
        for end in (named.end(group) for group in ("third", "second") if named[group]):
            name = text[named.start("name") : end]
            if folded(name) in known:
                pieces += [text[done : named.start("name")], f'"{name}"']
                done = end
                break
    return "".join(pieces) + text[done:] if pieces else text


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


def first_flag(text: str) -> int | None:
    """The position of the first flag in ``text``, or None."""
    return next((match.start() for match in dashed(text) if match["dashes"] != "-"), None)


def is_flag(word: re.Match[str]) -> bool:
    """Whether a dashed word is a flag, and not a term with a sign."""
    return word["dashes"] != "-" or bool(_SHORT_FLAG.fullmatch(word["name"]) or flag_like(word["name"]))


def take_flags(segment: str, signs: Sequence[re.Match[str]], taken: TakenFlags) -> tuple[str, list[tuple[str, str]]]:
    """The plain text of a segment, and its signed terms; the flags go into ``taken``.

    What follows a complete value is plain text.
    """
    at_signs = {match.start() for match in signs}
    starts = sorted(
        [*signs, *(match for match in dashed(segment) if match.start() not in at_signs)],
        key=lambda match: match.start(),
    )
    plain = [segment[: starts[0].start()] if starts else segment]
    signed = []
    for match, following in zip_longest(starts, starts[1:]):
        tail = segment[match.end() : following.start() if following else len(segment)]
        if match.start() in at_signs:
            signed.append((match["sign"], tail))
            continue
        try:
            plain.append(_take_flag(match, tail, taken))
        except ParseError as problem:
            taken.problems.append(str(problem))
    return " ".join(text for piece in plain if (text := piece.strip())), signed


def _take_flag(match: re.Match[str], tail: str, taken: TakenFlags) -> str:
    """Take one flag; return the plain text behind its value."""
    name = match["name"]
    if match["dashes"] == "-":
        return _take_short_flag(match, tail, taken)
    if flag := flag_named(name):
        value, rest = take_value(flag, tail)
        taken.flags.append((flag, value))
        return rest
    if glued := _GLUED_VALUE.fullmatch(name):
        if OTHERS_FLAGS.get(glued["name"].lower()):
            taken.unused.append(f"--{name}")
            return tail
        if (flag := flag_named(glued["name"])) and flag.kind.starts_with_digit:
            value, rest = take_value(flag, glued["value"] + tail)
            taken.flags.append((flag, value))
            return rest
    if (left_out := _NO_TERM.fullmatch(name)) and (flag := flag_named("no")):
        taken.flags.append((flag, left_out["term"].replace("-", " ")))
        return tail
    takes_value = OTHERS_FLAGS.get(name.lower())
    if takes_value is None:
        taken.unknown.append(name)
        return ""
    value_match = _OTHERS_VALUE.match(tail) if takes_value else None
    taken.unused.append(f"--{name} {value_match['value']}" if value_match else f"--{name}")
    return tail[value_match.end() :] if value_match else tail


def _take_short_flag(match: re.Match[str], tail: str, taken: TakenFlags) -> str:
    name = match["name"]
    if (short := _SHORT_FLAG.fullmatch(name)) and (flag := flag_named(short["name"])):
        value, rest = take_value(flag, short["value"] + tail)
        taken.flags.append((flag, value))
        return rest
    if (flag := flag_named(name)) and flag.kind.starts_with_digit and _DIGIT.match(tail):
        value, rest = take_value(flag, tail)
        taken.flags.append((flag, value))
        return rest
    if typed := flag_like(name):
        raise ParseError(f"Flags start with two hyphens. Did you mean {typed}?")
    glued = _OTHERS_GLUED.fullmatch(name)
    if name in _OTHERS_SHORT or glued:
        taken.short.append(name[0] if glued else name)
        return ""
    raise ParseError(f"{quoted(match[0])} starts with one hyphen. To leave something out, write --no {brief(name)}.")


def take_value(flag: Flag, tail: str) -> tuple[str, str]:
    """The flag's value at the start of ``tail``, and the rest of ``tail``. Raises ParseError."""
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
        if flag.field == "sampler":
            # No sampler has a comma in its name.
            value, comma, behind = value.partition(",")
            value, rest = value.rstrip(), comma + behind
    else:
        if flag.kind in (Kind.SIZE, Kind.RATIO) and (sides := _SIDES.match(text)):
            text = "".join(sides[0].split()) + text[sides.end() :]
        elif flag.kind is Kind.SIZE and (sides := _TWO_NUMBERS.match(text)):
            text = f"{sides[1]}x{sides[2]}{text[sides.end() :]}"
        elif flag.kind.is_number and (unit := _UNIT.match(text)):
            text = _without_unit(flag, unit, text)
        word = text.split(maxsplit=1)[0] if text else ""
        value = word.rstrip(_STOPS)
        rest = _without_stops(text[len(value) :])
    if not value:
        raise ParseError(f"{flag.typed} needs a value, such as {flag.usage}.")
    return value, rest


def _without_unit(flag: Flag, number: re.Match[str], text: str) -> str:
    """The text of a value with the unit glued to its number, or without the flag's own name for one."""
    behind = text[number.end() :]
    if flag.kind is Kind.STRENGTH and number["unit"].lower() in ("%", "percent"):
        return f"{number['number']}%{behind}"
    return f"{number['number']}{behind}" if flag_named(number["unit"]) == flag else text


def converted(flag: Flag, text: str) -> Any:
    """The value of a flag, converted for its field of ``DrawRequest``. The flag is not a slot. Raises ParseError."""
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
        case Kind.STRENGTH:
            return values.strength(what, text)
        case Kind.SIZE:
            return values.size(what, text)
        case Kind.RATIO:
            return values.ratio(what, text)
        case _ if not text:
            raise ParseError(f"{what} needs a value, such as {flag.usage}.")
        case _:
            return text


def _without_stops(rest: str) -> str:
    """The text behind a value, without the end of a sentence. A comma stays, as it separates terms."""
    text = rest.lstrip(_STOPS)
    return f",{text}" if "," in rest[: len(rest) - len(text)] else text
