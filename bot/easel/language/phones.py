"""Undoes what phones and keyboards do to text: invisible characters, curly quotes, long dashes, wide signs.

Knows the dashes of weights, but no flags.
"""

import re

# Marks that autocorrect, translators and copying leave behind: zero-width space, soft hyphen, text direction and the
# like. The joiners stay: emoji and some scripts are written with them.
_INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_LINE_END = re.compile("\r\n?|[\v\f\u0085\u2028\u2029]")
# French phones put these before `:` and `?`; YAML and JSON know only the plain one.
_SPACE = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")

# Other forms of one hyphen, then dashes that stand for two. At a token's start each of them makes a flag.
_HYPHENS = "\u2010\u2011\u2212\ufe63\uff0d"
_LONG_DASHES = "\u2012\u2013\u2014\u2015\u2e3a\u2e3b\ufe58"
DASHES = f"-{_HYPHENS}{_LONG_DASHES}"

# What East Asian and Arabic keyboards type for our signs, but for the wide hyphen, which makes a flag. Then bars that
# only look like ours.
_PLAIN_SIGNS = str.maketrans(
    {
        **{chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F) if wide != 0xFF0D},
        **dict.fromkeys("、﹐︐،", ","),
        **dict.fromkeys("；؛﹔", "; "),
        **dict.fromkeys("﹕︓", ":"),
        **dict.fromkeys("│┃❘∣ǀ¦︱", "|"),
    }
)
# Markdown's escapes, which some clients leave in the text. Compel's own, before brackets and quotes, stay.
_ESCAPED = re.compile(r"\\([-!*_#~>|+.@`])")

# What a page's source writes for signs.
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": " "}
_ENTITY = re.compile("|".join(_ENTITIES))

_STRAIGHT_QUOTES = str.maketrans({**dict.fromkeys("“”„‟", '"'), **dict.fromkeys("‘’‚‛", "'")})
_STRAIGHT_DASHES = str.maketrans({**dict.fromkeys(_HYPHENS, "-"), **dict.fromkeys(_LONG_DASHES, "--")})

# What Japanese keyboards have beside the wide hyphen.
_LONG_VOWELS = re.compile(r"(?:^|(?<=\s))ーー(?=\s*[A-Za-z])")

# Glued to a word, a quote or a bracket, with nothing glued behind: in `well–lit` the dash is part of the word.
_WEIGHT = re.compile(rf"""(?<=[\w)\]}}"'])[{DASHES}]++(?![^\s,|)\]}}"'])""")


def as_seen(text: str) -> str:
    """``text`` as it looks: without invisible characters, with plain spaces and line ends."""
    return _SPACE.sub(" ", _LINE_END.sub("\n", _INVISIBLE.sub("", text)))


def straight_quotes(text: str) -> str:
    return text.translate(_STRAIGHT_QUOTES)


def as_typed(text: str) -> str:
    """``text`` with plain signs and straight quotes, and with dashes that are compel weights as hyphens again."""
    if "&" in text:
        text = _ENTITY.sub(lambda entity: _ENTITIES[entity[0]], text)
    text = _LONG_VOWELS.sub("--", text)
    plain = _ESCAPED.sub(r"\1", straight_quotes(text).translate(_PLAIN_SIGNS))
    return _WEIGHT.sub(lambda dashes: dashes[0].translate(_STRAIGHT_DASHES), plain)
