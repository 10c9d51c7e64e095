"""Which command a message is. Knows the two command words and their near misses, not what follows them."""

import re
from dataclasses import dataclass

from .mentions import names_for_mentions
from .phones import as_seen
from .sentences import brief

COMMAND_WORDS = ("draw", "easel")

# Behind the word: white space, or a sign that starts the words for a picture, as in `!draw(otter)++`. A full stop or a
# hyphen makes another bot's command of it.
_COMMAND = re.compile(
    r"""\\?[!！]{1,3}\s{0,2}(?P<word>draw|easel)\b(?:[.,:：?!]?(?=\s|$)|[:：]|(?=[(\[{"“„@—–]|--))(?P<rest>.*)""",
    re.IGNORECASE | re.DOTALL,
)
# A name and its colon before the command, as clients put them for a mention.
_ADDRESS = re.compile(
    r"(?P<name>[^\s!][^\n!]{0,79}?)[:,]?\s{1,8}+(?=\\?[!！]{1,3}\s{0,2}(?:draw|easel)\b)", re.IGNORECASE
)
_NEAR_MISS = re.compile(
    r"(?P<sign>[!！/.?¡])\s?(?P<word>[a-z]{2,7})[.,:]?(?=\s|$)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_NAME = re.compile(r"@? ?easel(?::|\s|$)", re.IGNORECASE)
# `!easel draw otter`
_DRAW_BEHIND = re.compile(r"!?draw\b[.,:]?(?P<rest>\s.*)", re.IGNORECASE | re.DOTALL)
_MARKS = ("```", "**", "__", "`", "*", "_")
_MARKED_WORD = re.compile(r"(?P<mark>\*\*|`|\*|_)(?P<word>!(?:draw|easel))(?P=mark)(?=\s|$)", re.IGNORECASE)
# `!draw me an otter`
_ME = re.compile(r"me (?=(?:an?|the|some|another|two|three|four|\d) )", re.IGNORECASE)
# Slips that are no words: `!drew` may be another bot's.
_SLIPS = {"drow", "driw", "druw", "drsw", "drqw", "drzw"}
# What there is help on, beside the overview.
HELP_TOPICS = (
    "commands",
    "flags",
    "draw",
    "slots",
    "weights",
    "gestures",
    "replies",
    "photos",
    "lists",
    "style",
    "find",
)
_HELP = re.compile(
    rf"(?:--?)?(?:help|h|\?+)[.!?]*|help me[.!?]*|help (?P<topic>{'|'.join(HELP_TOPICS)})", re.IGNORECASE
)
# The end of a sentence, which phones add.
_STOPS = ".,:;!?"


@dataclass(frozen=True)
class DrawCommand:
    """``!draw``. ``text`` is the visible text behind it; a bare ``!draw`` has "" and asks for help."""

    text: str


@dataclass(frozen=True)
class EaselCommand:
    """``!easel``. ``words`` are the words behind it, the first in lower case; a bare ``!easel`` has ``("help",)``."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class NearMiss:
    """A message that begins almost like a command. ``meant`` is the command, with what follows it."""

    meant: str


Command = DrawCommand | EaselCommand | NearMiss


def read_command(body: str, *, is_mentioned: bool = False) -> Command | None:
    """The command that a message is, or None. ``is_mentioned``: the message mentions the bot.

    Phones capitalise first words, turn two spaces into ". " and end lines at will, so ``!Draw. ``, white space
    before the command, and a newline right behind it are all fine; ``!drawing`` is another bot's.
    """
    seen = names_for_mentions(as_seen(body)).strip()
    seen = _unmarked(seen)
    if (address := _ADDRESS.match(seen)) and (is_mentioned or _NAME.match(address["name"])):
        seen = seen[address.end() :]
    match = _COMMAND.match(seen)
    if not match:
        return _near_miss(seen)
    rest = match["rest"].strip()
    if match["word"].lower() == "draw":
        return _draw_command(rest)
    if (drawing := _DRAW_BEHIND.match(rest)) and drawing["rest"].strip():
        return _draw_command(drawing["rest"].strip())
    first, *others = rest.lstrip("-").split() or ["help"]
    return EaselCommand((first.lower().rstrip(_STOPS) or "help", *others))


def _unmarked(text: str) -> str:
    """The text without a chat's marks around all of it, or around the command's word."""
    if word := _MARKED_WORD.match(text):
        return f"{word['word']}{text[word.end() :]}"
    for mark in _MARKS:
        inside = text[len(mark) : -len(mark)].lstrip("\n")
        if text.startswith(mark) and text.endswith(mark) and inside.startswith("!"):
            return inside
    return text


def _draw_command(text: str) -> Command:
    while again := _COMMAND.match(text):
        if again["word"].lower() != "draw":
            break
        text = again["rest"].strip()
    if asked := _HELP.fullmatch(text):
        return EaselCommand(("help", (asked["topic"] or "draw").lower()))
    if me := _ME.match(text):
        text = text[me.end() :]
    return DrawCommand(text)


def _near_miss(text: str) -> NearMiss | None:
    match = _NEAR_MISS.match(text)
    if match is None:
        return None
    typed = match["word"].lower()
    for word in COMMAND_WORDS:
        if (typed == word and match["sign"] not in "!！") or is_slip(typed, word):
            return NearMiss(f"!{word} {brief(match['rest'][:200])}".rstrip())
    return None


def is_slip(typed: str, word: str) -> bool:
    """Whether a word was meant but its letters were mixed up, or one of them missed, doubled or hit wrongly.

    A longer word, such as ``drawn`` or ``easels``, may be another bot's command.
    """
    if typed == word or abs(len(typed) - len(word)) > 1:
        return False
    if word == "draw" and typed in _SLIPS:
        return True
    if len(typed) == len(word):
        wrong = [at for at, (one, other) in enumerate(zip(typed, word, strict=True)) if one != other]
        is_mixed_up = typed[0] == word[0] and sorted(typed) == sorted(word)
        return is_mixed_up or (len(wrong) == 1 and len(word) > 4)
    if len(typed) < len(word):
        return any(word[:at] + word[at + 1 :] == typed for at in range(len(word)))
    return any(word[:at] + word[at - 1] + word[at:] == typed for at in range(1, len(word) + 1))
