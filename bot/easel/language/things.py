"""Changes one thing of a term that is a phrase, such as the hat of ``an otter with a green hat``. Pure.

Knows no grammar but small words: a thing's words begin behind the last joint or article before it.
"""

import re

from .small_words import AND, ARTICLE, JOINT, NUMBER, PICTURE

# Of these, a thing has one: what describes it anew takes the place of the others.
_ALIKE = (
    "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ae]y|gold(?:en)?|silver|turquoise|teal"
    "|(?:rot|gelb|grün|blau|lila|violett|rosa|braun|schwarz|weiß|grau)(?:e[nmrs]?)?|blauwe?|rood|rode|grij[sz]e?|groene?|gele?|zwarte?|witte?"
    "|rouge|jaune|verte?|bleue?|noire?|blanc(?:he)?|roj[oa]|amarill[oa]|verde|azul|negr[oa]|blanc[oa]|ross[oa]|blu",
    "(?:big|small|large|huge|giant)(?:g?er)?|tiny|little|groß|größer|klein(?:er)?",
    "(?:dark|bright|light|dim)(?:er)?|pale",
    "(?:old|young|new)(?:er)?|ancient",
    "(?:long|short|tall)(?:er)?",
    "(?:fat|thin|slim)(?:t?er)?",
    "(?:soft|hard|harsh)(?:er)?",
)

_JOINT = re.compile(rf"(?<![\w-])(?:{JOINT})(?= )", re.IGNORECASE)
_AND = re.compile(rf"(?:{AND})\Z", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:\A|[()\"]|(?<![\w-])(?:{JOINT}|{ARTICLE}) )\s*+", re.IGNORECASE)
_ENDS = re.compile(
    rf"(?: (?:{'|'.join(_ALIKE)}))*\s*+(?:\Z|[()\"]|(?<=\s)(?:(?:{JOINT}) |\w+ing (?:{JOINT}|{ARTICLE}) ))",
    re.IGNORECASE,
)
# The first thing, also of a portrait of it.
_HEAD = re.compile(
    rf"[(\"]*+(?:(?:{ARTICLE}) )?(?:(?:\w+ )?(?:{PICTURE}) of (?:(?:{ARTICLE}) )?)?(?P<words>.+?)(?={_ENDS.pattern})",
    re.IGNORECASE,
)
_A = re.compile(r"\b(?P<a>a)n? \Z", re.IGNORECASE)
_ARTICLE_BEFORE = re.compile(rf"(?<![\w-])(?:{ARTICLE}) \Z", re.IGNORECASE)
_NUMBER = re.compile(rf"(?:{NUMBER}) ", re.IGNORECASE)
_BRACKETED = re.compile(r"\((?P<words>[^()]*)\)(?P<weight>[\d.+-]*)")
# A noun, also as one or many.
_ENDING = r"(?:e?s|e?n|e)?"

_ALIKES = [re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE) for words in _ALIKE]
_LASTING = re.compile(rf"(?:(?:{'|'.join(_ALIKE)}) )*", re.IGNORECASE)


def without_thing(term: str, thing: str) -> str | None:
    """The term without a thing and the joint before it, or without a word that describes one; None if it goes whole."""
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
    if not _ENDS.match(term, found.end()):
        if term[: found.start()].endswith("and "):
            return None
        start, end = found.start(), found.end() + 1
    elif behind and _AND.match(behind[0]) and not (before and _AND.match(before[-1][0])):
        # Of "with a hat and a scarf", "with" is the scarf's now.
        start, end = before[-1].end() + 1 if before else 0, behind.end() + 1
    elif not before:
        return None
    gone = term[start:end]
    if gone.count("(") != gone.count(")"):
        return None
    return f"{term[:start]}{term[end:]}".strip() or None


def with_other(term: str, thing: str, other: str) -> str | None:
    """The term with another thing in the place of one; None if the term has nothing else.

    Its place goes with it, if the other has one, and what it is like stays if that lasts: size, age, colour.
    """
    found = _found(term, thing)
    if found is None:
        return None
    start, end = found.start(), found.end()
    ends = _ENDS.match(term, end)
    if _JOINT.match(other) and not _JOINT.match(term, start):
        joints = [joint.start() for joint in _JOINT.finditer(term) if joint.end() <= start]
        start = joints[-1] if joints else start
    elif ends and not _JOINT.match(term, start):
        start = _start(term, found, other)
    elif not ends and (noun := re.match(rf" (?:\w+ )?{re.escape(other.split()[-1])}(?!\w)", term[end:], re.IGNORECASE)):
        # "Five hats instead of three": of "three red hats".
        other, end = other.rpartition(" ")[0], end + noun.start()
    changed = _put(term, start, end, other)
    return changed if _words(changed) != _words(other) else None


def with_other_head(term: str, other: str) -> str:
    """The term with another thing in the place of its first one, or another place in that of one with its joint."""
    if joint := _JOINT.match(other):
        for same in _JOINT.finditer(term):
            if same[0].lower() == joint[0].lower():
                end = _ENDS.search(term, same.end() + 1)
                return f"{term[: same.start()]}{other}{term[end.start() if end else len(term) :]}"
    head = _HEAD.match(term)
    if head is None:
        return other
    start = head.start("words")
    if " " not in other and (lasting := _LASTING.match(term, start)):
        start = min(lasting.end(), head.end("words"))
    return _put(term, start, head.end("words"), other)


def with_exactly(term: str, old: str, new: str) -> str | None:
    """The term with these words for those, as ``s/old/new/`` asks for."""
    found = _found(term, old)
    return _put(term, found.start(), found.end(), new) if found else None


def described(term: str, thing: str, how: str) -> str | None:
    """The term with a word before a thing that describes it, in the place of a word of that kind."""
    found = _found(term, thing)
    if found is None:
        return None
    start, end = _start(term, found), found.end()
    if number := _NUMBER.match(term, start, end):
        start = number.end()
    words = term[start:end]
    for alike in _ALIKES:
        if alike.fullmatch(how):
            words = alike.sub("", words)
            if behind := alike.match(term, end + 1):
                return f"{term[: behind.start()]}{how}{term[behind.end() :]}"
    return _put(term, start, end, " ".join(f"{how} {words}".split()))


def renamed(term: str, how: str, noun: str) -> str | None:
    """The term with ``how noun`` in the place of that noun and what describes it, as in ``blue eyes``.

    None if it has no such noun, or these very words.
    """
    stem = re.sub(rf"(?<=\w\w\w){_ENDING}\Z", "", noun)
    for found in re.finditer(rf"(?<![\w-]){re.escape(stem)}{_ENDING}(?![\w-])", term, re.IGNORECASE):
        if not _ENDS.match(term, found.end()):
            continue
        words = term[_start(term, found) : found.end()]
        if _words(words) == _words(f"{how} {noun}"):
            return None
        if any(alike.fullmatch(how) and alike.search(words) for alike in _ALIKES):
            return described(term, found[0], how)
        return _put(term, _start(term, found), found.end(), f"{how} {noun}")
    return None


def is_colour(word: str) -> bool:
    return bool(_ALIKES[0].fullmatch(word))


def own_words(term: str, thing: str) -> str:
    """A thing with the words that describe it, as the term has them."""
    found = _found(term, thing)
    if found is None:
        return thing
    return term[_start(term, found) if _ENDS.match(term, found.end()) else found.start() : found.end()]


def _found(term: str, thing: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(thing)}(?!\w)", term, re.IGNORECASE)


def _start(term: str, found: re.Match[str], other: str = "of it") -> int:
    """Where the words of the thing that was found begin; behind those that last, for another thing without its own."""
    start = max(match.end() for match in _BEFORE.finditer(term, 0, found.start()) if match.end() <= found.start())
    if " " not in other and (lasting := _LASTING.match(term, start, found.start())):
        start = lasting.end()
    return start


def _put(term: str, start: int, end: int, words: str) -> str:
    before = term[:start]
    if _NUMBER.match(words) or _ARTICLE_BEFORE.match(f"{words.split()[0]} "):
        before = _ARTICLE_BEFORE.sub("", before)
    before = _A.sub(lambda a: f"{a['a']}{'n' * (words[0].lower() in 'aeiou')} ", before)
    return f"{before}{words}{term[end:]}"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
