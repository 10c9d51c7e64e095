"""Reads what people say in words in a reply, one wish after the other, as the signs that say the same.

Knows no recipes but their words.
"""

import re
from collections.abc import Callable, Iterable

from .phones import DASHES
from .request import SLOTS, DrawRequest, Slots
from .sentences import ParseError
from .small_words import ADD, AGAIN, AS, BUT, INTERJECTION, NO, NOW, PLEASE, PRAISE, SAME, THANKS
from .typed_flags import first_flag
from .wishes import read_wish, read_words, slots_after, terms_of

LARGER = "React to the picture with ⬆️ to have it larger."
PICK = "React to the picture: ⬆️ makes it larger, 🎲 is another roll."
EARLIER = "Each picture keeps its own recipe. Reply to the earlier one instead."
WHAT = "Say what to change, such as !draw +scarf, or react with 🎲 to roll again."
SHAPE = "Say which shape: --ar 16:9 is wide, --ar 3:4 is tall."
QUESTION = "I only draw. !easel help shows how, and 📄 under a picture gives its recipe."

# A longer reply is a prompt.
MAX_PHRASE_CHARS = 200

_ASKED = re.compile(
    rf"(?:(?:{PRAISE}|yes|ok|okay)[!.,]+ |(?:{INTERJECTION}),? )*"
    rf"(?:(?:{PLEASE}|{NOW}|{BUT}|ok|okay|maybe|(?:can|could|would) you(?: mind)?|kannst du"
    r"|(?:can|could) (?:i|we) (?:have|get|see) (?:it|this|him|her)|let[’']s"
    r"|just(?= (?:add|remove|make|with|without|no) )|(?:re-?)?draw (?:it|him|her|them|this)),? )*"
    rf"(?P<wish>.*?)(?:,? (?:{PLEASE}|{THANKS}|th(?:ough|o)|at all|any ?more))*[.!?]*",
    re.IGNORECASE,
)
_PLEASE_INSIDE = re.compile(rf"(?<=\w),? (?:{PLEASE}),?(?= \w)", re.IGNORECASE)
_LARGER = re.compile(
    r"(?:but )?(?:make it )?(?:bigger|larger|upscaled?)(?: it| this)?(?: \d(?:\.\d)?x?)?|u[1-4]|⬆️?", re.IGNORECASE
)
_UNDO = re.compile(
    r"(?:undo|revert|rückgängig|annule[rz]?|deshacer)(?: (?:it|that|this|machen))?|(?:go )?back", re.IGNORECASE
)
_NO_WISH = re.compile(rf"(?:(?:{PRAISE}|{INTERJECTION}|yes|no|ok|okay)[\s!.,]*+)+", re.IGNORECASE)
_VERB_AND_COLON = re.compile(r"^(?P<verb>add|remove|delete|without|with|replace|change) ?: ?(?=\w)", re.IGNORECASE)
_PICK = re.compile(r"v[1-4]", re.IGNORECASE)
_SHAPE = re.compile(r"(?:but )?(?:make it )?(?:wider|widescreen|taller|narrower)", re.IGNORECASE)
_QUESTION = re.compile(r"(?:how|what|which|why|where|when|who)\b.*\?", re.IGNORECASE)
# Between wishes: a comma, a line, and "and" before what can only be a wish.
_BETWEEN = re.compile(
    r"[,;]|\.(?= )|\n|,? and (?:then )?(?=(?:add|remove|delete|replace|swap|drop|without|no|take (?:off|away)"
    r"|get rid of|leave out|put on) )",
    re.IGNORECASE,
)
# The bullets of a list of wishes. A hyphen before a term takes it away.
_BULLET = re.compile(
    r"^[ \t]*+(?:[*•]|\d[.)]|-(?= (?:no|add|remove|replace|change|without) ))[ \t]++", re.MULTILINE | re.IGNORECASE
)
_SPACED_SIGN = re.compile(r"^[ \t]*+(?P<sign>[+-])[ \t]++(?=\w)", re.MULTILINE)
# What stands before a flag or a setting, and says that the rest stays.
_KEPT = re.compile(
    r"(?:(?:now|please|ok|the|same|again|keep|prompt|seed|picture|image|one|it|but|with|also|just|use|try|and|at)"
    r"\b[ ,]*+)++$",
    re.IGNORECASE,
)
_LAST_AND = re.compile(r"(?<=\w),? and$", re.IGNORECASE)
# What says that the rest stays.
_SAME = re.compile(
    rf"(?:{SAME}|{AGAIN})(?:,? (?:{BUT})|,|(?= (?:but|{NO}|{ADD}|{AS}|with|sin)\b)) (?=\w)", re.IGNORECASE
)
# `-style: ink` for `style: -ink`.
_SIGNED_SLOT = re.compile(rf"(?<![^\s,|])(?P<sign>[+-]) ?(?P<slot>{'|'.join(SLOTS)}): ?(?=\w)", re.IGNORECASE)
# A sign that stands apart behind a comma, or anywhere behind another sign.
_APART = re.compile(r"(?<=,) *(?P<sign>[+-]) (?=[^\W\d_])")
_FIRST_SIGN = re.compile(r"\s*[+-] ?[^\W\d_]")
_ANY_APART = re.compile(r"(?:^|(?<=\s))(?P<sign>[+-])[ \t]++(?=[^\W\d_]|[(\"])")
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
    words = {word for term in terms_of(slots) for word in re.findall(r"\w+", term.lower())}
    text = _DASH.sub(lambda dash: "-" if dash["word"].lower() in words else dash[0], text)
    text = _SIGNED_SLOT.sub(r" | \g<slot>: \g<sign>", _APART.sub(r" \g<sign>", text))
    text = _SIGNED_NEGATIVE.sub("--no ", text)
    if _FIRST_SIGN.match(text):
        text = _ANY_APART.sub(r"\g<sign>", text)
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
        wish = text = _SAME.sub("", wish, count=1).strip()
    if _NO_WISH.fullmatch(text):
        raise ParseError(WHAT)
    for pattern, answer in ((_LARGER, LARGER), (_PICK, PICK), (_SHAPE, SHAPE), (_UNDO, EARLIER)):
        if pattern.fullmatch(wish):
            raise ParseError(answer)
    parts = _parts_in_signs(wish, slots)
    if parts[0].startswith(_SIGNS):
        return _joined(parts)
    if _QUESTION.fullmatch(text.strip()):
        raise ParseError(QUESTION)
    return text


def _lines_in_signs(text: str, slots: Slots) -> str:
    """Lines of wishes with signs; lines among which is something else, as they stand."""
    as_typed, text = text, _SPACED_SIGN.sub(r"\g<sign>", _BULLET.sub("", text))
    lines = [_parts_in_signs(_wish(line), slots) for line in text.split("\n") if line.strip()]
    if not all(parts[0].startswith(_SIGNS) for parts in lines):
        return as_typed
    return _joined(part for parts in lines for part in parts)


def _joined(parts: Iterable[str]) -> str:
    """The parts as one text, where a sign behind another slot's terms is the subject's again."""
    text = ""
    for part in parts:
        is_signed = part.startswith(("+", "-")) and not part.startswith("--")
        is_subjects = is_signed and "|" in text and not text.rstrip().endswith(":")
        text += f"{' | ' if is_subjects else ', ' if text else ''}{part}"
    return text


def _parts_in_signs(wish: str, slots: Slots) -> list[str]:
    if signs := read_wish(wish, slots, is_whole=True):
        return [signs]
    parts, before = list[str](), ""
    for part in _BETWEEN.split(wish):
        slots = slots_after(before, slots) if before else slots
        signs = read_wish(_wish(part), slots)
        if not signs and before.startswith(("-(", "--no ")):
            # "Remove the hat, the rock and the fog".
            signs = read_wish(f"no {_wish(part)}", slots)
        parts.append(signs or _asked_politely(part))
        before = signs or ""
    if len(parts) == 1 and not parts[0].startswith(_SIGNS):
        return [read_words(wish, slots) or parts[0]]
    return parts


def _wish(text: str) -> str:
    asked = _ASKED.fullmatch(_PLEASE_INSIDE.sub("", " ".join(text.split())))
    return _VERB_AND_COLON.sub(r"\g<verb> ", asked["wish"]) if asked else text


def _asked_politely(part: str) -> str:
    """A part as it stands; a sign's term without "please"."""
    part = part.strip()
    return _wish(part) if part.startswith(("+", "-")) and not part.startswith("--") else part
