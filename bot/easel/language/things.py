"""Changes one thing of a term that is a phrase, such as the hat of ``an otter with a green hat``. Pure.

Knows no grammar but small words: a thing reaches from the last joint or article before it.
"""

import re

from .small_words import AND, ARTICLE, JOINT

_JOINT = re.compile(rf"(?<![\w-])(?:{JOINT})(?= )", re.IGNORECASE)
_AND = re.compile(rf"(?:{AND})\Z", re.IGNORECASE)
# What a thing's own words begin behind.
_BEFORE = re.compile(rf"(?:\A|[()\"]|(?<![\w-])(?:{JOINT}|{ARTICLE}) )\s*+", re.IGNORECASE)
_ENDS = re.compile(rf"\s*+(?:\Z|[()\"])|(?:\s++(?:{JOINT})) ", re.IGNORECASE)
_A = re.compile(r"\b(?P<a>a)n? \Z", re.IGNORECASE)
_VOWEL = re.compile(r"[aeiou]", re.IGNORECASE)
_BRACKETED = re.compile(r"\((?P<words>[^()]*)\)(?P<weight>[\d.+-]*)")
_COLOURS = (
    "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ae]y|gold(?:en)?|silver|turquoise|teal"
    "|(?:rot|gelb|grün|blau|lila|violett|rosa|braun|schwarz|weiß|grau)(?:e[nmrs]?)?"
    "|rouge|jaune|verte?|bleue?|noire?|blanc(?:he)?|roj[oa]|amarill[oa]|verde|azul|negr[oa]|blanc[oa]"
)
_COLOUR = re.compile(rf"(?:{_COLOURS})", re.IGNORECASE)
_COLOUR_BEFORE = re.compile(rf"(?<!\w)(?:{_COLOURS}) ", re.IGNORECASE)
_COLOUR_BEHIND = re.compile(rf" (?P<colour>{_COLOURS})(?!\w)", re.IGNORECASE)


def without_thing(term: str, thing: str) -> str | None:
    """The term without a thing and the joint that it hangs on, or None if the thing is not joined to others."""
    if bracketed := _BRACKETED.fullmatch(term):
        words = without_thing(bracketed["words"], thing)
        return words and f"({words}){bracketed['weight']}"
    found = _found(term, thing)
    if found is None:
        return None
    joints = list(_JOINT.finditer(term))
    before = [joint for joint in joints if joint.end() <= found.start()]
    behind = next((joint for joint in joints if joint.start() >= found.end()), None)
    start, end = before[-1].start() if before else 0, behind.start() if behind else len(term)
    if behind and _AND.match(behind[0]) and not (before and _AND.match(before[-1][0])):
        # Of "with a hat and a scarf", "with" is the scarf's now.
        start, end = before[-1].end() + 1 if before else 0, behind.end() + 1
    elif not before:
        return None
    gone = term[start:end]
    if gone.count("(") != gone.count(")"):
        return None
    return f"{term[:start]}{term[end:]}".strip() or None


def with_other(term: str, thing: str, other: str) -> str | None:
    """The term with another thing in the place of one and of the words that describe it; None if it is all there is.

    A word that describes something is replaced alone.
    """
    found = _found(term, thing)
    if found is None:
        return None
    start = _start(term, found) if _ENDS.match(term, found.end()) else found.start()
    changed = _put(term, start, found.end(), other)
    return changed if _words(changed) != _words(other) else None


def with_exactly(term: str, old: str, new: str) -> str | None:
    """The term with the same words and these for those, as ``s/old/new/`` asks for."""
    found = _found(term, old)
    return _put(term, found.start(), found.end(), new) if found else None


def described(term: str, thing: str, how: str) -> str | None:
    """The term with a word that describes a thing, in place of its colour if it is one."""
    found = _found(term, thing)
    if found is None:
        return None
    start, end = _start(term, found), found.end()
    words = term[start:end]
    if _COLOUR.fullmatch(how):
        words = _COLOUR_BEFORE.sub("", words)
        if behind := _COLOUR_BEHIND.match(term, end):
            return f"{term[: behind.start('colour')]}{how}{term[behind.end() :]}"
    return _put(term, start, end, f"{how} {words}")


def _found(term: str, thing: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(thing)}(?!\w)", term, re.IGNORECASE)


def _start(term: str, found: re.Match[str]) -> int:
    """Where the words of the thing that was found begin."""
    return max(match.end() for match in _BEFORE.finditer(term, 0, found.start()) if match.end() <= found.start())


def _put(term: str, start: int, end: int, words: str) -> str:
    before = _A.sub(lambda a: f"{a['a']}{'n' * bool(_VOWEL.match(words))} ", term[:start])
    return f"{before}{words}{term[end:]}"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
