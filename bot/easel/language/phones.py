"""What phones do to text: curly quotes, and long dashes for hyphens. Knows which dashes are a weight, not the flags."""

import re

# Single hyphens in other shapes, then what stands for two of them. At a token's start all of them make a flag.
_HYPHENS = "\u2010\u2011\u2212\ufe63\uff0d"
_LONG_DASHES = "\u2012\u2013\u2014\u2015\u2e3a\u2e3b\ufe58"
DASHES = f"-{_HYPHENS}{_LONG_DASHES}"

_STRAIGHT_QUOTES = str.maketrans({**dict.fromkeys("“”„‟", '"'), **dict.fromkeys("‘’‚‛", "'")})
_STRAIGHT_DASHES = str.maketrans({**dict.fromkeys(_HYPHENS, "-"), **dict.fromkeys(_LONG_DASHES, "--")})

# Glued to a word, a quote or a bracket, with nothing glued behind: in `well–lit` the dash is a part of the word.
_WEIGHT = re.compile(rf"""(?<=[\w)\]}}"'])[{DASHES}]++(?![^\s,|)\]}}"'])""")


def straight_quotes(text: str) -> str:
    return text.translate(_STRAIGHT_QUOTES)


def as_typed(text: str) -> str:
    """``text`` with straight quotes, and with dashes that are compel weights turned back into hyphens."""
    return _WEIGHT.sub(lambda dashes: dashes[0].translate(_STRAIGHT_DASHES), straight_quotes(text))
