"""The names of the files in a room: short, since a phone shows them in one line. Pure."""

import re
import unicodedata

# As long as a phone shows a file's name in one line.
MAX_WORDS_CHARS = 40

# The words of a name stand at the start of a prompt.
MAX_READ_CHARS = 400

# Weights and brackets are for the model, not for the reader of a name.
_WEIGHT = re.compile(r"(?<=[)\w])[+-]+(?=[\s,.)]|$)|(?<=\))[\d.]+|:[\d.]+(?=\))")
_OTHER_THAN_WORDS = re.compile(r"[^\w]+")


def base_name(prompt: str, *ends: object) -> str:
    """The first words of a prompt, then the ends: ``otter-cowboy-hat-7``."""
    plain = unicodedata.normalize("NFC", _WEIGHT.sub(" ", prompt[:MAX_READ_CHARS].lower()))
    words, name = _OTHER_THAN_WORDS.sub(" ", plain.replace("_", " ")).split(), ""
    for word in words:
        longer = f"{name}-{word}" if name else word[:MAX_WORDS_CHARS]
        if len(longer) > MAX_WORDS_CHARS:
            break
        name = longer
    return "-".join((name or "picture", *map(str, ends)))
