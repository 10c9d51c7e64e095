"""The block that A1111 and its kin put under a picture: a prompt, ``Negative prompt: …``, ``Steps: 20, Seed: 1, …``.

Its models and samplers belong to another program and are not passed on; the request's notes list them.
"""

import re
from typing import Any

from . import values
from .chat import first_flag, parse_chat
from .nesting import split_outside
from .request import DrawRequest, Slots
from .sentences import ParseError, brief, shortened
from .weights import read_terms, to_compel

_NEGATIVE = re.compile(r"^Negative prompt:(?P<line>.*)", re.MULTILINE | re.IGNORECASE)
_SETTINGS = re.compile(r"^Steps:[ \t]*\d.*", re.MULTILINE)
_COMMA = re.compile(",")
# These add nothing about the picture to what the other settings describe.
_NOT_LISTED = re.compile(r"version|.*hash(es)?", re.IGNORECASE)


def is_a1111(text: str) -> bool:
    return bool(_NEGATIVE.search(text) or _SETTINGS.search(text))


def parse_a1111(text: str) -> DrawRequest:
    """Read the block, changed by the flags and slots behind it. Raises ParseError."""
    settings = _SETTINGS.search(text)
    if settings is None:
        negative = _NEGATIVE.search(text)
        return _parse_without_settings(text, negative) if negative else parse_chat(text)
    above, below = text[: settings.start()], text[settings.end() :]
    line, flags = _cut_at_flag(settings[0])
    if first_flag(above) is not None:
        raise ParseError("There is a flag in the pasted prompt. Put flags on a line of their own, below the block.")
    prompt, negative_prompt = _split_prompts(above)
    fields, notes = _read_settings(line)
    block = DrawRequest(
        slots=Slots(subject=read_terms(to_compel(prompt, bare_brackets_weigh=True))),
        negative_prompt=negative_prompt,
        notes=notes,
        **fields,
    )
    return block.changed_by(parse_chat(f"{flags}\n{below}"))


def _parse_without_settings(text: str, negative: re.Match[str]) -> DrawRequest:
    """Read chat text that has a line ``Negative prompt: …``."""
    before, line, below = text[: negative.start()], negative["line"], text[negative.end() :]
    terms, flags = _cut_at_flag(line)
    if not terms.strip():
        raise ParseError("“Negative prompt:” needs its words on the same line.")
    block = DrawRequest(negative_prompt=" ".join(to_compel(terms).split()))
    return block.changed_by(parse_chat(f"{before}\n{flags}\n{below}"))


def _cut_at_flag(line: str) -> tuple[str, str]:
    at = first_flag(line)
    return (line, "") if at is None else (line[:at], line[at:])


def _split_prompts(text: str) -> tuple[str, str | None]:
    label = _NEGATIVE.search(text)
    if label is None:
        return text, None
    negative = to_compel(text[label.start("line") :], bare_brackets_weigh=True)
    return text[: label.start()], " ".join(negative.split())


def _read_settings(line: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that mean the same here, and a note that lists the unused settings."""
    fields: dict[str, Any] = {}
    unused = []
    for setting in split_outside(line, _COMMA):
        key, _, value = (part.strip() for part in setting.partition(":"))
        match key:
            case "Steps":
                fields["steps"] = values.whole_number(key, value)
            case "Seed":
                fields["seed"] = values.whole_number(key, value)
            case "CFG scale":
                fields["guidance_scale"] = values.number(key, value)
            case "Size":
                fields["size"] = values.size(key, value)
            case _ if key and not _NOT_LISTED.fullmatch(key):
                unused.append(brief(f"{key} {value}"))
    return fields, (f"Not used of the pasted settings: {', '.join(shortened(unused))}.",) if unused else ()
