"""Reads what people say in words in a reply: ``no hat`` is ``-hat``, ``otter -> owl`` is ``-otter +owl``.

Knows no recipes but their words.
"""

import re
from collections.abc import Callable

from .phones import DASHES
from .request import SLOTS, DrawRequest
from .sentences import ParseError

LARGER = "React to the picture with ⬆️ to have it larger."
PICK = "React to the picture: ⬆️ makes it larger, 🎲 is another roll."

# A longer reply is a prompt.
MAX_PHRASE_CHARS = 200

_ARTICLE = r"(?:(?:the|an?|any|some|his|her|its|their) )?"
_ASKED = re.compile(r"(?:(?:please|now|ok|okay|(?:can|could) you) )*(?P<wish>.*?)(?:,? please)?[.!?]*", re.IGNORECASE)
_ANOTHER_ROLL = re.compile(
    r"again|once more|(?:another|one more)(?: one| roll| try| seed)?|re-?roll|(?:a )?(?:new|different) (?:seed|one)"
    r"|more like (?:this|that|it)|variations?|vary|roll again|try again|same again",
    re.IGNORECASE,
)
_LARGER = re.compile(r"(?:make it )?(?:bigger|larger|upscaled?)(?: it| this)?|u[1-4]", re.IGNORECASE)
_PICK = re.compile(r"v[1-4]", re.IGNORECASE)
_AWAY = re.compile(
    rf"(?:no(?: more)?|without|remove|delete|minus|take (?:off|away)|get rid of|leave out) {_ARTICLE}(?P<term>.+)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?:(?:the )?same,? )?(?:add|plus|(?:but )?with|but|also|and|put on|give (?:it|him|her|them)"
    rf"|(?:change|turn) (?:it|this) (?:to|into)) {_ARTICLE}(?P<term>.+)",
    re.IGNORECASE,
)
_SWAP = re.compile(
    r"(?:replace |swap |change )?(?P<old>[^/:>=]+?) ?(?:->|=>|→|⇒) ?(?P<new>[^/:>=]+)"
    rf"|(?:replace|swap|change|turn) {_ARTICLE}(?P<old2>.+?) (?:with|by|for|to|into) {_ARTICLE}(?P<new2>.+)"
    r"|s/(?P<old3>[^/]+)/(?P<new3>[^/]+)/?g?",
    re.IGNORECASE,
)
# `-style: ink` for `style: -ink`.
_SIGNED_SLOT = re.compile(rf"(?<![^\s,|])(?P<sign>[+-]) ?(?P<slot>{'|'.join(SLOTS)}): ?(?=\w)", re.IGNORECASE)
# A sign that stands apart behind a comma.
_APART = re.compile(r"(?<=,) *(?P<sign>[+-]) (?=[^\W\d_])")
# What phones make of a hyphen.
_DASH = re.compile(rf"(?<![^\s,|])[{DASHES[1:]}](?=(?P<word>[^\W\d_]+))")


def in_signs(text: str, recipe: Callable[[], DrawRequest]) -> str:
    """The reply with signs for its words. ``recipe`` reads the picture's. Raises ParseError for other gestures."""
    if len(text) > MAX_PHRASE_CHARS or "\n" in text:
        return text
    slots = recipe().slots
    words = {word for slot in SLOTS for term in getattr(slots, slot) for word in re.findall(r"\w+", term.lower())}
    text = _DASH.sub(lambda dash: "-" if dash["word"].lower() in words else dash[0], text)
    text = _SIGNED_SLOT.sub(r" | \g<slot>: \g<sign>", _APART.sub(r" \g<sign>", text))
    wish = _wish(text)
    if _ANOTHER_ROLL.fullmatch(wish):
        return "--seed new"
    for pattern, answer in ((_LARGER, LARGER), (_PICK, PICK)):
        if pattern.fullmatch(wish):
            raise ParseError(answer)
    first, *others = text.split(",")
    if not (begun := _in_signs(_wish(first))):
        return text
    return ", ".join((begun, *(_in_signs(_wish(part)) or part.strip() for part in others)))


def _wish(text: str) -> str:
    asked = _ASKED.fullmatch(" ".join(text.split()))
    return asked["wish"] if asked else text


def _in_signs(wish: str) -> str | None:
    """One wish with signs, or None if it is none."""
    if more := _MORE.fullmatch(wish):
        return f"+{more['term']}"
    if swap := _SWAP.fullmatch(wish):
        old, new = (next(filter(None, (swap[name], swap[f"{name}2"], swap[f"{name}3"]))) for name in ("old", "new"))
        return f"-{old} +{new}"
    if away := _AWAY.fullmatch(wish):
        return f"-{away['term']}"
    return None
