"""The text behind ``!draw``: plain terms, slots after ``|`` or on lines, flags; in a reply ``+term`` and ``-term``.

Knows no recipes.
"""

import re
from typing import Any

from .flags import (
    FLAG_NAMES,
    OTHERS_FLAGS,
    OTHERS_STYLES,
    SHOWN_SLOT_NAMES,
    SIDES,
    SLOT_NAMES,
    Flag,
    Kind,
    find_slot,
    flag_like,
    flag_named,
)
from .nesting import covered, matches_outside, quote_spans, split_outside
from .phones import as_typed
from .request import SLOTS, Change, Changes, DrawRequest, Slots
from .sentences import ParseError, brief, listed, nearest, quoted
from .typed_flags import TakenFlags, converted, dashed, first_flag, is_flag, take_flags, take_value, with_flags_apart
from .values import has_no_terms
from .weights import read_terms

# A person adds and removes a handful of terms. Each is looked for among all terms of a recipe.
MAX_CHANGES = 100

# A line that ends in a comma continues in the next one, unless the next one has a label.
_CONTINUED = re.compile(r",[ \t\r]*+\n(?![ \t]*+[^\W\d_][\w-]*+[ \t]*+:)")
_SEMICOLON = re.compile(r";(?=\s|\Z)")
_SLOT_NAMES = "|".join(SLOT_NAMES)
# What begins another slot: a label behind a sign that ends a thought (`otter, style: ink` and `otter. Style: ink`), or
# behind words. `(style:1.2)` has a weight.
BEFORE_SLOT = re.compile(
    rf"(?:[,;.·•。/]|(?<=\s)(?:->|[-~>–—])(?=[ \t]))[ \t]*+(?=(?:{_SLOT_NAMES}|no)[ \t]*+[:=](?![ \t]*+[-\d.]))"
    rf"|(?<=[^\s|,])[ \t]++(?=(?:{'|'.join(SHOWN_SLOT_NAMES)})[ \t]?:[ \t]*+[^\s\d.-]|(?:{'|'.join(SLOTS)})=\w)",
    re.IGNORECASE,
)
_BREAK = re.compile(rf"[|\n]|{BEFORE_SLOT.pattern}", re.IGNORECASE)
_ART_STYLE = re.compile(
    r"(?:^|(?<=[|,;]))[ \t]*+(?:art|visual|artistic|drawing|image)[ _]style(?=[ \t]*+[:=]|[ \t]++[-–—][ \t])",
    re.IGNORECASE | re.MULTILINE,
)
# `style - ink`, as a line or a sentence of its own.
_SLOT_AND_DASH = re.compile(
    rf"(?:^|(?<=[.;,|]))[ \t]*+(?P<slot>{'|'.join(SHOWN_SLOT_NAMES)})[ \t]++[-–—][ \t]++(?=\w)",
    re.IGNORECASE | re.MULTILINE,
)
# A sign before a term of a reply: before a letter, bracket, quote, wildcard or emoji, but not a number below 0.
_SIGN = re.compile(r"(?<![^\s,|])(?P<sign>\+|-(?![\d.]+(?:\s|$)))(?=[^\W_]|[(\"]|__\w|[^\x00-\x7f\s])")
# Where a reply's first sign stands.
MAX_SIGN_CHARS = 200
_STARTS_WITH_SIGN = re.compile(
    rf"\s*(?:(?:{_SLOT_NAMES})[ \t]*:[ \t]*)?(?:\+[ \t]?|-)(?=[^\W\d_]|[(\"“])", re.IGNORECASE
)

# A sign that stands apart from its term, at a line's start.
_SPACED_SIGN = re.compile(r"^[ \t]*+(?P<sign>[+-])[ \t]++(?=[^\W\d_]|[(\"])", re.MULTILINE)
_NO_IN_BRACKETS = re.compile(r"(?<=\w)[ \t]*+\((?P<no>(?:no|without) [\w -]{1,40})\)", re.IGNORECASE)
_DASH_BEFORE_NO = re.compile(r"(?<=\w)[ \t]++[-–—][ \t]++(?=(?:no|without) \w)", re.IGNORECASE)
# What ends a term.
_ENDS = re.compile(r"\s*(?:[,.!|+-]|$)")
# A plus that can only be meant for a reply.
_PLUS = re.compile(r"(?:(?:^|(?<=[,|]))[ \t]*+\+[ \t]?|(?<![^\s,|])\+)(?=[^\W\d_]|[(\"])")
# A word and its colon: `style: …` and `style:…`, but neither `https://…` nor `16:9`.
_LABEL = re.compile(r"\s*(?P<word>[^\W\d_][\w-]*+)[ \t]*(?P<sign>[:=])(?!//)(?P<gap>\s|$)?")
# A slot's terms as YAML has them.
_LIST = re.compile(r"\s*\[(?P<terms>[^][]*)\]\s*")
_LINK = re.compile(r"(?<![\w-])https?://\w", re.IGNORECASE)
LINK = "I can't open links. Send the photo here, and reply to it with your words."
# A slot's label where it starts no slot: behind words or a comma, or in brackets, and not `(style:1.2)`.
_STRAY_LABEL = re.compile(r"(?<=[\s,|(\[{])(?P<word>[^\W\d_][\w-]*+)[ \t]*+:(?!//|[ \t]*+[\d.-])")
_STRAY = {*SLOTS, "no", "negative"}
# How near a label must be to a slot or a flag. Any word may stand before a colon.
LABEL_LIKENESS = 0.75


def parse_chat(text: str) -> DrawRequest:
    """Read plain terms, slots and flags; an empty text is an empty request. Raises ParseError."""
    return read_chat(text).request


def read_chat(text: str) -> Changes:
    """Read a text that stands alone or around a recipe. Its signs would need a picture. Raises ParseError."""
    return _read(text, are_signs_read=False)


def parse_changes(text: str) -> Changes:
    """Read a reply to a recipe, where a sign adds or removes a term or a list of terms. Raises ParseError."""
    changes = _read(_SPACED_SIGN.sub(r"\g<sign>", text), are_signs_read=True)
    if len(changes.terms) > MAX_CHANGES:
        raise ParseError(f"That changes {len(changes.terms)} terms. One reply changes up to {MAX_CHANGES}.")
    return changes


def without_prose(text: str) -> tuple[str, list[str]]:
    """The lines of a text that have flags or slots, and the others, which are words about what stands beside them."""
    chat, prose = list[str](), list[str]()
    for line in text.split("\n"):
        label = _LABEL.match(line)
        is_chat = first_flag(line) is not None or "|" in line or (label and flag_named(label["word"]))
        (chat if is_chat or not line.strip() else prose).append(line)
    return "\n".join(chat), prose


def has_signs(text: str) -> bool:
    """Whether a text begins with a term to add or take away, ``+scarf`` or ``-hat``, as only a reply does."""
    return bool(_STARTS_WITH_SIGN.match(text[:MAX_SIGN_CHARS]))


def _read(text: str, *, are_signs_read: bool) -> Changes:
    slots: dict[str, list[str]] = {slot: [] for slot in SLOTS}
    segments = _segments(text)
    has_others = any(flag["name"].lower() in OTHERS_FLAGS for part in segments for flag in dashed(part))
    taken, values = TakenFlags(), _FlagValues(has_others=has_others)
    changes, plain_terms, emptied = list[Change](), list[str](), list[str]()
    for segment in segments:
        signs = _sign_starts(segment) if are_signs_read else []
        if not are_signs_read and (plus := matches_outside(segment, _PLUS)):
            taken.problems.append(needs_picture(segment[plus[0].start() :].split(",")[0]))
        plain, signed = take_flags(segment, signs, taken)
        try:
            slot, plain = _take_label(plain, taken)
            if slot and (in_brackets := _LIST.fullmatch(plain)):
                plain = in_brackets["terms"]
            is_emptied = slot is not None and not signed and has_no_terms(slot, plain)
            terms = () if is_emptied else _plain_terms(plain)
        except ParseError as problem:
            taken.problems.append(str(problem))
            continue
        plain_terms += terms if slot is None else ()
        emptied += [slot] if slot and is_emptied else []
        slots[slot or "subject"] += terms
        changes += (
            Change(term, sign == "+", slot or "subject") for sign, texts in signed for term in read_terms(texts)
        )
        emptied += values.take(taken, slots)
    fields = values.with_size(taken)
    taken.check()
    request = DrawRequest(
        slots=Slots(**{slot: tuple(terms) for slot, terms in slots.items()}),
        unused=tuple(taken.unused),
        emptied=tuple(dict.fromkeys(emptied)),
        **fields,
    )
    is_new_seed = "seed" in fields and fields["seed"] is None
    return Changes(request, tuple(changes), tuple(plain_terms), is_new_seed)


class _FlagValues:
    """The values of the flags, each once. ``has_others``: Midjourney's flags are among them."""

    def __init__(self, *, has_others: bool) -> None:
        self._has_others = has_others
        self._fields: dict[str, Any] = {}
        self._flag_of: dict[str, Flag] = {}

    def take(self, taken: TakenFlags, slots: dict[str, list[str]]) -> list[str]:
        """Take the flags that were found. Those that are slots give their terms to these, or are returned as empty."""
        emptied = []
        for flag, value in taken.flags:
            if (earlier := self._flag_of.get(flag.field)) and flag.field != "no":
                taken.problems.append(_twice(earlier.typed, flag.typed))
                continue
            self._flag_of[flag.field] = flag
            try:
                if flag.field == "style" and self._is_midjourneys(value, taken):
                    taken.unused.append(f"--style {value}")
                elif flag.field in slots and has_no_terms(flag.field, value):
                    emptied.append(flag.field)
                elif flag.field in slots:
                    slots[flag.field] += read_terms(value)
                elif flag.field == "no" and has_no_terms("no", value):
                    self._fields.setdefault(flag.field, ())
                elif flag.field == "no":
                    # Each of them adds.
                    self._fields[flag.field] = self._fields.get(flag.field, ()) + converted(flag, value)
                elif flag.field == "negative_prompt" and has_no_terms("negative", value):
                    self._fields[flag.field] = ""
                else:
                    self._fields[flag.field] = converted(flag, value)
            except ParseError as problem:
                taken.problems.append(str(problem))
        taken.flags.clear()
        return emptied

    def _is_midjourneys(self, style: str, taken: TakenFlags) -> bool:
        """Whether a style is one of Midjourney's own. Some are words that style a picture here, too."""
        style = style.lower()
        return style == "raw" or (style in OTHERS_STYLES and bool(taken.unused or self._has_others))

    def with_size(self, taken: TakenFlags) -> dict[str, Any]:
        """The fields of a request, with a size from its two sides."""
        fields = dict(self._fields)
        sides = [fields.pop(side) for side in SIDES if side in fields]
        if sides and "size" in fields:
            taken.problems.append(_twice("--size", "--width"))
        elif len(sides) == len(SIDES):
            fields["size"] = tuple(sides)
        elif sides:
            taken.problems.append("A size needs both sides, such as --size 768x1024.")
        return fields


def _segments(text: str) -> list[str]:
    """The parts of a text, each for one slot."""
    text = _ART_STYLE.sub("style", _CONTINUED.sub(", ", as_typed(text)))
    text = _NO_IN_BRACKETS.sub(r", \g<no>", _DASH_BEFORE_NO.sub(", ", text))
    text = with_flags_apart(_SLOT_AND_DASH.sub(r" \g<slot>: ", text))
    return [_SEMICOLON.sub(",", segment) for segment in split_outside(text, _BREAK)]


def _sign_starts(segment: str) -> list[re.Match[str]]:
    """The signs of a segment. A flag's hyphen is not a sign."""
    flags = {match.start() for match in dashed(segment) if is_flag(match) and not _takes_slot_away(segment, match)}
    return [match for match in matches_outside(segment, _SIGN) if match.start() not in flags]


def _takes_slot_away(segment: str, word: re.Match[str]) -> bool:
    """Whether a word such as ``-style`` has nothing behind it, so that it is no flag with one hyphen too few."""
    is_slot = word["dashes"] == "-" and find_slot(word["name"])
    return bool(is_slot and _ENDS.match(segment, word.end()))


def needs_picture(text: str) -> str:
    """The sentence for what changes a picture, and has none."""
    return f"{quoted(text)} changes a picture: reply to one with it."


def _take_label(text: str, taken: TakenFlags) -> tuple[str | None, str]:
    """The slot that a segment names, if it does, and its text without the label. A flag's label makes it a flag."""
    label = _LABEL.match(text)
    if not label:
        return None, text
    word, value = label["word"], text[label.end() :]
    if slot := find_slot(word):
        return slot, value
    if label["sign"] == "=":
        return None, text
    has_value = label["gap"] is not None or value[:1].isdigit()
    if has_value and (flag := flag_named(word)) and flag.kind is not Kind.SWITCH:
        if value.strip() in ("", "~", "null"):
            return None, ""
        taken_value, rest = take_value(flag, value)
        taken.flags.append((flag, taken_value))
        return None, rest
    if label["gap"] is None:
        return None, text
    raise ParseError(_no_slot(word, value))


def _plain_terms(text: str) -> tuple[str, ...]:
    if _LINK.search(text):
        raise ParseError(LINK)
    quotes = covered(len(text), quote_spans(text))
    for label in _STRAY_LABEL.finditer(text):
        if label["word"].lower() in _STRAY and not quotes[label.start()]:
            slot = quoted(text[label.start("word") :].rstrip(" )]}"))
            raise ParseError(f"To start another slot, put “|” or a new line before {slot}, outside of brackets.")
    return read_terms(text)


def _no_slot(word: str, value: str) -> str:
    near = nearest(word, (*SLOTS, *FLAG_NAMES), likeness=LABEL_LIKENESS)
    if near and (flag := flag_like(near)) and near not in SLOTS:
        hint = f"Did you mean {flag} {brief(value)}".rstrip() + "?"
    elif near:
        hint = f"Did you mean {near}?"
    else:
        hint = f"The slots are {listed(SLOTS)}; to draw the words themselves, write “subject: {brief(word)}: …”."
    return f"There's no slot {quoted(word)}. {hint}"


def _twice(first: str, second: str) -> str:
    if first == second:
        return f"{first} is there twice. Keep one of them."
    return f"{first} and {second} set the same thing. Keep one of them."
