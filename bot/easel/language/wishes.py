"""Reads one wish of a reply as signs: ``no hat`` is ``-hat``, ``more fog`` is ``+(fog)++``, ``again`` another seed.

What is to go and is not among the picture's words is left out, as ``--no`` does: the model drew it by itself.
"""

import re
from collections.abc import Callable, Iterable

from .chat import parse_changes
from .flags import SLOT_NAMES, Kind, find_slot, flag_named
from .refine import plain_term, refined
from .request import SLOTS, DrawRequest, Slots
from .sentences import ParseError, nearest
from .small_words import (
    ADD,
    AGAIN,
    ART,
    AS,
    AT_NIGHT,
    AWAY,
    COMPARATIVE,
    COMPARATIVE_SIZE,
    DOING,
    INSTEAD_OF,
    INTO,
    LESS,
    MAKE,
    MEDIA,
    MEDIUM,
    MORE,
    NO,
    NOT_TOO,
    REMOVE,
    REPLACE,
    STATE,
    TAKE,
    WHERE,
)
from .small_words import ARTICLE as _ANY_ARTICLE
from .things import coloured, described, own_words, redescribed, with_exactly, with_other, with_other_subject
from .weights import next_weight

ANOTHER_SEED = "--seed new"

# How near a word must be to one of the picture: a letter too much, or another ending.
SPELLED_ALIKE = 0.8

# The signs of a wish, or None if it is none after all.
Reader = Callable[[re.Match[str], Slots], str | None]

_ARTICLE = rf"(?:(?:{_ANY_ARTICLE}) |l['’])?"
_A_BIT = r"(?:(?:a (?:bit|little|lot)|way|lots|much|even|etwas|un peu|un poco) )?"
_DO_NOT = r"(?:do not|don['’]?t)"
_SLOTS = "|".join(SLOTS)
# Between things to take away: "the hat and the fog".
_BETWEEN_THINGS = re.compile(rf"(?:,? (?:and|or|nor|&) |/)(?:(?:no|without) )?{_ARTICLE}", re.IGNORECASE)
# Behind what replaces something: another pair.
_AND_SWAP = re.compile(rf" and {_ARTICLE}(?P<old>.+?) (?:with|by|for) {_ARTICLE}(?P<new>.+)", re.IGNORECASE)
_OF_NOUN = re.compile(
    rf"{_ARTICLE}(?P<how>\w[\w-]*(?: \w[\w-]*)?)(?<! the)(?<! an)(?<! a) (?P<noun>\w{{3,}})", re.IGNORECASE
)
_FIRST_ARTICLE = re.compile(rf"^{_ARTICLE}", re.IGNORECASE)
_ENDS_IN_ARTICLE = re.compile(r"(?:^|\s)(?:an?|the|it|this)$", re.IGNORECASE)
_IT = {"one", "it", "that", "this", "him", "her", "them", "he", "she", "they"}
_FIRST_WORD = re.compile(r"(?=\w)")
_ARROW = r"(?P<old>[^/:>=,|]+?) ?(?:->|=>|→|⇒) ?(?P<new>[^/:>=,|]+)"
_OTHER_SEED = "(?:an? )?(?:new|other|another|different) (?:seed|one|roll)"
_AGAIN = (
    rf"(?:do it |roll |try |same |once )?again(?: with {_OTHER_SEED})?|once more"
    r"|(?:another|one more)(?: one| roll| time| try| seed)?|re-?roll"
    r"|re-?do|re-?try|(?:the )?same(?: one| picture)?|more like (?:this|that|it)|variations?"
    r"|vary(?: (?:strong|subtle)| \((?:strong|subtle)\))?|🎲"
    rf"|(?:(?:the )?same(?: one| picture| prompt| thing)?,? )?(?:but )?(?:with |use |try )?{_OTHER_SEED}"
    rf"|{AGAIN}"
)
# What means something in a reply only.
ABOUT_A_PICTURE = re.compile(rf"{_AGAIN}|{_ARROW}|make it {COMPARATIVE}", re.IGNORECASE)


def read_wish(wish: str, slots: Slots, *, is_whole: bool = False) -> str | None:
    """The wish as signs, flags or slots for a picture of these slots; None if it is no wish.

    ``is_whole``: it is the whole reply, and read only if it may have commas in it.
    """
    for pattern, read in _READERS_OF_WHOLE if is_whole else _READERS:
        if (match := pattern.fullmatch(wish)) and (signs := read(match, slots)):
            return signs
    return None


def read_words(words: str, slots: Slots) -> str | None:
    """A reply of a few words without a verb as signs: ``blue eyes``, ``watercolor``. None for a new prompt."""
    if re.fullmatch(MEDIUM, words, re.IGNORECASE):
        return f"| style: {words}"
    if re.fullmatch(STATE, words, re.IGNORECASE):
        return f"+{words}"
    if re.fullmatch(r"(?:an? )?[\w-]+ background", words, re.IGNORECASE) and not is_there("background", slots):
        return f"| environment: {words}"
    if (match := _OF_NOUN.fullmatch(words)) and (signs := _redescribed(match, slots)):
        return signs
    noun, _, colour = words.partition(" ")
    if (term := _term_with(noun, slots)) and (changed := coloured(term, noun, colour)):
        return _replaced(term, changed, slots)
    return None


def is_there(words: str, slots: Slots) -> bool:
    """Whether a term has these words, one after the other."""
    wanted = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)
    return any(wanted.search(term) for term in terms_of(slots))


def slots_after(signs: str, slots: Slots) -> Slots:
    """The slots once these signs are applied, for the wish behind them."""
    try:
        return refined(DrawRequest(slots=slots), parse_changes(signs)).slots
    except ParseError:
        return slots


def _meant(thing: str, slots: Slots) -> str:
    """A word of the picture that is spelled nearly so, where this one is not there; else the thing as it is."""
    if not thing.isalpha() or is_there(thing, slots):
        return thing
    thing = thing.lower()
    alike = re.compile(rf"\b{thing[0]}[^\W\d_]{{2,}}")
    words = [word for term in terms_of(slots) for word in alike.findall(term.lower())]
    return nearest(thing, words, likeness=SPELLED_ALIKE) or thing


def terms_of(slots: Slots) -> list[str]:
    """The terms of all slots, in order."""
    return [term for slot in SLOTS for term in getattr(slots, slot)]


# ---- what each of them means


def _add(match: re.Match[str], slots: Slots) -> str:
    return f"+{match['term']}"


def _remove_or_leave_out(match: re.Match[str], slots: Slots) -> str:
    gone = match["term"]
    terms = [gone] if is_there(gone, slots) else [_meant(term, slots) for term in _BETWEEN_THINGS.split(gone)]
    if any(find_slot(term) for term in terms):
        return _remove(match, slots)
    return " ".join(_minus(term) if is_there(term, slots) else f"--no {term}" for term in terms)


def _remove(match: re.Match[str], slots: Slots) -> str:
    gone = match["term"]
    return " ".join(map(_minus, [gone] if is_there(gone, slots) else _BETWEEN_THINGS.split(gone)))


def _remove_if_there(match: re.Match[str], slots: Slots) -> str | None:
    return _minus(match["term"]) if is_there(match["term"], slots) else None


def _exactly(match: re.Match[str], slots: Slots) -> str:
    """``s/otter/owl/``"""
    term = _term_with(match["old"], slots)
    changed = with_exactly(term, match["old"], match["new"]) if term else None
    return _replaced(term, changed, slots) if term and changed else _swap(match, slots)


def _swap_if_there(match: re.Match[str], slots: Slots) -> str | None:
    """``a blackbird, not a robin``"""
    return _swapped(match["old"], match["new"], slots) if is_there(match["old"], slots) else None


def _swap(match: re.Match[str], slots: Slots) -> str:
    old, new = match["old"], match["new"]
    if old.lower() in _IT:
        return _instead(match, slots)
    if (second := _AND_SWAP.search(new)) and is_there(second["old"], slots):
        first = _swapped(old, new[: second.start()], slots)
        return f"{first}, {_swapped(second['old'], second['new'], slots_after(first, slots))}"
    return _swapped(old, new, slots)


def _instead(match: re.Match[str], slots: Slots) -> str:
    """``an owl instead``, of the first thing; ``in Tokyo instead``, of where it is."""
    term, new = terms_of(slots)[0], match["new"]
    if (words := _OF_NOUN.fullmatch(new)) and (signs := _redescribed(words, slots)):
        return signs
    return _replaced(term, with_other_subject(term, new), slots)


def _redescribed(match: re.Match[str], slots: Slots) -> str | None:
    """``blue eyes``, of a picture with green ones."""
    for term in terms_of(slots):
        if changed := redescribed(term, match["how"], match["noun"]):
            return _replaced(term, changed, slots)
    return None


def _worn(match: re.Match[str], slots: Slots) -> str:
    return f"| outfit: {match['term']}" if slots.outfit else f"+{match[0]}"


def _made(match: re.Match[str], slots: Slots) -> str:
    """``make it less busy``"""
    return f"--no {match['not']}" if match["not"] else f"+{match['how']}"


def _changed(match: re.Match[str], slots: Slots) -> str | None:
    """``make the hat bigger``: of a term that is there, else a term of its own."""
    what, how = match["what"], match["how"]
    if what.lower() in _IT:
        return f"+{how}"
    if " and " in what:
        return None
    while " " in what and not _term_with(what, slots):
        # "Make the hat dark blue".
        what, _, more = what.rpartition(" ")
        how = _FIRST_ARTICLE.sub("", f"{more} {how}")
    if _term_with(what, slots) is None and " " in how:
        return None
    return _described(what, how, slots) or (None if _ENDS_IN_ARTICLE.search(what) else f"+{how} {what}")


def _both_changed(match: re.Match[str], slots: Slots) -> str | None:
    """``make the hat bigger and the rock red``"""
    if first := _described(match["what"], match["how"], slots):
        second = _described(match["what2"], match["how2"], slots_after(first, slots))
        return f"{first}, {second}" if second else None
    return None


def _described(what: str, how: str, slots: Slots) -> str | None:
    if (term := _term_with(what, slots)) is None:
        return None
    return _replaced(term, described(term, what, how) or _FIRST_WORD.sub(f"{how} ", term, count=1), slots)


def _changed_if_there(match: re.Match[str], slots: Slots) -> str | None:
    """``bigger hat``"""
    return _changed(match, slots) if _term_with(match["what"], slots) else None


def _more_of(match: re.Match[str], slots: Slots) -> str:
    """``more fog``: of a term that is there its weight, else a term of its own."""
    return _with_weight(match["what"], "+", slots) or f"+{match[0]}"


def _less_of(match: re.Match[str], slots: Slots) -> str | None:
    return _with_weight(match["what"], "-", slots)


def _with_weight(what: str, sign: str, slots: Slots) -> str | None:
    """The signs that give a thing of the picture more or less weight than it has."""
    if (term := _term_with(what, slots)) is None:
        return None
    words = own_words(term, what)
    if plain_term(words) == plain_term(term):
        return f"+({plain_term(term)}){next_weight(term, sign)}"
    if weighed := re.search(rf"\({re.escape(words)}\)(?:\++|-+|\d*\.?\d+)?", term):
        now = f"({words}){next_weight(weighed[0], sign)}"
        return _replaced(term, f"{term[: weighed.start()]}{now}{term[weighed.end() :]}", slots)
    return _replaced(term, with_exactly(term, words, f"({words}){sign * 2}") or term, slots)


def _swapped(old: str, new: str, slots: Slots) -> str:
    """The signs that put ``new`` into the place of ``old``, which may be a whole slot or a flag's value."""
    if slot := find_slot(old):
        return f"| {slot}: {new}"
    old = _meant(old, slots)
    flag = None if is_there(old, slots) else flag_named(old)
    if flag and flag.kind is not Kind.SWITCH:
        return f"{flag.typed} {new}"
    term = _term_with(old, slots)
    changed = with_other(term, old, new) if term and plain_term(term) != old.lower() else None
    return _replaced(term, changed, slots) if term and changed else _replaced(old, new, slots)


def _replaced(old: str, new: str, slots: Slots) -> str:
    """The signs that put a term into the place of the one with these words, in its slot."""
    old = plain_term(old)
    there = next((slot for slot in SLOTS if any(old in plain_term(term) for term in getattr(slots, slot))), SLOTS[0])
    return f"{_minus(old)} +{new}" if there == SLOTS[0] else f"| {there}: {_minus(old)} +{new}"


def _minus(term: str) -> str:
    """The sign that takes a term away. In brackets its first word is no flag."""
    return f"-{term}" if find_slot(term) else f"-({term})"


def _term_with(words: str, slots: Slots) -> str | None:
    """The first term that has all these words, one after the other."""
    return next((term for term in terms_of(slots) if f" {words.lower()} " in f" {plain_term(term)} "), None)


def _style(match: re.Match[str], slots: Slots) -> str:
    return f"| style: {match['style']}"


# Of a whole reply, and of one wish among others, in the order in which they are tried.
_WHOLE: tuple[tuple[str, Reader], ...] = (
    # `(otter)++` and `otter++`
    (r"(?:\((?P<in>[^():]+)(?::\d*\.?\d+\)|\)(?:[+-]+|\d*\.?\d+))|(?P<words>[^()+,-]+)(?:\++|-+))",
     lambda match, slots: f"+{match[0]}" if is_there(match["in"] or match["words"], slots) else None),
    # `snow:0.8`
    (r"(?P<words>[^():,]+):(?P<weight>\d*\.\d+)",
     lambda match, slots: f"+({match['words']}){match['weight']}" if is_there(match["words"], slots) else None),
    (rf"(?:{INSTEAD_OF}) {_ARTICLE}(?P<old>[^,]+?)(?:,| use| draw| put) {_ARTICLE}(?P<new>[^,]+)", _swap),
    (rf"(?:i meant? )?{_ARTICLE}(?P<new>[^,]+?),? (?:and )?not {_ARTICLE}(?P<old>[^,]+)", _swap_if_there),
)  # fmt: skip
_WISHES: tuple[tuple[str, Reader], ...] = (
    (_AGAIN, lambda match, slots: ANOTHER_SEED),
    (r"(?P<count>\d{1,2}) (?:more|variations|versions)(?: (?:of|like) (?:it|this|that|these))?",
     lambda match, slots: f"{ANOTHER_SEED} -n {match['count']}"),
    (r"(?:(?:but )?(?:with|use|at)) (?P<steps>\d{1,3}) steps", lambda match, slots: f"--steps {match['steps']}"),
    (r"(?:(?:make it|in|as) (?P<shape>portrait|landscape|square)|(?P<shape2>portrait|landscape|square)"
     r"(?= (?:format|orientation)))(?: format| orientation)?",
     lambda match, slots: f"--size {match['shape'] or match['shape2']}"),
    (rf"(?:{'|'.join(SLOT_NAMES)}) ?:.*", lambda match, slots: f"| {match[0]}"),
    (rf"(?:(?:but|make it|with|use|mit|avec) )*{_ARTICLE}(?P<new>(?:\S+ ){{0,5}}?\S+?),? (?:{INSTEAD_OF})"
     rf" {_ARTICLE}(?P<old>.+)", _swap),
    (rf"(?:{INSTEAD_OF}) {_ARTICLE}(?P<old>.+?) (?:{_ANY_ARTICLE}) (?P<new>.+)", _swap_if_there),
    (rf"{_ARTICLE}(?P<new>.+?) instead", _instead),
    (rf"(?:i meant?|make (?:it|him|her|this)(?= an? (?!bit |little |lot ))) {_ARTICLE}(?P<new>.+)", _instead),
    (rf"{_ARTICLE}(?P<old>.+?) (?:should|must) be an? (?P<new>.+)", _swap_if_there),
    (rf"(?:give|gib|donne|dale) (?!(?:it|him|her|them) ){_ARTICLE}\w+(?: \w+)? (?:{_ANY_ARTICLE}) (?P<term>.+)", _add),
    (r"wearing (?P<term>.+)", _worn),
    (rf"(?:{DOING})(?: .+)?", lambda match, slots: f"+{match[0]}"),
    (rf"(?:the )?(?P<slot>{_SLOTS}|background) (?:should|must) be {_ARTICLE}(?P<terms>.+)",
     lambda match, slots: f"| {match['slot']}: {match['terms']}"),
    (rf"(?P<how>{COMPARATIVE}|{COMPARATIVE_SIZE}) (?P<what>.+)", _changed_if_there),
    (rf"make it (?:(?:an? |the )?(?P<style>.+) style|(?P<medium>{MEDIUM}))",
     lambda match, slots: f"| style: {match['style'] or match['medium']}"),
    (rf"make (?:it|him|her(?! \w+ \w)|them|this|everything) (?:look )?{_A_BIT}(?:(?:less|not so) (?P<not>.+)"
     rf"|(?P<how>(?!.*style\b|an? )(?:[\w-]+ )?[\w-]+))", _made),
    (rf"(?:{MAKE}) {_ARTICLE}(?P<what>.+?) (?P<how>[\w-]+) and {_ARTICLE}(?P<what2>.+?) (?P<how2>[\w-]+)",
     _both_changed),
    (rf"(?:{MAKE}) {_ARTICLE}(?!(?:it|him|them|this) )(?P<what>.+?) {_A_BIT}(?P<how>[\w-]+)", _changed),
    (r"zoom out(?: [\d.]+x)?|wide shot", lambda match, slots: "+wide shot"),
    (r"zoom in(?: on .+)?|closer|close[- ]up", lambda match, slots: "+close-up"),
    (r"(?:put|move|place) (?:it|him|her|them|this) (?P<where>(?:in|on|at|under|near|by|into|onto) .+)",
     lambda match, slots: f"| environment: {match['where']}"),
    (rf"{_ARTICLE}(?P<what>.+?) (?:should|must) be (?P<how>[\w-]+)", _changed),
    (rf"{_A_BIT}(?:{MORE}) (?!than )(?P<what>.+)", _more_of),
    (rf"{_A_BIT}(?:{LESS}) (?P<what>.+)", _less_of),
    (r"(?:but )?in (?:an? |the )?(?:style of )(?P<style>.+)", _style),
    (r"(?:but )?in (?:an? |the )?(?P<style>.+) style", _style),
    (rf"(?:but )?(?:in|as) (?P<style>{MEDIA})", _style),
    (rf"(?:{AS}) {_ARTICLE}(?P<style>(?:[\w-]+ )?(?:{ART})|\w+gemälde|{MEDIUM})", _style),
    (rf"(?:{AS}) (?!an? |eine? |une? |before|usual|is\b|it\b)(?P<style>.+)", _style),
    (rf"put {_ARTICLE}(?P<term>.+?) (?:back(?: on)?|on (?:it|him|her|them|{_ANY_ARTICLE})(?: .+)?)", _add),
    (rf"(?:(?:but )?with|but|also|and|{ADD}) (?!to ){_ARTICLE}(?P<term>.+?)(?: hinzu| toe)?", _add),
    (rf"(?:at|by) night|{AT_NIGHT}|(?:{WHERE}) {_ARTICLE}(?!style)\w.+",
     lambda match, slots: f"| environment: +{match[0]}"),
    (r"(?:加上?|添加)(?:一[顶个只条件双副])?(?P<term>.+)", _add),
    (rf"(?:{_A_BIT}{COMPARATIVE}|(?:as|like) an? .+)", lambda match, slots: f"+{match[0]}"),
    (rf"(?:{NOT_TOO}) (?P<term>\w+)", lambda match, slots: f"--no {match['term']}"),
    (rf"(?:replace |swap |change )?{_ARROW}", _swap),
    (rf"(?:{REPLACE}) {_ARTICLE}(?P<old>.+?) (?:{INTO}) {_ARTICLE}(?P<new>.+)", _swap),
    (r"s/(?P<old>[^/]+)/(?P<new>[^/]+)/?g?", _exactly),
    (rf"(?P<slot>{_SLOTS}) (?P<terms>\w.*)", lambda match, slots: f"| {match['slot']}: {match['terms']}"),
    (rf"(?:i {_DO_NOT} (?:like|want)|sin) {_ARTICLE}(?P<term>.+)", _remove_if_there),
    (rf"(?:{NO}|{REMOVE}|{_DO_NOT} (?:draw|show|include|add|want)) (?!before ){_ARTICLE}(?P<term>.+)",
     _remove_or_leave_out),
    (rf"{_ARTICLE}(?P<term>.+) (?:weglassen|entfernen|wegmachen)", _remove_or_leave_out),
    (rf"(?:{TAKE}) {_ARTICLE}(?P<term>.+) (?:{AWAY})", _remove_or_leave_out),
    # "drop of water" is a picture.
    (rf"(?:drop|lose|ditch|clear|erase) (?:(?:the|his|her|its|their|that) |(?=(?:{_SLOTS})$))(?P<term>.+)",
     _remove),
)  # fmt: skip


def _compiled(table: Iterable[tuple[str, Reader]]) -> tuple[tuple[re.Pattern[str], Reader], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in table)


_READERS, _READERS_OF_WHOLE = _compiled(_WISHES), _compiled(_WHOLE)
