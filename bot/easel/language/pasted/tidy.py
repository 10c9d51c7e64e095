"""Takes a chat's marks off a pasted text: quote marks, emphasis, bullets, headings. Knows no labels' meaning."""

import re

from ..nesting import bracket_pairs
from ..request import SLOTS
from ..sentences import quoted

_QUOTE_MARK = re.compile(r"^[ \t]*+(?:>[ \t]?+)++", re.MULTILINE)
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]+)\*\*")
_ITALIC = re.compile(r"(?<![\w*)])\*(?=[^\s*])([^*\n]+)\*(?![\w*])|(?<![\w_])_(?=[^\W_])([^_\n]+)_(?![\w_])")
# What a page's source has.
_LINE_BREAK = re.compile(r"<br */?>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|i|em|strong|u|p|code|span)>", re.IGNORECASE)
_CODE = re.compile(r"(?<!`)`(?!`)([^`\n]+)`(?!`)")
# Emphasis of a label, with its colon inside or outside.
_LABEL_MARKS = re.compile(
    r"^[ \t]*+(?:#{1,6}[ \t]++)?[*_]{1,3}(?P<label>[^\W\d_](?:[^\W_]|[ _](?=[^\W_])){0,30})"
    r"(?::[*_]{1,3}|[*_]{1,3}[ \t]?:)[ \t]*+",
    re.MULTILINE,
)
_HASHES = re.compile(r"^[ \t]*+#{1,6}[ \t]++(?=[^\W\d_][\w ]{0,30}:?[ \t]*$)", re.MULTILINE)
_FIRST_HASHES = re.compile(r"\A[ \t]*+#{1,6}[ \t]++(?=[^\W\d_])")
_BULLET = re.compile(r"^[ \t]*+(?:[-*•‣◦▪–—]|\d{1,2}[.)])[ \t]++(?=\S)", re.MULTILINE)
_HEADING = re.compile(
    r"^[ \t]*+(?:parameters|png info|(?:generation|image|prompt) (?:data|parameters|info|information|details|settings)"
    r"|metadata|info|settings|details|recipe)[ \t]*+:?[ \t]*+(?:\n|\Z)|\A[ \t]*+parameters[ \t]*+:[ \t]*+",
    re.MULTILINE | re.IGNORECASE,
)
# A label on a line of its own names the next line.
_LABEL_ALONE = re.compile(
    rf"^[ \t]*+(?P<label>(?:positive[ ]|negative[ ])?prompt|negatives?|undesired content|{'|'.join(SLOTS)})[ \t]*+:?"
    r"[ \t]*+\n[ \t\n]*+(?=\S)(?![^\W\d_][\w -]{0,30}:)(?!(?:positive |negative )?prompt\s)",
    re.MULTILINE | re.IGNORECASE,
)
# JSON without its quotes.
_BRACED = re.compile(r"\s*+\{\s*+(?=(?:positive[ _-]?)?prompt[ \t]*+:)", re.IGNORECASE)

# A setting without its colon: a term of only a name and a number, or a dash between them; `20 steps`; `(seed 7)`.
_SETTING_NAMES = "seed|steps|cfg(?:[ _-]?scale)?|(?:denoising[ _-]?)?strength"
_WITHOUT_COLON = re.compile(
    rf"(?:^|(?<=[,;\n|]))(?P<gap>[ \t]*+)(?P<name>{_SETTING_NAMES})"
    r"[ \t]++(?:[-–—][ \t]++)?(?P<value>-?\d[\d.]*+%?)[ \t]*+(?=$|[,;\n|])",
    re.IGNORECASE,
)
_NUMBERED = re.compile(rf"(?:{_SETTING_NAMES})[ \t]*+:?[ \t]*+\d", re.IGNORECASE)
_STEPS = re.compile(
    r"(?:^|(?<=[,;\n|]))(?P<gap>[ \t]*+)(?P<value>\d{1,3})[ \t]++steps[ \t]*+(?=$|[,;\n|])", re.IGNORECASE
)
_IN_BRACKETS = re.compile(rf"(?<=\w)[ \t]*+\((?P<name>{_SETTING_NAMES})[ \t]++(?P<value>\d[\d.]*+)\)", re.IGNORECASE)
# Settings without a sign, as the last words of a text.
_LAST_WORDS = re.compile(
    r"(?<=[^\s,|:=-])(?:[ \t]++(?:seed|steps|cfg(?:[ _-]?scale)?|strength)[ \t]++\d[\d.]*+){1,3}\s*+\Z", re.IGNORECASE
)
_LAST_WORD = re.compile(r"[ \t]++(?P<name>[a-z]++(?:[ _-]?scale)?)[ \t]++(?P<value>\d[\d.]*+)", re.IGNORECASE)
# Words to leave out may hold anything.
_NEGATIVE = re.compile("negative|--no", re.IGNORECASE)
# A size or a shape without a name: a term by itself, or a size as the last word of plain words.
_RATIOS = "1:1|3:2|2:3|4:3|3:4|16:9|9:16|21:9|5:4|4:5"
_SIZE = r"(?P<width>\d{3,4})[ ]?[x×][ ]?(?P<height>\d{3,4})(?:px)?"
_LONE_SIZE = re.compile(
    rf"(?:^|(?<=[,\n|]))[ \t]*+(?:(?:size|resolution)[ \t]++)?{_SIZE}[ \t]*+(?=$|[,\n|])", re.MULTILINE | re.IGNORECASE
)
_LAST_SIZE = re.compile(rf"(?P<words>[^:=—|\n]*?[\w)])[ \t]+(?:(?:in|at|size)[ \t]+)?\(?{_SIZE}\)?\s*+\Z")
_LONE_RATIO = re.compile(
    rf"(?:^|(?<=[,\n|]))[ \t]*+(?:(?:ar|aspect[ _-]?ratio)[ \t]++)?(?P<ratio>{_RATIOS})[ \t]*+(?=$|[,\n|])",
    re.IGNORECASE,
)
_LONE_SHAPE = re.compile(
    r"(?:^|(?<=[,\n|]))[ \t]*+(?:in )?(?P<shape>portrait|landscape|square)[ \t]++(?:format|orientation)[ \t]*+"
    r"(?=$|[,\n|])",
    re.IGNORECASE | re.MULTILINE,
)
_LAST_RATIO = re.compile(
    rf"(?P<words>[^:=—|\n]*?[\w)])[ \t]+(?:(?:in|at|ar|aspect ratio)[ \t]+)?(?P<ratio>{_RATIOS})\s*+\Z", re.IGNORECASE
)
# `| style ink` and `/ style ink`
_BARE_SLOT = re.compile(rf"(?:[ \t]/|\|)[ \t]*+(?P<slot>{'|'.join(SLOTS[1:])})[ \t]++(?=[^\W\d_])", re.IGNORECASE)
# YAML's lines around a document.
_DOCUMENT = re.compile(r"\A---[ \t]*+\n|\n(?:---|\.\.\.)[ \t]*+\Z")
# AI Horde's sign before what should not be there.
_HORDE = re.compile(r"(?<=[^\s#])[ \t]*+###[ \t]*+(?=[^\s#])")
# The prompt's label behind other words of its line.
_PROMPT_BEHIND = re.compile(
    r"^(?P<before>[^:\n|]{1,80}:(?:[ \t]*+\d[\d.]*+)?)[,;]?[ \t]++(?=prompt[ \t]*+:)", re.IGNORECASE | re.MULTILINE
)
# `Sure! Here's your prompt:`
_TALK_BEFORE = re.compile(
    r"\A\s*+(?P<said>(?:sure|certainly|of course|absolutely|here(?:[’']s| is| are))\b[^\n]{0,200}:)[ \t*]*+\n\s*+",
    re.IGNORECASE,
)
_IN_QUOTES = re.compile(r"\A[\"“](?P<words>[^\"“”\n]++)[\"”](?=[ \t]*+(?:\n|\Z))")
_TALK_BEHIND = re.compile(
    r"\n[ \t]*+\n\s*+(?P<said>(?:let me know|would you like|do you want|feel free|i hope|if you(?:[’']d)? (?:want|like)"
    r")\b[^\n]*+)\s*+\Z",
    re.IGNORECASE,
)
# Behind a line of Midjourney: who asked for it, and how fast.
_ASKED_BY = re.compile(
    r"(?<=[^ \t])[ \t]++-[ \t]++(?:<?@[^\s()]{1,80}|(?:image|upscaled|variations)\b[^\n()]{0,80})"
    r"(?:[ \t]*+\((?:fast|relaxed|turbo|stealth)[^)\n]{0,40}\))?[ \t]*+$",
    re.IGNORECASE | re.MULTILINE,
)


def without_sender(text: str) -> str:
    """The text without the person that Midjourney names behind a line."""
    return _ASKED_BY.sub("", text) if "--" in text or "—" in text else text


def without_talk(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without what a language model says around its prompt, and that."""
    if not (before := _TALK_BEFORE.match(text)):
        return text, ()
    behind = _TALK_BEHIND.search(text, before.end())
    said = (before["said"], behind["said"]) if behind else (before["said"],)
    prompt = text[before.end() : behind.start() if behind else len(text)]
    return _IN_QUOTES.sub(r"\g<words>", prompt), tuple(map(quoted, said))


def without_document_marks(text: str) -> str:
    """The text without the lines of hyphens that YAML puts around a document."""
    return _DOCUMENT.sub("", text)


def without_quote_marks(text: str) -> str:
    """The text without the marks of a quoted message, and with its indentation."""
    return _QUOTE_MARK.sub("", text)


def without_marks(text: str, *, is_reply: bool) -> str:
    """The text without the marks. In a reply a hyphen at a line's start takes something away, and stays."""
    if ">" in text:
        text = _TAG.sub("", _LINE_BREAK.sub("\n", without_quote_marks(text)))
    if "*" in text or "_" in text:
        text = _LABEL_MARKS.sub(lambda match: f"{match['label']}: ", text)
        text = _ITALIC.sub(r"\1\2", _BOLD.sub(r"\1", text))
    if "`" in text:
        text = _CODE.sub(r"\1", text)
    if not is_reply:
        text = _BULLET.sub("", text)
    text = _FIRST_HASHES.sub("", _HASHES.sub("", text))
    if "###" in text:
        text = _HORDE.sub("\nnegative prompt: ", text, count=1)
    if " // " in text:
        text = text.replace(" // ", " | ")
    text = _BARE_SLOT.sub(r" | \g<slot>: ", text)
    text = _PROMPT_BEHIND.sub(r"\g<before>\n", text)
    text = _HEADING.sub("", text)
    if "\n" in text:
        text = _LABEL_ALONE.sub(_label_before_line, text)
    if not _NEGATIVE.search(text):
        # Among other settings they are one more; a flag may stand anywhere else.
        sign = ("", ": ") if _NUMBERED.search(text) else ("--", " ")
        text = _LONE_SIZE.sub(rf" {sign[0]}size{sign[1]}\g<width>x\g<height> ", text)
        text = _LONE_RATIO.sub(rf" {sign[0]}ar{sign[1]}\g<ratio> ", text)
        text = _LONE_SHAPE.sub(rf" {sign[0]}size{sign[1]}\g<shape> ", text)
        if "--" not in text and (last := _LAST_SIZE.match(text)):
            text = f"{last['words']} --size {last['width']}x{last['height']}"
        elif "--" not in text and (last := _LAST_RATIO.match(text)):
            text = f"{last['words']} --ar {last['ratio']}"
        text = _STEPS.sub(r"\g<gap>steps: \g<value>", _IN_BRACKETS.sub(r", \g<name>: \g<value>", text))
    text = _WITHOUT_COLON.sub(r"\g<gap>\g<name>: \g<value>", text)
    return _LAST_WORDS.sub(lambda words: _LAST_WORD.sub(r", \g<name>: \g<value>", words[0]), text)


def _label_before_line(match: re.Match[str]) -> str:
    """A label on the line that it names. Below that of a negative prompt there may be more lines."""
    is_list = match["label"].lower().startswith(("negative", "undesired"))
    return f"{match['label']}:{chr(10) if is_list else ' '}"


def without_braces(text: str) -> str:
    """The text without braces around an object whose keys have no quotes."""
    if not (opening := _BRACED.match(text)):
        return text
    start = text.index("{")
    closing = next((end for begin, end in bracket_pairs(text) if begin == start), None)
    return text if closing is None else f"{text[opening.end() : closing].rstrip(' ,')}\n{text[closing + 1 :]}".strip()
