"""Reads what people say in words in a reply: ``no hat`` is ``-hat``, ``otter -> owl`` is ``-otter +owl``.

What is to go and is not among the picture's words is left out, as ``--no`` does: the model drew it by itself.

Knows no recipes but their words.
"""

import re
from collections.abc import Callable

from .flags import SLOT_NAMES, Kind, find_slot, flag_named
from .phones import DASHES
from .refine import plain_term
from .request import SLOTS, DrawRequest, Slots
from .sentences import ParseError
from .typed_flags import first_flag

LARGER = "React to the picture with ⬆️ to have it larger."
PICK = "React to the picture: ⬆️ makes it larger, 🎲 is another roll."

# A longer reply is a prompt.
MAX_PHRASE_CHARS = 200

_ARTICLE = r"(?:(?:the|an?|any|some|his|her|its|their) )?"
_ASKED = re.compile(r"(?:(?:please|now|ok|okay|(?:can|could) you) )*(?P<wish>.*?)(?:,? please)?[.!?]*", re.IGNORECASE)
_ANOTHER_ROLL = re.compile(
    r"(?:do it |roll |try |same |once )?again|once more|(?:another|one more)(?: one| roll| time| try| seed)?|re-?roll"
    r"|re-?do|re-?try|(?:the )?same(?: one| picture)?|more like (?:this|that|it)|variations?|vary|🎲"
    r"|(?:(?:the )?same(?: one| picture| prompt| thing)?,? )?(?:but )?(?:with |use |try )?(?:an? )?"
    r"(?:new|other|another|different) (?:seed|one|roll)",
    re.IGNORECASE,
)
_LARGER = re.compile(
    r"(?:make it )?(?:bigger|larger|upscaled?)(?: it| this)?(?: \d(?:\.\d)?x?)?|u[1-4]|⬆️?", re.IGNORECASE
)
_PICK = re.compile(r"v[1-4]", re.IGNORECASE)
_AWAY = re.compile(
    r"(?:no(?: more)?|without|w/o|remove|delete|minus|take (?:off|away)|get rid of|leave out"
    rf"|(?:do not|don['’]?t) (?:draw|show|include|add|want)) {_ARTICLE}(?P<term>.+)"
    # "drop of water" is a picture.
    rf"|(?:drop|lose|ditch|clear|erase) (?:(?:the|his|her|its|their|that) |(?=(?:{'|'.join(SLOTS)})$))(?P<term2>.+)",
    re.IGNORECASE,
)
# Between things to take away: "the hat and the fog".
_AND = re.compile(rf",? and (?:(?:no|without) )?{_ARTICLE}", re.IGNORECASE)
# Between wishes: a comma, a line, and "and" before what can only be a wish.
_BETWEEN = re.compile(
    r",|\n|,? and (?:then )?(?=(?:add|remove|delete|replace|swap|drop|without|no|take (?:off|away)|get rid of|leave out"
    r"|put on) )",
    re.IGNORECASE,
)
# The bullets of a list of wishes. A hyphen before a term takes it away.
_BULLET = re.compile(
    r"^[ \t]*+(?:[*•]|\d[.)]|-(?= (?:no|add|remove|replace|change|without) ))[ \t]++", re.MULTILINE | re.IGNORECASE
)
_SPACED_SIGN = re.compile(r"^[ \t]*+(?P<sign>[+-])[ \t]++(?=\w)", re.MULTILINE)
# What stands before a flag or a setting, and says that the rest stays.
_KEPT = re.compile(
    r"(?:(?:now|please|ok|the|same|again|keep|prompt|picture|image|one|it|but|with|also|just|use|try|and|at)"
    r"\b[ ,]*+)++$",
    re.IGNORECASE,
)
_LAST_AND = re.compile(r"(?<=\w),? and$", re.IGNORECASE)
_STEPS = re.compile(r"(?:(?:but )?(?:with|use|at)) (?P<steps>\d{1,3}) steps", re.IGNORECASE)
# What says that the rest stays.
_SAME = re.compile(
    r"(?:(?:the )?same|again)"
    r"(?:,? but(?= (?:an?|other|new|different)\b)|,|(?= (?:but|with|without|no|plus|minus)\b)) (?=\w)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?:add|plus|(?:but )?with|but|also|and|put on|give (?:it|him|her|them)"
    rf"|(?:change|turn) (?:it|this) (?:to|into)) {_ARTICLE}(?P<term>.+)",
    re.IGNORECASE,
)
_SWAP = re.compile(
    r"(?:replace |swap |change )?(?P<old1>[^/:>=]+?) ?(?:->|=>|→|⇒) ?(?P<new1>[^/:>=]+)"
    rf"|(?:replace|swap|change|turn) {_ARTICLE}(?P<old2>.+?) (?:with|by|for|to|into) {_ARTICLE}(?P<new2>.+)"
    r"|s/(?P<old3>[^/]+)/(?P<new3>[^/]+)/?g?",
    re.IGNORECASE,
)
# Behind what replaces something: another pair.
_AND_SWAP = re.compile(rf" and {_ARTICLE}(?P<old>.+?) (?:with|by|for) {_ARTICLE}(?P<new>.+)", re.IGNORECASE)
_INSTEAD = re.compile(
    rf"(?:but )?(?:with |use )?{_ARTICLE}(?P<new1>.+?) (?:instead|in place) of {_ARTICLE}(?P<old1>.+)"
    rf"|(?:instead|in place) of {_ARTICLE}(?P<old2>[^,]+), {_ARTICLE}(?P<new2>[^,]+)",
    re.IGNORECASE,
)
# Of something that is there: `make the hat bigger`, `more fog`, `(otter)++`.
_MAKE = re.compile(rf"make {_ARTICLE}(?P<what>.+?) (?P<how>[\w-]+)", re.IGNORECASE)
_WEIGH = re.compile(r"(?P<how>more|less) (?P<what>.+)", re.IGNORECASE)
_WEIGHED = re.compile(r"\((?P<words>[^()]+)\)(?:[+-]+|\d*\.?\d+)")
# `as a pirate`, `make it night`
_AS = re.compile(r"(?:(?:as|like) an? .+|more .+)|make it (?!an? |the )(?P<how>[\w-]+(?: [\w-]+)?)", re.IGNORECASE)
_IN_STYLE = re.compile(r"(?:but )?in (?:an? |the )?(?:(?P<style>.+) style|style of (?P<style2>.+))", re.IGNORECASE)
# `style pop art`
_SLOT = re.compile(rf"(?P<slot>{'|'.join(SLOTS)}) (?P<terms>\w.*)", re.IGNORECASE)
_LABELLED_SLOT = re.compile(rf"(?:{'|'.join(SLOT_NAMES)}) ?:.*", re.IGNORECASE)
# `-style: ink` for `style: -ink`.
_SIGNED_SLOT = re.compile(rf"(?<![^\s,|])(?P<sign>[+-]) ?(?P<slot>{'|'.join(SLOTS)}): ?(?=\w)", re.IGNORECASE)
# A sign that stands apart behind a comma.
_APART = re.compile(r"(?<=,) *(?P<sign>[+-]) (?=[^\W\d_])")
_FIRST_WORD = re.compile(r"(?=\w)")
# What a wish begins with, once it is read.
_SIGNS = ("+", "-", "|")
_SIGNED_NEGATIVE = re.compile(r"^[ \t]*+\+ ?(?:negative(?:[ _-]?prompt)?|neg|no) ?: ?", re.IGNORECASE)
# What phones make of a hyphen.
_DASH = re.compile(rf"(?<![^\s,|])[{DASHES[1:]}](?=(?P<word>[^\W\d_]+))")


def in_signs(text: str, recipe: Callable[[], DrawRequest], *, has_settings: bool = False) -> str:
    """The reply with signs for its words. ``recipe`` reads the picture's. Raises ParseError for other gestures.

    ``has_settings``: settings or flags stood beside the words.
    """
    if len(text) > MAX_PHRASE_CHARS:
        return text
    slots = recipe().slots
    words = {word for term in _terms(slots) for word in re.findall(r"\w+", term.lower())}
    text = _DASH.sub(lambda dash: "-" if dash["word"].lower() in words else dash[0], text)
    text = _SIGNED_SLOT.sub(r" | \g<slot>: \g<sign>", _APART.sub(r" \g<sign>", text))
    text = _SIGNED_NEGATIVE.sub("--no ", text)
    if flags := first_flag(text):
        return f"{in_signs(text[:flags].rstrip(), recipe, has_settings=True)} {text[flags:]}"
    if has_settings and (kept := _KEPT.match(text)):
        text = text[kept.end() :]
    if has_settings:
        text = _LAST_AND.sub("", text)
    if "\n" in text:
        return _lines_in_signs(text, slots)
    wish = _wish(text)
    if _SAME.match(wish) and not _SAME.fullmatch(wish):
        wish = text = _SAME.sub("", wish, count=1)
    if _ANOTHER_ROLL.fullmatch(wish):
        return "--seed new"
    for pattern, answer in ((_LARGER, LARGER), (_PICK, PICK)):
        if pattern.fullmatch(wish):
            raise ParseError(answer)
    parts = _parts_in_signs(wish, slots)
    return ", ".join(parts) if parts[0].startswith(_SIGNS) else text


def _lines_in_signs(text: str, slots: Slots) -> str:
    """Lines of wishes with signs; lines among which is something else, as they stand."""
    as_typed, text = text, _SPACED_SIGN.sub(r"\g<sign>", _BULLET.sub("", text))
    lines = [_parts_in_signs(_wish(line), slots) for line in text.split("\n") if line.strip()]
    if not all(parts[0].startswith(_SIGNS) for parts in lines):
        return as_typed
    return ", ".join(part for parts in lines for part in parts)


def _parts_in_signs(wish: str, slots: Slots) -> list[str]:
    if (weighed := _WEIGHED.fullmatch(wish)) and _is_there(weighed["words"], slots):
        return [f"+{wish}"]
    if instead := _INSTEAD.fullmatch(wish):
        return [_swapped(instead["old1"] or instead["old2"], instead["new1"] or instead["new2"], slots)]
    return [_in_signs(_wish(part), slots) or _asked_politely(part) for part in _BETWEEN.split(wish)]


def _wish(text: str) -> str:
    asked = _ASKED.fullmatch(" ".join(text.split()))
    return asked["wish"] if asked else text


def _asked_politely(part: str) -> str:
    """A part as it stands; a sign's term without "please"."""
    part = part.strip()
    return _wish(part) if part.startswith(("+", "-")) and not part.startswith("--") else part


def _in_signs(wish: str, slots: Slots) -> str | None:
    """One wish with signs, or None if it is none."""
    if steps := _STEPS.fullmatch(wish):
        return f"--steps {steps['steps']}"
    if _LABELLED_SLOT.fullmatch(wish):
        return f"| {wish}"
    if weighed := _weighed(wish, slots):
        return weighed
    if more := _MORE.fullmatch(wish):
        return f"+{more['term']}"
    if styled := _IN_STYLE.fullmatch(wish):
        return f"| style: {styled['style'] or styled['style2']}"
    if more := _AS.fullmatch(wish):
        return f"+{more['how'] or wish}"
    if swap := _SWAP.fullmatch(wish):
        old, new = (next(filter(None, (swap[f"{name}{n}"] for n in range(1, 4)))) for name in ("old", "new"))
        if (second := _AND_SWAP.search(new)) and _is_there(second["old"], slots):
            first = _swapped(old, new[: second.start()], slots)
            return f"{first}, {_swapped(second['old'], second['new'], slots)}"
        return _swapped(old, new, slots)
    if named := _SLOT.fullmatch(wish):
        return f"| {named['slot']}: {named['terms']}"
    if away := _AWAY.fullmatch(wish):
        gone = away["term"] or away["term2"]
        terms = [gone] if _is_there(gone, slots) else _AND.split(gone)
        is_drawn = away["term2"] or any(find_slot(term) for term in terms)
        return " ".join(f"-{term}" if is_drawn or _is_there(term, slots) else f"--no {term}" for term in terms)
    return None


def _weighed(wish: str, slots: Slots) -> str | None:
    """A wish about how a term of the picture is to be, with signs; None if it is none."""
    if (weigh := _WEIGH.fullmatch(wish)) and (term := _term_with(weigh["what"], slots)):
        return f"+({plain_term(term)}){'++' if weigh['how'].lower() == 'more' else '--'}"
    if (make := _MAKE.fullmatch(wish)) and (term := _term_with(make["what"], slots)):
        return _swapped(plain_term(term), _FIRST_WORD.sub(f"{make['how']} ", term, count=1), slots)
    return None


def _swapped(old: str, new: str, slots: Slots) -> str:
    """The signs that put ``new`` into the place of ``old``, which may be a whole slot."""
    if slot := find_slot(old):
        return f"| {slot}: {new}"
    flag = None if _is_there(old, slots) else flag_named(old)
    if flag and flag.kind is not Kind.SWITCH:
        return f"{flag.typed} {new}"
    there = next(
        (slot for slot in SLOTS if any(old.lower() in term.lower() for term in getattr(slots, slot))), SLOTS[0]
    )
    return f"-{old} +{new}" if there == SLOTS[0] else f"| {there}: -{old} +{new}"


def _is_there(words: str, slots: Slots) -> bool:
    return any(words.lower() in term.lower() for term in _terms(slots))


def _term_with(words: str, slots: Slots) -> str | None:
    """The first term that has all these words, one after the other."""
    return next((term for term in _terms(slots) if f" {words.lower()} " in f" {plain_term(term)} "), None)


def _terms(slots: Slots) -> list[str]:
    return [term for slot in SLOTS for term in getattr(slots, slot)]
