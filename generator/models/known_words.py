"""Find the words of a prompt that a model was never taught. Knows neither files nor models."""

import re
from collections.abc import Iterable, Set
from itertools import chain

from generator.recipes.prompt import parse

# A caption stays readable, and ten words make the point.
MAX_SHOWN_WORDS = 10
MAX_SHOWN_CHARS = 40

# Letters and digits, with single hyphens inside: `t-shirt` is one word.
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def words(prompt: str) -> list[str]:
    """List the words of a prompt in lower case, in order, without weights, numbers and single letters.

    Raises PromptError for a prompt that cannot be parsed.
    """
    plain = " ".join(text for text, _ in parse(prompt))
    return [word for word in _WORD.findall(plain.lower()) if _says_something(word)]


def unknown_words(prompts: Iterable[str], known: Set[str]) -> list[str]:
    """List the words that are not in ``known``, each once, in order. Raises PromptError as ``words`` does."""
    typed = chain.from_iterable(map(words, prompts))
    return list(dict.fromkeys(word for word in typed if not _is_known(word, known)))


def note(model: str, unknown: list[str]) -> str:
    """Format the unknown words as a sentence for the person who typed them."""
    short = [word if len(word) <= MAX_SHOWN_CHARS else word[: MAX_SHOWN_CHARS - 1] + "…" for word in unknown]
    more = f" and {len(short) - MAX_SHOWN_WORDS} more" if len(short) > MAX_SHOWN_WORDS else ""
    return f"{model} does not know: {', '.join(short[:MAX_SHOWN_WORDS])}{more}"


def _says_something(word: str) -> bool:
    # A single letter is a remainder of `it's`; a single Chinese character is a word.
    return any(letter.isalpha() for letter in word) and (len(word) > 1 or not word.isascii())


def _is_known(word: str, known: Set[str]) -> bool:
    return word in known or all(part in known for part in word.split("-"))
