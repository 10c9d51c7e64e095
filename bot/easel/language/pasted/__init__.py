"""Recognises what was pasted: recipes, blocks and JSON, of Easel and of other programs, fenced or not, with labels.

Each recogniser has a module of its own, whose ``recognise`` returns one request and the text around it, or None. They
are pure, and take time in proportion to the text.
"""

from dataclasses import replace

from ..phones import as_typed
from ..recipes import read_recipe
from ..structured import read_yaml
from ..typed_flags import with_flags_apart
from . import blocks, objects, recipe_text
from .fences import fenced
from .found import Pasted
from .others_syntax import in_our_syntax
from .tables import without_table
from .tidy import (
    without_braces,
    without_document_marks,
    without_marks,
    without_quote_marks,
    without_sender,
    without_talk,
)

__all__ = [
    "Pasted",
    "meant_text",
    "plain_text",
    "recognised",
    "without_document_marks",
    "without_sender",
    "without_table",
    "without_talk",
]


# What a fence calls a recipe.
_YAML = {"yaml", "yml"}


def recognised(text: str, *, is_reply: bool = False) -> Pasted | None:
    """What was pasted with a text, or None if a person typed all of it. Raises ParseError."""
    fence = fenced(text)
    if fence is None:
        return _recognised(text, is_reply=is_reply)
    inside = _yaml(fence.inside) if fence.language in _YAML else _recognised(fence.inside, is_reply=False)
    if inside is None:
        return _recognised(fence.without_fence, is_reply=is_reply)
    return replace(inside, around=f"{fence.around}\n{inside.around}")


def _yaml(text: str) -> Pasted:
    """What a fence calls YAML follows YAML's rules. Raises ParseError."""
    return recipe_text.recognise(text) or Pasted(read_recipe(read_yaml(text)))


def plain_text(text: str, *, is_reply: bool = False) -> str:
    """A typed text as a person meant it: without fences and a chat's marks, with plain signs and our weights."""
    fence = fenced(text)
    return meant_text(fence.without_fence if fence else text, is_reply=is_reply)


def meant_text(text: str, *, is_reply: bool = False) -> str:
    """The text without a chat's marks, with plain signs and our syntax for weights."""
    return in_our_syntax(without_marks(with_flags_apart(as_typed(text)), is_reply=is_reply))


def _recognised(text: str, *, is_reply: bool) -> Pasted | None:
    if text.lstrip().startswith(">"):
        text = without_quote_marks(text)
    # What a program wrote is read as it stands; blocks, the last, see the text as a person meant it.
    if found := objects.recognise(text) or recipe_text.recognise(text, is_reply=is_reply):
        return found
    meant = without_braces(meant_text(text, is_reply=is_reply))
    return blocks.recognise(meant, is_reply=is_reply)
