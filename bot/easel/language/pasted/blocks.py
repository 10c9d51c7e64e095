"""Blocks and labels: a prompt, ``Negative prompt: …``, and settings, in any order, spelling and layout.

A1111 and its kin put such a block under a picture; people type its labels. Every pattern takes linear time.
"""

import re
from dataclasses import dataclass, field
from itertools import takewhile

from ..chat import BEFORE_SLOT
from ..flags import find_slot
from ..labels import NEGATIVE, PROMPT, field_called, pattern_of
from ..nesting import split_outside
from ..request import SLOTS, DrawRequest, Slots
from ..sentences import ParseError, quoted
from ..typed_flags import first_flag
from ..values import has_no_terms
from ..weights import read_terms, to_compel
from .found import Pasted
from .settings import Settings

_PROMPT = re.compile(
    r"^[ \t]*+(?:(?:/?imagine[ \t]++)?(?:(?:full|positive)[ _-]?)?prompts?[\"']?(?:[ \t]*+[:=]|[ \t]++[-–—](?=[ \t]))"
    r"|positive[ \t]*+:|/imagine(?=\s))[ \t]*+",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"(?:^|(?<=[\s,;.|(*\[{]))(?:negative[ _-]?prompts?|neg\.?[ _-]?prompts?|undesired[ _-]content|neg|negatives"
    r"|negative(?==))[\"']?[ \t]*+(?:\([^()\n:]{1,40}\)[ \t]*+)?[:=][ \t]*+"
    rf"|(?:^|(?<=[,;.|/\[(])[ \t]*+)(?:{pattern_of(NEGATIVE)})[ \t]*+[:=][ \t]*+"
    r"|(?<=\s)(?:反向提示词|负面提示词|负向提示词|ネガティブプロンプト)[ \t]*+[:=][ \t]*+"
    r"|^[ \t]*+(?:negative[ _-]?prompts?|negatives?|neg|exclude|avoid|don't include)[ \t]++[-–—][ \t]++",
    re.IGNORECASE,
)
_SETTING = re.compile(
    rf"(?:^|(?<=[\s,;|([{{]))(?:(?:{pattern_of('steps', 'seed', 'guidance_scale', 'width', 'height', 'strength')})"
    r"[ \t]*+[:=][ \t]*+[\"']?(?=-?[\d.,]*\d)"
    rf"|(?:{pattern_of('aspect_ratio')})[ \t]*+[:=][ \t]*+(?=\d[\d.]{{0,5}}[:/xX]\d)"
    rf"|(?:{pattern_of('size')})[ \t]*+[:=][ \t]*+(?=[\"'(\[]{{0,2}}\d{{1,5}}[ \t]*(?:[xX×*]|, ?)[ \t]*\d))",
    re.IGNORECASE,
)
# A setting by its name alone, where others are around.
_NAMED_SETTING = re.compile(
    rf"^[ \t]*+(?P<key>{pattern_of('sampler', 'model', 'theme', 'tier')})[ \t]*+[:=]", re.IGNORECASE
)
_BAR_BEFORE_SETTING = re.compile(
    rf"\|[ \t]*+(?=(?:{pattern_of('steps', 'seed', 'guidance_scale', 'size', 'sampler', 'model')})[ \t]*+[:=])",
    re.IGNORECASE,
)
# Somebody typed it: a block has no slots.
_BAR_AND_SLOT = re.compile(rf"\|[ \t]*+(?:{'|'.join(SLOTS)})[ \t]*+[:=]", re.IGNORECASE)
# In a reply, more settings than a person types are a program's block, which takes the picture's place.
MAX_TYPED_SETTINGS = 2
_SIGN = re.compile(r"\s*+[+-](?!-)")
# Keys of a recipe that no flag is called by.
_TYPED_KEYS = {"image", "theme"}
_KEY_LINE = re.compile(r"^[ \t]*+(?P<key>[^\W\d_][\w /()+.'#-]{0,60}?)[ \t]*+[:=](?!//)")
_LINK = re.compile(r"\s*+https?://\S++\s*+\Z", re.IGNORECASE)
# Within a prompt that a program wrote, where only our own names are slots.
_OWN_SLOT = re.compile(rf",[ \t]*+(?=(?:{'|'.join(SLOTS[1:])}):[ \t])", re.IGNORECASE)
_A1111_WORDS = re.compile(r"cfg scale|negative prompt|sampler\s*:", re.IGNORECASE)


@dataclass
class _Parts:
    prompt: list[str] = field(default_factory=list)
    negative: list[str] | None = None
    settings: Settings = field(default_factory=Settings)
    chat: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    has_settings: bool = False
    # Whether the negative prompt's label stands alone above its lines.
    is_list: bool = False
    # Whether the prompt has its label.
    has_label: bool = False
    # Whether a line without words parts the settings from what is below them.
    is_over: bool = False
    state: str = PROMPT


def recognise(text: str, *, is_reply: bool = False) -> Pasted | None:
    """Read the block, with the flags, slots and words around it. Raises ParseError.

    In a reply, a setting or two beside words change the picture, as flags do.
    """
    lines = text.split("\n")
    has_settings = any(map(_SETTING.search, lines))
    above = "\n".join(takewhile(lambda line: not _SETTING.match(line), lines))
    has_prompt = any(_PROMPT.match(line) for line in lines)
    has_negative = any(_NEGATIVE.search(line) for line in lines)
    if not (has_settings or has_prompt or has_negative):
        return None
    is_block = has_settings and not _BAR_AND_SLOT.search(above)
    if not (has_prompt or _A1111_WORDS.search(text)):
        is_block = is_block and not BEFORE_SLOT.search(above)
    if is_reply and not has_prompt:
        is_block = is_block and len(_SETTING.findall(text)) + has_negative > MAX_TYPED_SETTINGS
        is_block = is_block and not _SIGN.match(text)
    parts = _Parts()
    if has_prompt and not _PROMPT.match(text):
        parts.state = "prose"
    settings_left = sum(bool(_SETTING.search(line)) for line in lines)
    for line in lines:
        if has_settings and "|" in line:
            line = _BAR_BEFORE_SETTING.sub(", ", line)
        settings_left -= bool(_SETTING.search(line))
        _read_line(line, parts, has_block=has_settings, has_settings_below=settings_left > 0)
    weighs = is_block and (not has_prompt or bool(_A1111_WORDS.search(text)))
    return _joined(parts, weighs=weighs, is_block=is_block, has_prompt=has_prompt)


def _read_line(line: str, parts: _Parts, *, has_block: bool, has_settings_below: bool) -> None:
    """Cut a line at its labels, and put each piece where it belongs."""
    label = _PROMPT.match(line)
    if label:
        if parts.prompt and any(map(str.strip, parts.prompt)):
            raise ParseError("“prompt” is there twice. Keep one of them.")
        parts.state, parts.has_label, line = PROMPT, True, line[label.end() :]
    negative, setting = _NEGATIVE.search(line), _SETTING.search(line)
    if has_block and (named := (_KEY_LINE if parts.has_settings else _NAMED_SETTING).match(line)):
        # The whole line: in `Hires steps: 10` no setting begins at "steps".
        is_other = find_slot(named["key"].strip()) or (negative and negative.start() <= named.start())
        setting = None if is_other else named
    cuts = sorted(
        (found.start(), found.end(), kind) for found, kind in ((negative, NEGATIVE), (setting, "settings")) if found
    )
    head = line[: cuts[0][0]] if cuts else line
    head = head.rstrip(" \t,;|/.") if cuts else head
    if cuts and head.endswith(("(", "[")) and line.rstrip().endswith((")", "]")):
        # In brackets of its own.
        head, line = head[:-1].rstrip(" \t,;."), line.rstrip()[:-1]
    if head.strip() or not cuts:
        _place(head, parts, has_block=has_block, has_settings_below=has_settings_below)
    for (start, end, kind), following in zip(cuts, [*cuts, (len(line), 0, "")][1:], strict=True):
        if kind == NEGATIVE:
            is_cut = following[2] == "settings"
            _start_negative(line[end : following[0]], parts, is_cut=is_cut, has_settings=has_settings_below or is_cut)
        else:
            _add_settings(line[start : following[0]], parts)


def _start_negative(text: str, parts: _Parts, *, is_cut: bool, has_settings: bool) -> None:
    if parts.negative is not None and any(map(str.strip, parts.negative)):
        raise ParseError("“Negative prompt” is there twice. Keep one of them.")
    # In a block a bar is one of its words.
    at = _end_of_words(text, bar="" if has_settings else "|")
    parts.negative, parts.state = [text[:at].rstrip(" \t,;.") if is_cut else text[:at]], NEGATIVE
    parts.is_list = not text.strip() and bool("".join(parts.prompt).strip())
    if text[at:].strip():
        parts.chat.append(text[at:])
        parts.state = "below"


def _add_settings(text: str, parts: _Parts) -> None:
    at = _end_of_words(text)
    parts.settings.read_line(text[:at])
    parts.state, parts.has_settings = "settings", True
    if text[at:].strip():
        parts.chat.append(text[at:])


def _end_of_words(text: str, *, bar: str = "|") -> int:
    """Where a text ends before a flag or a bar."""
    flag, at_bar = first_flag(text), text.find(bar) if bar else -1
    return min((at for at in (flag, at_bar) if at is not None and at >= 0), default=len(text))


def _place(text: str, parts: _Parts, *, has_block: bool, has_settings_below: bool) -> None:
    """Put a piece without a label where the lines before it lead."""
    key = _KEY_LINE.match(text)
    is_list = key and text[key.end() :].lstrip().startswith(("['", '["'))
    if key and not is_list and (find_slot(key["key"].strip()) or key["key"].strip().lower() == "no"):
        parts.chat.append(text)
    elif key and parts.prompt and _is_setting(key["key"].strip(), parts, has_settings_below=has_settings_below):
        parts.settings.read_line(text)
    elif parts.state == "prose" or (parts.has_settings and _LINK.match(text)):
        parts.prose.append(text)
    elif parts.state == NEGATIVE and has_settings_below and text.strip() and _is_prompt_missing(parts):
        parts.prompt.append(text)
        parts.state = PROMPT
    elif parts.state == NEGATIVE and parts.negative is not None:
        is_open = has_settings_below or not "".join(parts.negative).strip() or parts.negative[-1].rstrip().endswith(",")
        if (is_open or (parts.is_list and text.strip())) and first_flag(text) is None:
            parts.negative.append(text.removeprefix("- ") if parts.is_list else text)
        elif text.strip():
            parts.chat.append(text)
            parts.state = "below"
        elif parts.is_list:
            parts.state = "below"
    elif parts.state == PROMPT:
        parts.prompt.append(text)
    elif key and first_flag(text) is None and "|" not in text:
        parts.settings.read_line(text)
    elif text.strip():
        is_chat = not parts.is_over or first_flag(text) is not None or "|" in text
        (parts.chat if is_chat else parts.prose).append(text)
    elif parts.state == "settings":
        parts.is_over = True


def _is_prompt_missing(parts: _Parts) -> bool:
    """Whether the negative prompt came first, and is whole."""
    negative = "".join(parts.negative or ()).rstrip()
    return not "".join(parts.prompt).strip() and negative != "" and not negative.endswith(",")


def _is_setting(key: str, parts: _Parts, *, has_settings_below: bool) -> bool:
    """Whether a line below the prompt is a setting: by its key, or between a labelled prompt and settings."""
    field = field_called(key)
    if field in _TYPED_KEYS or not has_settings_below:
        return field in _TYPED_KEYS
    return field not in (None, PROMPT, NEGATIVE) or (parts.has_label and " " not in key)


def _joined(parts: _Parts, *, weighs: bool, is_block: bool, has_prompt: bool) -> Pasted:
    prompt = "\n".join(parts.prompt)
    fields = parts.settings.request_fields()
    unused = (*parts.settings.unused, *(quoted(line) for line in parts.prose if line.strip()))
    lines = parts.negative or ()
    typed = " ".join(lines).strip(" ,")
    if parts.is_list:
        typed = ", ".join(line.strip(" \t,;") for line in lines if line.strip())
    # An empty one is meant in a block; on a line of its own it waits for its words.
    if parts.negative is not None and (typed or is_block) and typed not in ("null", "~"):
        typed = "" if is_block and has_no_terms("negative", typed) else typed
        fields[NEGATIVE] = " ".join(to_compel(_unwrapped(typed), bare_brackets_weigh=weighs).split())
    if not is_block:
        # Chat with a label in it: its slots and flags are read as ever.
        request = DrawRequest(unused=unused, pasted=tuple(fields), **fields)
        words = f"subject: {_unwrapped(prompt)}" if has_prompt else prompt
        words = ", ".join(filter(str.strip, (words, *parts.settings.words)))
        return Pasted(request, "\n".join([words, *parts.settings.slots, *parts.chat]).strip(), takes_words=True)
    if first_flag(prompt) is not None:
        raise ParseError("There's a flag in the pasted prompt. Put flags on a line of their own, below the block.")
    subject, *labelled = split_outside(_unwrapped(prompt), _OWN_SLOT)
    terms = read_terms(to_compel(subject, bare_brackets_weigh=weighs))
    slots = {
        label.lower(): read_terms(to_compel(words, bare_brackets_weigh=weighs))
        for label, _, words in (text.partition(":") for text in labelled)
    }
    request = DrawRequest(slots=Slots(subject=terms, **slots), unused=unused, pasted=(*fields, "slots"), **fields)
    return Pasted(request, "\n".join([*parts.settings.slots, *parts.chat, *parts.settings.words]), takes_words=True)


def _unwrapped(text: str) -> str:
    """A text without the quotes or brackets around all of it, as YAML and JSON have them."""
    bare = text.strip().rstrip(",")
    for opening, closing in ('""', "''", "[]"):
        if (
            len(bare) > 1
            and bare[0] == opening
            and bare[-1] == closing
            and bare.count(opening) + bare.count(closing) in (2, 4)
        ):
            inside = bare[1:-1]
            if opening not in inside and closing not in inside:
                return inside.strip()
    return text
