"""Reads what people say in words in a reply: ``no hat`` is ``-hat``, ``otter -> owl`` is ``-otter +owl``.

Knows no recipes but their words.
"""

import re
from collections.abc import Callable

from .flags import find_slot
from .phones import DASHES
from .request import SLOTS, DrawRequest, Slots
from .sentences import ParseError

LARGER = "React to the picture with ⬆️ to have it larger."
PICK = "React to the picture: ⬆️ makes it larger, 🎲 is another roll."

# A longer reply is a prompt.
MAX_PHRASE_CHARS = 200

_ARTICLE = r"(?:(?:the|an?|any|some|his|her|its|their) )?"
_ASKED = re.compile(r"(?:(?:please|now|ok|okay|(?:can|could) you) )*(?P<wish>.*?)(?:,? please)?[.!?]*", re.IGNORECASE)
_ANOTHER_ROLL = re.compile(
    r"(?:do it |roll |try |same |once )?again|once more|(?:another|one more)(?: one| roll| time| try| seed)?|re-?roll"
    r"|re-?do|re-?try|(?:an? )?(?:new|other|different) (?:seed|one)|more like (?:this|that|it)|variations?|vary|🎲",
    re.IGNORECASE,
)
_LARGER = re.compile(
    r"(?:make it )?(?:bigger|larger|upscaled?)(?: it| this)?(?: \d(?:\.\d)?x?)?|u[1-4]|⬆️?", re.IGNORECASE
)
_PICK = re.compile(r"v[1-4]", re.IGNORECASE)
_AWAY = re.compile(
    rf"(?:no(?: more)?|without|remove|delete|minus|take (?:off|away)|get rid of|leave out) {_ARTICLE}(?P<term>.+)"
    # "drop of water" is a picture.
    rf"|(?:drop|lose|ditch|clear|erase) (?:(?:the|his|her|its|their|that) |(?=(?:{'|'.join(SLOTS)})$))(?P<term2>.+)",
    re.IGNORECASE,
)
# Between things to take away: "the hat and the fog".
_AND = re.compile(rf",? and (?:(?:no|without) )?{_ARTICLE}", re.IGNORECASE)
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
_INSTEAD = re.compile(
    rf"(?:but )?(?:with |use )?{_ARTICLE}(?P<new>.+?) (?:instead|in place) of {_ARTICLE}(?P<old>.+)", re.IGNORECASE
)
# `style pop art`
_SLOT = re.compile(rf"(?P<slot>{'|'.join(SLOTS)}) (?P<terms>\w.*)", re.IGNORECASE)
# `-style: ink` for `style: -ink`.
_SIGNED_SLOT = re.compile(rf"(?<![^\s,|])(?P<sign>[+-]) ?(?P<slot>{'|'.join(SLOTS)}): ?(?=\w)", re.IGNORECASE)
# A sign that stands apart behind a comma.
_APART = re.compile(r"(?<=,) *(?P<sign>[+-]) (?=[^\W\d_])")
# What a wish begins with, once it is read.
_SIGNS = ("+", "-", "|")
# What phones make of a hyphen.
_DASH = re.compile(rf"(?<![^\s,|])[{DASHES[1:]}](?=(?P<word>[^\W\d_]+))")


def in_signs(text: str, recipe: Callable[[], DrawRequest]) -> str:
    """The reply with signs for its words. ``recipe`` reads the picture's. Raises ParseError for other gestures."""
    if len(text) > MAX_PHRASE_CHARS or "\n" in text:
        return text
    slots = recipe().slots
    words = {word for term in _terms(slots) for word in re.findall(r"\w+", term.lower())}
    text = _DASH.sub(lambda dash: "-" if dash["word"].lower() in words else dash[0], text)
    text = _SIGNED_SLOT.sub(r" | \g<slot>: \g<sign>", _APART.sub(r" \g<sign>", text))
    wish = _wish(text)
    if _SAME.match(wish) and not _SAME.fullmatch(wish):
        wish = text = _SAME.sub("", wish, count=1)
    if _ANOTHER_ROLL.fullmatch(wish):
        return "--seed new"
    for pattern, answer in ((_LARGER, LARGER), (_PICK, PICK)):
        if pattern.fullmatch(wish):
            raise ParseError(answer)
    parts = [_in_signs(_wish(part), slots) or _asked_politely(part) for part in wish.split(",")]
    return ", ".join(parts) if parts[0].startswith(_SIGNS) else text


def _wish(text: str) -> str:
    asked = _ASKED.fullmatch(" ".join(text.split()))
    return asked["wish"] if asked else text


def _asked_politely(part: str) -> str:
    """A part as it stands; a sign's term without "please"."""
    part = part.strip()
    return _wish(part) if part.startswith(("+", "-")) and not part.startswith("--") else part


def _in_signs(wish: str, slots: Slots) -> str | None:
    """One wish with signs, or None if it is none."""
    if instead := _INSTEAD.fullmatch(wish):
        return _swapped(instead["old"], instead["new"], slots)
    if more := _MORE.fullmatch(wish):
        return f"+{more['term']}"
    if swap := _SWAP.fullmatch(wish):
        old, new = (next(filter(None, (swap[f"{name}{n}"] for n in range(1, 4)))) for name in ("old", "new"))
        return _swapped(old, new, slots)
    if named := _SLOT.fullmatch(wish):
        return f"| {named['slot']}: {named['terms']}"
    if away := _AWAY.fullmatch(wish):
        gone = away["term"] or away["term2"]
        is_one = any(gone.lower() in term.lower() for term in _terms(slots))
        return " ".join(f"-{term}" for term in ([gone] if is_one else _AND.split(gone)))
    return None


def _swapped(old: str, new: str, slots: Slots) -> str:
    """The signs that put ``new`` into the place of ``old``, which may be a whole slot."""
    if slot := find_slot(old):
        return f"| {slot}: {new}"
    there = next(
        (slot for slot in SLOTS if any(old.lower() in term.lower() for term in getattr(slots, slot))), SLOTS[0]
    )
    return f"-{old} +{new}" if there == SLOTS[0] else f"| {there}: -{old} +{new}"


def _terms(slots: Slots) -> list[str]:
    return [term for slot in SLOTS for term in getattr(slots, slot)]
