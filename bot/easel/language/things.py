"""Changes one thing of a term that is a phrase, such as the hat of ``an otter with a green hat``. Pure.

Knows no grammar but small words: a thing's words begin behind the last joint or article before it.
"""

import re

from .small_words import AMOUNT, AND, ARTICLE, COLOUR, JOINT, NUMBER, OF, PICTURE, QUALITIES, RELATIVE, VERB

# Behind "a" and "the", a word such as "sous" of a sous chef joins nothing.
_ANY_JOINT = rf"(?<!\ba )(?<!\bthe )(?:{JOINT})"
_JOINT = re.compile(rf"(?<![\w-]){_ANY_JOINT}(?= )", re.IGNORECASE)
_AND = re.compile(rf"(?:{AND})\Z", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:\A|[(,\"]|\)[\d.+-]*+|(?<![\w-])(?:{_ANY_JOINT}|{ARTICLE}|{OF}|{VERB}) )\s*+", re.IGNORECASE)
# A verb joins a thing as well, "playing chess" or "who wears a hat", but behind an article it describes one.
_VERB = re.compile(rf"(?<![\w-])(?:(?:{RELATIVE}) \w+|{VERB})(?= )", re.IGNORECASE)
_DESCRIBES = re.compile(rf"(?:\A|(?<![\w-])(?:{ARTICLE}|{JOINT}|{OF}) )\Z", re.IGNORECASE)
_OF_BEFORE = re.compile(rf"(?<!\w)(?P<of>(?:{OF}) )(?:(?:{ARTICLE}) )?\Z", re.IGNORECASE)
_IS_AMOUNT = re.compile(rf"\b(?:{AMOUNT}) \Z", re.IGNORECASE)
_IS_PICTURE = re.compile(rf"\b(?:{PICTURE}) \Z", re.IGNORECASE)
# Behind a thing, what else is its own, and then what is not.
_REST = re.compile(
    rf"(?P<own>(?: (?:{'|'.join(QUALITIES)}))*(?: (?:{OF}) (?:(?:{ARTICLE}) )?[\w-]+)*)"
    rf"\s*+(?:\Z|[()\"]|(?<=\s)(?:{JOINT}|{RELATIVE}|{VERB}|\w{{3,}}ed) )",
    re.IGNORECASE,
)
# The first thing, also of a portrait of it.
_SUBJECT = re.compile(
    rf"[(\"]*+(?:(?:{ARTICLE}) )?(?:(?:(?:{COLOUR}|\w+) )?(?:{PICTURE}) of (?:(?:{ARTICLE}) )?)?[(\"]*+"
    rf"(?P<words>[^()\"]+?)(?={_REST.pattern})",
    re.IGNORECASE,
)
_A = re.compile(r"\b(?P<a>a)n? \Z", re.IGNORECASE)
_ARTICLE_BEFORE = re.compile(rf"(?<![\w-])(?:{ARTICLE}) \Z", re.IGNORECASE)
_ONE_BEFORE = re.compile(r"(?<![\w-])an? \Z", re.IGNORECASE)
_MANY = re.compile(r"\w+[^\Ws]s", re.IGNORECASE)
_NUMBER = re.compile(rf"(?:{NUMBER}) ", re.IGNORECASE)
_CLOSED = re.compile(r"\)[\d.+-]*")
_NOTHING_WEIGHED = re.compile(r"\(\)[\d.+-]*+ ?")
# What weights put between words.
_BETWEEN_WORDS = r"[)\"]*[\d.+-]*\s+[(\"]*"
_PLURAL = r"(?:e?s|e?n|e)?"

_QUALITIES = [re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE) for words in QUALITIES]
_COLOUR = re.compile(COLOUR, re.IGNORECASE)
_LASTING = re.compile(rf"(?:(?:{'|'.join(QUALITIES)}) )*", re.IGNORECASE)


def without_thing(term: str, thing: str) -> str | None:
    """The term without a thing and the joint before it, or without a word that describes one; None if it goes whole."""
    found = _found(term, thing)
    if found is None:
        return None
    before, rest = _joints(term, found.start()), _REST.match(term, found.end())
    of = _of_before(term, found.start())
    if rest and of is not None and not (before and _IS_AMOUNT.search(term, 0, of)):
        # Of "a throne of gold", the throne stays.
        return _cleared(f"{term[:of]} {term[rest.end('own') :]}")
    if rest is None or _is_quality(thing):
        if term[: found.start()].endswith("black and ") or len(_words(term)) == len(_words(thing)):
            return None
        return _cleared(f"{term[: found.start()]} {term[found.end() :]}")
    start, end = before[-1].start() if before else 0, rest.end("own")
    if term.count("(", start, end) > term.count(")", start, end) and (closed := _CLOSED.match(term, end)):
        end = closed.end()
    behind = _JOINT.match(term, end + 1)
    if behind and _AND.match(behind[0]) and not (before and _AND.match(before[-1][0])):
        # Of "with a hat and a scarf", "with" is the scarf's now.
        start, end = min(before[-1].end() + 1, found.start()) if before else 0, behind.end() + 1
    elif not before:
        return None
    return _cleared(f"{term[:start]} {term[end:]}")


def with_other(term: str, thing: str, other: str) -> str | None:
    """Put another thing in the place of one; None if nothing else is left.

    If the other names a place, it replaces the old place. Size, age and colour stay.
    """
    found = _found(term, thing)
    if found is None:
        return None
    if _is_quality(other) and not _is_quality(thing):
        return described(term, thing, other)
    start, end = found.start(), found.end()
    if term[:start].count('"') % 2:
        return with_exactly(term, thing, other)
    if _JOINT.match(other) and not _JOINT.match(term, start):
        joints = _joints(term, start)
        start = joints[-1].start() if joints else start
    elif _REST.match(term, end):
        if not _JOINT.match(term, start):
            start = _behind_lasting(term, _start(term, found), start, other)
    elif noun := re.match(rf" (?:\w+ )?{re.escape(other.split()[-1])}(?!\w)", term[end:], re.IGNORECASE):
        # "Five hats instead of three": of "three red hats".
        other, end = other.rpartition(" ")[0], end + noun.start()
    changed = _put(term, start, end, other)
    return changed if changed and _words(changed) != _words(other) else None


def with_other_subject(term: str, other: str) -> str:
    """Put another thing in the place of the term's first one, or another place in that of one with its joint."""
    if joint := _JOINT.match(other):
        for same in _JOINT.finditer(term):
            if same[0].lower() == joint[0].lower():
                rest = _REST.search(term, same.end() + 1)
                return f"{term[: same.start()]}{other}{term[rest.end('own') if rest else len(term) :]}"
        return f"{term} {other}"
    subject = _SUBJECT.match(term)
    if subject is None:
        return other
    end = subject.end("words")
    return _put(term, _behind_lasting(term, subject.start("words"), end, other), end, other) or other


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
    for quality in _QUALITIES:
        # Also a dark blue one.
        if quality.fullmatch(how.rpartition(" ")[2]):
            words = quality.sub("", words)
            if behind := quality.match(term, end + 1):
                return f"{term[: behind.start()]}{how}{term[behind.end() :]}"
    return _put(term, start, end, " ".join(f"{how} {words}".split()))


def redescribed(term: str, how: str, noun: str) -> str | None:
    """The term with ``how noun`` in the place of that noun and what describes it, as in ``blue eyes``.

    None if it has no such noun, or has it as part of a name, or has these very words.
    """
    stem = re.sub(r"(?<=\w\w\w)(?:e?s|en|e)\Z", "", noun)
    nouns = f"(?:{re.escape(noun)}|{re.escape(stem)}){_PLURAL}"
    for found in re.finditer(rf"(?<![\w-]){nouns}(?![\w-])", term, re.IGNORECASE):
        if not _REST.match(term, found.end()):
            continue
        words = term[_start(term, found) : found.end()]
        if sum(word.istitle() for word in words.split()) > 1:
            continue
        if _words(words) == _words(f"{how} {noun}"):
            return None
        if any(quality.fullmatch(how) and quality.search(words) for quality in _QUALITIES):
            return described(term, found[0], how)
        return _put(term, _start(term, found), found.end(), f"{how} {noun}")
    return None


def coloured(term: str, thing: str, colour: str) -> str | None:
    """The term with a colour behind a thing, as ``botas rojas`` has it; None if that is no colour."""
    found = _found(term, thing)
    if found is None or not _COLOUR.fullmatch(colour):
        return None
    if _QUALITIES[0].search(term, _start(term, found), found.start()):
        return described(term, thing, colour)
    other = re.match(rf" (?:{COLOUR})(?![\w-])", term[found.end() :], re.IGNORECASE)
    return f"{term[: found.end()]} {colour}{term[found.end() + (other.end() if other else 0) :]}"


def own_words(term: str, thing: str) -> str:
    """A thing with the words that describe it, as the term has them."""
    found = _found(term, thing)
    if found is None:
        return thing
    return term[_start(term, found) if _REST.match(term, found.end()) else found.start() : found.end()]


def _found(term: str, thing: str) -> re.Match[str] | None:
    words = _BETWEEN_WORDS.join(map(re.escape, thing.split()))
    return re.search(rf"(?<![\w-]){words}(?![\w-])", term, re.IGNORECASE) if words else None


def _joints(term: str, at: int) -> list[re.Match[str]]:
    """What joins things of a term, up to the one that begins at ``at``."""
    verbs = (verb for verb in _VERB.finditer(term) if not _DESCRIBES.search(term, 0, verb.start()))
    return sorted((one for one in (*_JOINT.finditer(term), *verbs) if one.start() <= at), key=re.Match.start)


def _of_before(term: str, at: int) -> int | None:
    """Where "of" stands just before ``at``, unless it is a picture of what stands there."""
    of = _OF_BEFORE.search(term, 0, at)
    return of.start("of") if of and not _IS_PICTURE.search(term, 0, of.start("of")) else None


def _is_quality(word: str) -> bool:
    return any(quality.fullmatch(word) for quality in _QUALITIES)


def _start(term: str, found: re.Match[str]) -> int:
    """Where the words of the thing that was found begin."""
    return max(match.end() for match in _BEFORE.finditer(term, 0, found.start()) if match.end() <= found.start())


def _behind_lasting(term: str, start: int, end: int, other: str) -> int:
    """Where a thing begins behind what lasts, its size, age and colour, and its number if the other is many, too.

    ``start`` itself for another thing with words of its own.
    """
    if " " in other:
        return start
    number = _NUMBER.match(term, start, end) if _MANY.fullmatch(other) else None
    lasting = _LASTING.match(term, number.end() if number else start, end)
    return lasting.end() if lasting else start


def _put(term: str, start: int, end: int, words: str) -> str | None:
    """The term with other words from ``start`` to ``end``, and the article that they want; None if brackets break."""
    before = term[:start]
    if _NUMBER.match(f"{words} ") or (words and _ARTICLE_BEFORE.match(f"{words.split()[0]} ")):
        before = _ARTICLE_BEFORE.sub("", before)
    elif _MANY.fullmatch(words):
        before = _ONE_BEFORE.sub("", before)
    if not words:
        return f"{before}{term[end:].lstrip()}"
    before = _A.sub(lambda a: f"{a['a']}{'n' * (words[0].lower() in 'aeiou')} ", before)
    changed = f"{before}{words}{term[end:]}"
    return changed if changed.count("(") == changed.count(")") else None


def _cleared(term: str) -> str | None:
    """The term without what a removal leaves behind; None if it is empty or its brackets break."""
    term = " ".join(_NOTHING_WEIGHED.sub("", term).split()).replace("( ", "(").replace(" )", ")")
    return term if term and term.count("(") == term.count(")") else None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
