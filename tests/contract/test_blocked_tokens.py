"""No blocked word reaches a model: what CLIP's tokenizer reads as that word, the bot finds."""

import string
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from bot.easel.policy.blocked_words import find_word
from generator.recipes.prompt import PromptError, parse

# Without a vocabulary; how it cuts a text needs none.
TOKENIZER = CLIPTokenizer().backend_tokenizer


def tokens(text: str) -> list[str]:
    """The pieces of each fragment of a prompt that the tokenizer looks up, ends and weights left out."""
    try:
        fragments = parse(text)
    except PromptError:
        return []
    read = (TOKENIZER.normalizer.normalize_str(fragment) for fragment, _ in fragments)
    return [token for token, _ in chain.from_iterable(map(TOKENIZER.pre_tokenizer.pre_tokenize_str, read))]


@pytest.mark.parametrize(
    "text",
    [
        *("gun1", "1gun", "(gun)1.1x", "gun\u0903", "gun™", "gun²", "gunⅧ", "'sgun", "İgun", "gun_", "gun\u0332"),
        *("a 'gun", '"gun"(b)+', "<|endoftext|>gun", "\u0301gun", "gun\x00", "gun\ue000", "gun\U000e0067", r"\gun"),
    ],
)
def test_what_the_model_reads_as_the_word_is_found(text):
    assert "gun" in tokens(text)
    assert find_word(text, ["gun"]) == "gun"


# Characters of every kind around a word, and those that have fooled us.
FOOLERS = st.sampled_from("'stdrevml()+-.1²™Ⅷİ\u0301\u0332\u0903\u200b\"\\<|>_ ,")
AROUND = st.text(max_size=3) | st.text(FOOLERS, max_size=4)


@settings(max_examples=500)
@example([":'", "℠"], "d")
@given(st.lists(AROUND, min_size=2, max_size=4), st.text(string.ascii_lowercase, min_size=1, max_size=4))
def test_no_text_around_a_word_hides_it_from_the_bot_alone(around, word):
    text = word.join(around)
    if word in tokens(text):
        assert find_word(text, [word]) == word
