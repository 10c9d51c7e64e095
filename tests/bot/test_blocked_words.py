"""Blocked words are found in any spelling, and never inside other words."""

import string
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.policy.blocked_words import find_word

GUN = [
    *("gun", "GUN", "Gun,", "an otter with a gun", "otter, gun.", "gun\nblue", "gun's", "“gun”", "¡gun!"),
    *("(gun)++", "gun--", "gun+", "(gun)1.3", "gun—", "((gun)+ red)0.5", '"gun"', r"\(gun\)", "{gun}", "[gun]"),
    *("water-gun", "gun-like", "_gun_", "gun/knife", "gun&gun", "gun🔫", "🦦gun", "gun\u00a0", "gun\u3000red"),
    *("ｇｕｎ", "𝐠𝐮𝐧", "𝔤𝔲𝔫", "ⓖⓤⓝ", "ᵍᵘⁿ", "GＵn"),
    # Zero-width space, joiners, soft hyphen, byte-order mark, variation selector, tag, Hangul filler.
    *("g\u200bun", "gu\u200dn", "g\u200cu\u200cn", "g\u00adun", "\ufeffgun", "gun\ufe0f", "g\U000e0067un", "g\u3164un"),
    # Combining marks that form another letter, marks that do not, a stroke through, a ring around.
    *("gu\u0301n", "gu\u0308n", "g\u0332u\u0332n\u0332", "g\u0338un", "gu\u20dd\u034fn", "g" + "\u0301" * 40 + "un"),
    # Models read each of these as two words.
    *("otter\u200dgun", "otter\u200bgun", "otter\u0332gun", "gun\u200botter"),
    # Models read a word and something else: a digit, a number, a vowel sign, a symbol that NFKC makes letters of.
    *("gun1", "1gun", "gun٣", "gun²", "gunⅧ", "gun\u0903", "gun\u093f", "gun™", "gun㎏", "①gun", "g\u200bun™"),
    # The tokenizer cuts a contraction off, and gives this capital a mark of its own.
    *("'sgun", "'TGUN", "it'llgun", "İgun"),
]
NO_GUN = [
    *("", "gunner", "begun", "shotgun", "guns", "g un", "g u n", "g-u-n", "gu n", "gün", "ğun"),
    *("ГУН", "گن", "gunª", "g1un", "’sgun"),
]


@pytest.mark.parametrize("text", GUN)
def test_a_word_is_found_in_any_spelling(text):
    assert find_word(text, ["sword", "gun"]) == "gun"


@pytest.mark.parametrize("text", NO_GUN)
def test_a_word_is_not_found_in_other_words(text):
    assert find_word(text, ["gun"]) is None


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("ass", "grass, glass, a class of assassins in Scunthorpe", False),
        ("ass", "grass, ass", True),
        ("GUN", "gun", True),
        ("ｇｕｎ", "gun", True),
        ("horror movie", "Horror  Movie poster", True),
        ("horror movie", "horror-movie", True),
        ("horror movie", "(horror)++ movie", True),
        ("horror movie", "horror, movie", True),
        ("horror movie", "horror1 movie", True),
        ("horror movie", "horror 🔫 movie", True),
        ("horror 1 movie", "horror movie", False),
        ("horror", "horror1 movie", True),
        ("horror movie", "horror movies", False),
        ("horror movie", "horror of a movie", False),
        ("water-gun", "water gun", True),
        ("bär", "BA\u0308R", True),
        ("ba\u0308r", "Bär", True),
        ("bar", "Bär", False),
        ("fur", "für", False),
        ("straße", "STRASSE", True),
        ("ﬁre", "fire", True),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
        ("ırmak", "irmak", False),
        ("कुल", "कल", False),
        ("कुल", "एक कुल", True),
        ("血", "血", True),
        ("🔫", "otter🔫", True),
        ("❤", "❤\ufe0f", True),
        ("1984", "(1984)1.2", True),
        ("1984", "1985", False),
        ("4k", "(4K)1.2", True),
        # The tokenizer cuts at vowel signs.
        ("कु", "कुल", True),
        ("can't", "can’t", True),
    ],
)
def test_a_word_ends_at_its_boundaries(word, text, found):
    assert find_word(text, [word]) == (word if found else None)


HIDDEN = st.text("\u200b\u200c\u200d\u00ad\u2060\ufeff\u202e\ufe0f\u034f\u0332\u0336\u0301\u0308\u20dd", max_size=3)
SHAPES = st.sampled_from([str.lower, str.upper, lambda letter: chr(ord(letter) + 0xFEE0), lambda letter: letter])
AROUND = st.text(max_size=9).filter(
    lambda text: not any(unicodedata.category(c)[0] in "LNM" for c in unicodedata.normalize("NFKC", text))
)


@given(st.data(), st.text(string.ascii_lowercase, min_size=1, max_size=9), AROUND, AROUND)
def test_no_disguise_hides_a_word(data, word, before, behind):
    disguised = "".join(data.draw(SHAPES)(letter) + data.draw(HIDDEN) for letter in word)
    assert find_word(before + disguised + behind, [word]) == word


LETTERS = st.text(string.ascii_letters + "äöüßéñжλ猫", min_size=1, max_size=9)


@given(LETTERS, st.text(string.ascii_lowercase, min_size=1, max_size=9))
def test_no_word_is_found_inside_a_longer_word(more, word):
    assert find_word(f"{more}{word}", [word]) is None
    assert find_word(f"{word}{more}", [word]) is None


@given(st.text(), st.lists(st.text(min_size=1)))
def test_any_text_can_be_searched_for_any_words(text, words):
    assert find_word(text, words) in (None, *words)


# NFKC turns the first character into 18, and puts marks in order; the last is a mark that is composed of two.
@pytest.mark.parametrize("piece", ["\ufdfa", "\u0301\u0316", "\u05b0\u05b1", "\u0f73"])
def test_the_longest_text_is_searched_in_time(piece):
    text = "g" + piece * 16_000
    started = time.process_time()
    assert find_word(text, [f"word {n}" for n in range(100)]) is None
    assert time.process_time() - started < 5
