"""Reads settings that other programs wrote, ``Steps: 20, Seed: 1`` or JSON, into the fields of a request.

Knows no models and samplers: what cannot be used of them is known later. Pure.
"""

import json
import re
from itertools import pairwise
from typing import Any

from .. import values
from ..labels import NEGATIVE, PROMPT, field_called, pattern_of, says_nothing
from ..names import sampler_name
from ..nesting import matches_outside, split_outside
from ..request import SLOTS
from ..sentences import ParseError

_COMMA = re.compile(r"[,;\n]")
_NUMERIC = ("seed", "steps", "guidance_scale", "width", "height", "strength")
# A name and its sign. A colon that is part of an address or a time is none.
_KEY = re.compile(r"(?P<key>[^\W\d_][\w /()+.'#-]{0,60}?)[ \t]*(?:[:=])(?!//)")
_KNOWN_KEY = re.compile(
    rf"(?<![\w-])(?:{pattern_of(*_NUMERIC, 'size', 'aspect_ratio', 'sampler', 'model')})[ \t]*+[:=](?=[ \t]*\S)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[\"']?(?P<number>[+-]?\d*[.,]?\d+)(?:[eE][+-]?\d+)?[\"']?(?=[\s,;)%]|\.\s|$)")
_SIGN = re.compile("[:=]")
_DECIMALS = re.compile(r"\d{1,2}")
_SIDES = re.compile(r"[\"'(\[]{0,2}(?P<width>\d{1,5})[ \t]*(?:[xX×*/]|, ?)[ \t]*(?P<height>\d{1,5})[\"')\]]{0,2}")


class Settings:
    """The settings that were found: ``fields`` of a request, ``unused`` ones, and ``words`` that belong to none.

    ``slots`` are those of ours among them, each with its label.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.slots: list[str] = []
        self.unused: list[str] = []
        self.words: list[str] = []

    def read_line(self, text: str) -> None:
        """Read settings with commas, semicolons, lines or only spaces between them. Raises ParseError."""
        last: str | None = None
        for piece in split_outside(text, _COMMA):
            # `Steps: 20 Seed: 5` are two; `Hires steps: 10` is one.
            first = _SIGN.search(piece)
            # A value in quotes may name settings of its own.
            keys = matches_outside(piece, _KNOWN_KEY) if first else []
            cuts = [0, *(key.start() for key in keys if first and key.start() >= first.end()), len(piece)]
            for start, end in pairwise(cuts):
                if part := piece[start:end].strip():
                    last = self._read_part(part, last)

    def _read_part(self, part: str, last: str | None) -> str | None:
        """Read one part; return the name whose value may go on in the next one."""
        key = _KEY.match(part)
        if key:
            self.take(key["key"].strip(), part[key.end() :].strip())
            return key["key"].strip()
        if last and field_called(last) in ("guidance_scale", "strength") and _DECIMALS.fullmatch(part):
            name = field_called(last)
            assert name
            # A decimal comma.
            self.fields[name] = float(f"{self.fields[name]:.0f}.{part}")
            return None
        if last and field_called(last) is None:
            # The unused value has commas in it.
            return last
        self.words.append(part)
        return last

    def take(self, key: str, value: str) -> None:
        """Take one setting. Raises ParseError for a value that its field cannot have."""
        field, value = field_called(key), value.strip()
        if not value or value.lower() in ("null", "none", "~", "undefined"):
            return
        if field is None and (slot := key.lower()) in SLOTS:
            self.slots.append(f"{slot}: {_unquoted(value)}")
        elif field is None:
            if not says_nothing(key) and f"Schedule {value}" not in self.unused:
                self.unused.append(key if value.startswith(("[{", "{")) else f"{key} {value}")
        elif field in _NUMERIC:
            self._take_number(field, key, value)
        elif field == "size":
            self._take_size(key, value)
        elif field == "aspect_ratio":
            self._take_ratio(key, value)
        elif field == "sampler":
            self._take_sampler(_unquoted(value))
        elif field == "image":
            self.fields["image"] = values.image(key, _unquoted(value))
        elif field in (PROMPT, NEGATIVE):
            self.unused.append(f"{key} {value}")
        elif field == "model":
            self.fields["model"] = _unquoted(value).removesuffix(".safetensors").removesuffix(".ckpt")
        else:
            self.fields[field] = _unquoted(value)

    def _take_sampler(self, value: str) -> None:
        """Take a sampler. Where "sampler" and "scheduler" are both there, the second is a schedule."""
        name, schedule = sampler_name(value)
        if "sampler" in self.fields:
            self.unused.append(f"scheduler {value}")
            return
        self.fields["sampler"] = name
        if schedule:
            self.unused.append(f"Schedule {schedule}")

    def _take_number(self, field: str, key: str, value: str) -> None:
        # The end of a sentence.
        value = value.rstrip(".")
        number = _NUMBER.match(value)
        text, rest = (number["number"], value[number.end() :].strip(" )")) if number else (value, "")
        if field == "seed" and value.lower() in values.RANDOM_SEEDS:
            return
        if field == "seed":
            seed = _whole(key, text) if number else values.whole_number(key, text)
            if seed >= 0:
                # Below 0 means a random one, everywhere.
                self.fields["seed"] = seed
        elif field == "guidance_scale":
            self.fields[field] = values.number(key, text)
        elif field == "strength":
            is_percent = rest.startswith("%")
            self.fields[field] = values.strength(key, f"{text}%" if is_percent else text)
            rest = rest[is_percent:].strip()
        else:
            self.fields[field] = _whole(key, text)
        if rest:
            self.words.append(rest)

    def _take_size(self, key: str, value: str) -> None:
        if sides := _SIDES.match(value):
            self.fields["size"] = int(sides["width"]), int(sides["height"])
            if rest := value[sides.end() :].strip():
                self.words.append(rest)
        else:
            self.fields["size"] = values.size(key, _unquoted(value))

    def _take_ratio(self, key: str, value: str) -> None:
        """Take a shape. Some programs name one beside the size, by a name of their own."""
        word, *words = _unquoted(value).split()
        try:
            self.fields["aspect_ratio"] = values.ratio(key, word)
        except ParseError:
            self.unused.append(f"{key} {value}")
        else:
            self.words += words

    def request_fields(self) -> dict[str, Any]:
        """The fields, with a size of both sides."""
        fields = dict(self.fields)
        sides = [fields.pop(side, None) for side in ("width", "height")]
        if all(sides):
            fields.setdefault("size", tuple(sides))
        elif any(sides):
            self.unused.append(f"{'width' if sides[0] else 'height'} {sides[0] or sides[1]}")
        if "size" in fields:
            # It says the same.
            fields.pop("aspect_ratio", None)
        return fields


def _whole(key: str, text: str) -> int:
    """A whole number. Some programs write 20.0."""
    try:
        return values.whole_number(key, text)
    except ParseError:
        value = values.number(key, text)
        if value != int(value):
            raise
        return int(value)


def _unquoted(text: str) -> str:
    """A value without its quotes. A1111 quotes as JSON does."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "\"'":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]
