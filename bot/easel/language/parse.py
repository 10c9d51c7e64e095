"""Reads a ``!draw``: what was pasted with it, then its flags and slots. Knows the forms by name only."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType

from .chat import needs_picture, parse_changes, read_chat, without_prose
from .lists import MAX_PICTURES, Cell, expand
from .pasted import (
    Pasted,
    meant_text,
    plain_text,
    recognised,
    without_document_marks,
    without_sender,
    without_table,
    without_talk,
)
from .phones import as_seen
from .recipes import read_recipe
from .refine import refined
from .reply_phrases import QUESTION, in_signs
from .request import SLOTS, Asked, DrawRequest, Slots
from .sentences import ParseError, brief, quoted
from .small_words import FOREIGN_NO, FOREIGN_WITHOUT
from .structured import read_yaml
from .styles import with_styles
from .typed_flags import with_names_quoted
from .weights import without_loras
from .wishes import ABOUT_A_PICTURE

# A recipe with the longest prompts and all its facts is below 8,000; Matrix itself takes 64 KiB.
MAX_MESSAGE_CHARS = 16_000

# All texts of a sheet, each with the recipe that it changes: more than nine of the longest recipes, and as much as is
# parsed within a second.
MAX_SHEET_CHARS = 100_000

# `no hat` as a term of its own or as the end of one. In quotes it is drawn.
_NAME = r"(?!an? |the )[\w-]+(?: [\w-]+)?"
_NO = r"no|without(?: any)?|(?:do not|don['’]?t) (?:draw|show|include|add)"
_NO += rf"|{FOREIGN_NO}|sin(?! city)"
_UNWANTED = re.compile(
    rf"(?:(?:please )?(?:{_NO})|(?P<rest>.+?)(?: with no| without(?: any)?| (?:{FOREIGN_WITHOUT})"
    rf"|[.!;] (?:please )?(?:avoid|{_NO}))) "
    rf"(?P<what>{_NAME}?)(?:,? (?:and|or)(?: no| without)? (?P<what2>{_NAME}?))?(?: please)?[.!]?",
    re.IGNORECASE,
)

# `{red, blue}`, or a brace without its partner.
_COMMA_LIST = re.compile(r"\{[^{}|,]*+,[^{}|]*+\}")

# Not of a picture, which may be of any question.
_QUESTION = re.compile(
    r"(?:how (?:do|can) (?:i|we|you)|what (?:can|do) you|what(?:[’']s| is| was) the (?:seed|size|model|prompt)"
    r"|which models?)\b.*\?",
    re.IGNORECASE,
)
# The command of another bot.
_OTHERS_COMMAND = re.compile(r"\A\s*[!/](?:imagine|dream|draw|paint|generate)\s+(?=\S)", re.IGNORECASE)
_IN_QUOTES = re.compile(r"\A\s*+\"(?P<text>[^\"]++)\"\s*+\Z")
# `otter x4`
_TIMES = re.compile(r"(?<=\w)[ \t]+[x×](?P<count>[2-9])\s*\Z")

NOTHING_LEFT = "That would leave nothing to draw. Say what to draw in its place, such as !draw owl."
NOTHING_TO_DRAW = "There's nothing to draw yet. Say what you want to see, such as !draw otter."


def parse_all(
    text: str,
    *,
    recipe: str | DrawRequest | None = None,
    styles: Mapping[str, str] = MappingProxyType({}),
    names: Collection[str] = (),
) -> Asked:
    """Read the text behind ``!draw``: a request per combination of its lists, with ``styles`` for their ``@names``.

    ``recipe`` is the file that the message replies to, or a request that is not drawn yet; ``names`` are those of
    models and samplers. Raises ParseError.
    """
    check_length(text)
    text = _TIMES.sub(r" -n \g<count>", _OTHERS_COMMAND.sub("", without_sender(text)))
    found = expand(with_names_quoted(text, names), names=names)
    earlier = _recipe(recipe)
    texts = _with_styles(found.cells, styles, added_chars=len(recipe) if isinstance(recipe, str) else 0)
    requests = tuple(_with_list_note(_parse(one, earlier)) for one in texts)
    asked = Asked(requests, tuple(cell.headings for cell in found.cells), found.sizes)
    if asked.pictures > MAX_PICTURES:
        raise ParseError(f"That makes {asked.pictures} pictures, and {MAX_PICTURES} is far too many already.")
    return asked


def parse_draw(text: str, *, recipe: str | None = None) -> DrawRequest:
    """Read the text behind ``!draw`` as one request. Raises ParseError, and nothing else.

    ``recipe`` is the file that the message replies to, and the text changes it. A recipe in the text takes its place.
    """
    return _parse(text, _recipe(recipe))


def parse_recipe(text: str) -> DrawRequest:
    """Read the request of a recipe file, also of one that another program or a person wrote. Raises ParseError."""
    check_length(text)
    try:
        return read_recipe(read_yaml(text))
    except ParseError:
        request = _without_layout(as_seen(text))
        if request is None:
            raise
        return request


def _without_layout(text: str) -> DrawRequest | None:
    """The request of a file that a chat or another program changed or wrote, or None if nothing is known of it."""
    try:
        return read_recipe(read_yaml(text))
    except ParseError:
        pasted = recognised(text)
    request = _changed(pasted) if pasted else None
    return request if request and request.slots else None


def check_length(text: str) -> None:
    """Raise ParseError if a text is longer than Easel reads."""
    if len(text) > MAX_MESSAGE_CHARS:
        raise ParseError(f"That's {len(text)} characters. I read up to {MAX_MESSAGE_CHARS}.")


def _recipe(recipe: str | DrawRequest | None) -> Callable[[], DrawRequest] | None:
    """What reads a recipe file, once and only if somebody asks for it."""
    if isinstance(recipe, DrawRequest):
        return lambda: recipe
    return None if recipe is None else cache(partial(parse_recipe, recipe))


def _with_styles(cells: tuple[Cell, ...], styles: Mapping[str, str], *, added_chars: int) -> list[str]:
    """The texts of the cells with ``styles`` for their names; ``added_chars`` are parsed with each of them."""
    texts, chars = [], 0
    for cell in cells:
        texts.append(with_styles(cell.text, styles))
        check_length(texts[-1])
        chars += len(texts[-1]) + added_chars
        if chars > MAX_SHEET_CHARS:
            raise ParseError(f"That's too many words for {len(cells)} pictures. Ask for fewer of either.")
    return texts


def _parse(text: str, recipe: Callable[[], DrawRequest] | None) -> DrawRequest:
    check_length(text)
    if "\n" in text:
        text = _IN_QUOTES.sub(r"\g<text>", text)
    text, said = without_talk(text)
    text, settings = without_table(without_document_marks(text.strip()))
    text, loras = without_loras(text)
    is_reply = recipe is not None
    pasted = recognised(text, is_reply=is_reply)
    if pasted is not None and (recipe is None or pasted.request.slots):
        request = _changed(pasted)
    elif recipe is not None:
        # A reply may hold settings without a prompt, as of another program.
        around = in_signs(pasted.around if pasted else text, recipe, has_settings=pasted is not None)
        changes = parse_changes((meant_text if pasted else plain_text)(around, is_reply=True))
        if pasted:
            changes = replace(changes, request=pasted.request.changed_by(changes.request))
        request = refined(recipe(), changes)
        if not request.slots:
            raise ParseError(NOTHING_LEFT)
    else:
        if ABOUT_A_PICTURE.fullmatch(text):
            raise ParseError(needs_picture(text))
        if _QUESTION.fullmatch(text):
            raise ParseError(QUESTION)
        request = _without_unwanted(read_chat(plain_text(text)).request)
    if not request.slots:
        raise ParseError(NOTHING_TO_DRAW)
    return replace(request, unused=tuple(dict.fromkeys(said + settings + loras + request.unused)))


def _without_unwanted(request: DrawRequest) -> DrawRequest:
    """The request with what terms such as ``no hat`` name, which a model would draw, among what should not be there."""
    gone, kept = list[str](), dict[str, tuple[str, ...]]()
    for slot in SLOTS:
        terms = getattr(request.slots, slot)
        found = [_UNWANTED.fullmatch(term) for term in terms]
        gone += (name for one in found if one for name in one.group("what", "what2") if name)
        rests = (one["rest"] if one else term for one, term in zip(found, terms, strict=True))
        kept[slot] = tuple(rest for rest in rests if rest)
    if not gone or not any(kept.values()):
        return request
    note = f"Left out: {brief(', '.join(gone))}"
    return replace(request, slots=Slots(**kept), no=(*request.no, *gone), notes=(*request.notes, note))


def _with_list_note(request: DrawRequest) -> DrawRequest:
    """The request with how to write a list, if braces stand among the words that are drawn."""
    words = request.slots.joined()
    if not _COMMA_LIST.search(words) and words.count("{") <= words.count("}"):
        return request
    return replace(request, notes=(*request.notes, "A list has bars between its braces: {red | blue}."))


def _changed(pasted: Pasted) -> DrawRequest:
    """The pasted request, changed by the flags and slots around it, with the plain words where they belong."""
    around, prose = meant_text(pasted.around), list[str]()
    if not pasted.takes_words:
        around, prose = without_prose(around)
    changes, request = read_chat(around), pasted.request
    labelled = _without(changes.request.slots.subject, changes.plain)
    words = changes.plain if pasted.takes_words else ()
    subject = (*(labelled or request.slots.subject), *words) if labelled or words else ()
    later = replace(changes.request, slots=replace(changes.request.slots, subject=subject))
    if not pasted.takes_words:
        later = replace(later, unused=(*later.unused, *map(quoted, (*prose, *changes.plain))))
    changed = request.changed_by(later)
    return replace(changed, pasted=(*changed.pasted, "slots")) if words and "slots" in request.pasted else changed


def _without(terms: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The terms but the others, as often as those are there."""
    left = list(terms)
    for term in others:
        left.remove(term)
    return tuple(left)
