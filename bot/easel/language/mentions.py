"""Links in a text, as clients write a mention: the name stands for the person, the address is no word to draw."""

import re

# `[Ada](https://matrix.to/#/@ada:example.org)`, and `"Ada" (https://matrix.to/#/@ada:example.org)`.
_MARKDOWN = re.compile(r"\[(?P<name>[^\]\[\n]{1,200})\]\((?:<)?https?://[^\s()<>]{1,1000}(?:>)?\)")
_BEHIND_QUOTES = re.compile(
    r"[\"“„](?P<name>[^\"“”„\n]{1,200})[\"”“]\s?[(<]{1,2}https?://matrix\.to/[^\s()<>]{1,1000}[)>]{1,2}"
)
_BEHIND_NAME = re.compile(r"\s?[(<]{1,2}https?://matrix\.to/[^\s()<>]{1,1000}[)>]{1,2}")
_BARE = re.compile(r"https?://matrix\.to/#/(?:@|%40)(?P<name>[^\s:%/?]{1,255})(?::|%3A)[^\s()<>]{1,1000}")


def names_for_mentions(text: str) -> str:
    """The text with each link's name in its place."""
    if "://" not in text:
        return text
    for link in (_MARKDOWN, _BEHIND_QUOTES):
        text = link.sub(lambda match: match["name"], text)
    return _BARE.sub(lambda match: match["name"], _BEHIND_NAME.sub("", text))
