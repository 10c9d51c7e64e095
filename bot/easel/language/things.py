"""Changes one thing of a term that is a phrase, such as the hat of ``an otter with a green hat``. Pure.

Knows no grammar but small words: a thing's words begin behind the last joint or article before it.
"""

import re

from .small_words import AND, ARTICLE, COLOUR, JOINT, NUMBER, OF, PICTURE, QUALITIES, WHO

_JOINT = re.compile(rf"(?<![\w-])(?:{JOINT})(?= )", re.IGNORECASE)
_AND = re.compile(rf"(?:{AND})\Z", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:\A|[()\"]|(?<![\w-])(?:{JOINT}|{ARTICLE}|{OF}|\w+ing) )\s*+", re.IGNORECASE)
# A verb in -ing joins a thing as well, "playing chess", but describes it behind an article: "a running dog".
_VERB = re.compile(r"(?<![\w-])\w+ing(?= )", re.IGNORECASE)
_DESCRIBES = re.compile(rf"(?:\A|(?<![\w-])(?:{ARTICLE}|{JOINT}|{OF}) )\Z", re.IGNORECASE)
# Behind a thing, what else is its own, and what is not.
_ENDS = re.compile(
    rf"(?P<own>(?: (?:{'|'.join(QUALITIES)}))*(?: (?:{OF}) (?:(?:{ARTICLE}) )?[\w-]+)*)"
    rf"\s*+(?:\Z|[()\"]|(?<=\s)(?:{JOINT}|{WHO}|\w{{3,}}(?:ing|ed)) )",
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
_CLOSED = re.compile(r"\)[\d.+-]*")
# A noun, also as one or many.
_ENDING = r"(?:e?s|e?n|e)?"

_QUALITIES = [re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE) for words in QUALITIES]
_COLOUR = re.compile(COLOUR, re.IGNORECASE)
_LASTING = re.compile(rf"(?:(?:{'|'.join(QUALITIES)}) )*", re.IGNORECASE)


def without_thing(term: str, thing: str) -> str | None:
    """The term without a thing and the joint before it, or without a word that describes one; None if it goes whole."""
    if bracketed := _BRACKETED.fullmatch(term):
        words = without_thing(bracketed["words"], thing)
        return words and f"({words}){bracketed['weight']}"
    found = _found(term, thing)
    if found is None:
        return None
    before, ends = _joints(term, found.start()), _ENDS.match(term, found.end())
    if ends is None or _is_quality(thing):
        if term[: found.start()].endswith("and ") or len(_words(term)) == len(_words(thing)):
            return None
        gone = term[: found.start()].rstrip() if found.end() == len(term) else term[: found.start()]
        return f"{gone}{term[found.end() :].lstrip()}"
    start, end = before[-1].start() if before else 0, ends.end("own")
    if term.count("(", start, end) > term.count(")", start, end) and (closed := _CLOSED.match(term, end)):
        end = closed.end()
    behind = _JOINT.match(term, end + 1)
    if behind and _AND.match(behind[0]) and not (before and _AND.match(before[-1][0])):
        # Of "with a hat and a scarf", "with" is the scarf's now.
        start, end = before[-1].end() + 1 if before else 0, behind.end() + 1
    elif not before:
        return None
    gone = term[start:end]
    if gone.count("(") != gone.count(")"):
        return None
    return " ".join(f"{term[:start]}{term[end:]}".split()) or None


def with_other(term: str, thing: str, other: str) -> str | None:
    """The term with another thing in the place of one; None if the term has nothing else.

    Its place goes with it, if the other has one, and what it is like stays if that lasts: size, age, colour.
    """
    found = _found(term, thing)
    if found is None:
        return None
    start, end = found.start(), found.end()
    if term[:start].count('"') % 2:
        return with_exactly(term, thing, other)
    ends = _ENDS.match(term, end)
    if _JOINT.match(other) and not _JOINT.match(term, start):
        start = next((joint.start() for joint in reversed(_joints(term, start))), start)
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
                return f"{term[: same.start()]}{other}{term[end.end('own') if end else len(term) :]}"
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
    for quality in _QUALITIES:
        if quality.fullmatch(how):
            words = quality.sub("", words)
            if behind := quality.match(term, end + 1):
                return f"{term[: behind.start()]}{how}{term[behind.end() :]}"
    return _put(term, start, end, " ".join(f"{how} {words}".split()))


def renamed(term: str, how: str, noun: str) -> str | None:
    """The term with ``how noun`` in the place of that noun and what describes it, as in ``blue eyes``.

    None if it has no such noun, as part of a name, or these very words.
    """
    stem = re.sub(r"(?<=\w\w\w)(?:e?s|en|e)\Z", "", noun)
    nouns = f"(?:{re.escape(noun)}|{re.escape(stem)}){_ENDING}"
    for found in re.finditer(rf"(?<![\w-]){nouns}(?![\w-])", term, re.IGNORECASE):
        words = term[_start(term, found) : found.end()]
        if not _ENDS.match(term, found.end()) or sum(word.istitle() for word in words.split()) > 1:
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
    other = re.match(rf" (?:{COLOUR})(?![\w-])", term[found.end() :], re.IGNORECASE)
    return f"{term[: found.end()]} {colour}{term[found.end() + (other.end() if other else 0) :]}"


def own_words(term: str, thing: str) -> str:
    """A thing with the words that describe it, as the term has them."""
    found = _found(term, thing)
    if found is None:
        return thing
    return term[_start(term, found) if _ENDS.match(term, found.end()) else found.start() : found.end()]


def _found(term: str, thing: str) -> re.Match[str] | None:
    return re.search(rf"(?<![\w-]){re.escape(thing)}(?![\w-])", term, re.IGNORECASE)


def _joints(term: str, end: int) -> list[re.Match[str]]:
    """What joins things of a term before ``end``."""
    verbs = (verb for verb in _VERB.finditer(term) if not _DESCRIBES.search(term, 0, verb.start()))
    return sorted((one for one in (*_JOINT.finditer(term), *verbs) if one.end() <= end), key=re.Match.start)


def _is_quality(word: str) -> bool:
    return any(quality.fullmatch(word) for quality in _QUALITIES)


def _start(term: str, found: re.Match[str], other: str = "of it") -> int:
    """Where the words of the thing that was found begin; behind those that last, for another thing without its own."""
    start = max(match.end() for match in _BEFORE.finditer(term, 0, found.start()) if match.end() <= found.start())
    if " " not in other and (lasting := _LASTING.match(term, start, found.start())):
        start = lasting.end()
    return start


def _put(term: str, start: int, end: int, words: str) -> str:
    before = term[:start]
    if _NUMBER.match(f"{words} ") or (words and _ARTICLE_BEFORE.match(f"{words.split()[0]} ")):
        before = _ARTICLE_BEFORE.sub("", before)
    if not words:
        return f"{before}{term[end:].lstrip()}"
    before = _A.sub(lambda a: f"{a['a']}{'n' * (words[0].lower() in 'aeiou')} ", before)
    return f"{before}{words}{term[end:]}"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
