"""CLIP's true tokenizer, with which every model of SD and SDXL reads text."""

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

_MERGES = 49152 - 256 - 2


def clip_tokenizer(pad_token: str) -> CLIPTokenizer:
    """Make the tokenizer. SDXL's first one pads with ``<|endoftext|>``, its second one with ``!``."""
    vocab, merges = _vocabulary()
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad_token, model_max_length=77)


@cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    # Found, not imported: the package needs others that are not here.
    package = find_spec("open_clip")
    assert package is not None and package.submodule_search_locations
    file = Path(package.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(file.read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : _MERGES + 1]]
    # Bytes that can be printed come first, in their order, as in OpenAI's own table.
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: n for n, token in enumerate(tokens)}, merges
