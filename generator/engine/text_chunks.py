"""Cut a long text into chunks for text encoders whose tokenizers count differently. Knows tokens, and no embeddings.

SDXL's second tokenizer has `!` as its padding and never joins two of them, so that `wow!!!` is two tokens to the first
and four to the second. A chunk must have the same words for both.
"""

import re
from collections.abc import Callable, Sequence

from generator.recipes.prompt import Fragment

# What a chunk holds beside its first and last token.
CHUNK_TOKENS = 75

Tokenize = Callable[[str], list[int]]


def are_read_alike(fragments: Sequence[Fragment], tokenizers: Sequence[Tokenize]) -> bool:
    """Whether every tokenizer makes the same tokens of the text, or all of them fit into one chunk."""
    read = [[token for text, _ in fragments for token in tokenize(text)] for tokenize in tokenizers]
    return all(tokens == read[0] for tokens in read) or all(len(tokens) <= CHUNK_TOKENS for tokens in read)


def chunks(fragments: Sequence[Fragment], tokenizers: Sequence[Tokenize]) -> list[list[Fragment]]:
    """Cut the text so that each chunk fits every tokenizer: after a sentence, else a phrase, else a word."""
    found: list[list[Fragment]] = []
    pieces = [piece for fragment in fragments for piece in _pieces(fragment, tokenizers)]
    while pieces:
        end = _cut(pieces, tokenizers)
        found.append(_joined(pieces[:end]))
        pieces = pieces[end:]
    return found


def _pieces(fragment: Fragment, tokenizers: Sequence[Tokenize]) -> list[Fragment]:
    """Split at white space, and whatever is too long for a chunk in the middle."""
    text, weight = fragment
    pieces = []
    waiting = re.findall(r"\s*\S+\s*", text)
    while waiting:
        word = waiting.pop(0)
        size = _size(word, tokenizers)
        if size > CHUNK_TOKENS:
            waiting[:0] = [word[: len(word) // 2], word[len(word) // 2 :]]
        # compel cannot weaken a fragment without tokens.
        elif size:
            pieces.append((word, weight))
    return pieces


def _cut(pieces: Sequence[Fragment], tokenizers: Sequence[Tokenize]) -> int:
    """Return how many pieces the first chunk takes."""
    sizes, end = [0] * len(tokenizers), 0
    for text, _ in pieces:
        sizes = [size + len(tokenize(text)) for size, tokenize in zip(sizes, tokenizers, strict=True)]
        if max(sizes) > CHUNK_TOKENS:
            break
        end += 1
    else:
        return end
    for marks in (".", ",.;:"):
        for place in range(end, 0, -1):
            if pieces[place - 1][0].rstrip().endswith(tuple(marks)):
                return place
    return end


def _size(text: str, tokenizers: Sequence[Tokenize]) -> int:
    return max(len(tokenize(text)) for tokenize in tokenizers)


def _joined(pieces: Sequence[Fragment]) -> list[Fragment]:
    """Join neighbours of one weight again: a weakened fragment costs a pass of the encoder."""
    joined: list[Fragment] = []
    for text, weight in pieces:
        if joined and joined[-1][1] == weight:
            joined[-1] = (joined[-1][0] + text, weight)
        else:
            joined.append((text, weight))
    return joined
