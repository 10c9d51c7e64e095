"""Words that a model does not know are found and noted once, and only a few of them."""

import pytest

from generator.models.known_words import note, unknown_words

KNOWN = {"otter", "cowboy", "hat", "t-shirt", "16-bit", "a", "in", "the", "red", "ugly"}


@pytest.mark.parametrize(
    ("prompts", "unknown"),
    [
        (["otter, cowboy hat"], []),
        (["an Otter in the SPACESHIP, spaceship, moonbase"], ["an", "spaceship", "moonbase"]),
        (["otter, (spaceship)++, (moon base)0.3"], ["spaceship", "moon", "base"]),
        (["spaceship, otter", "moonbase, spaceship"], ["spaceship", "moonbase"]),
        (["t-shirt, T-Shirts, 16-bit, 3-bit"], ["t-shirts", "3-bit"]),
        (["red-hat, red-nosed - otter, fog--"], ["red-nosed", "fog"]),
        (["16:9, 50%, 2024, o.k., the otter's hat"], []),
        (["otter's mate", "isn't"], ["mate", "isn"]),
        (["猫, カワウソ, Ötter, hat_rack, 🦦"], ["猫", "カワウソ", "ötter", "rack"]),
        ([r"otter \(wet\)", "()"], ["wet"]),
        (["", ""], []),
    ],
)
def test_unknown_words_are_found(prompts, unknown):
    assert unknown_words(prompts, KNOWN) == unknown


def test_a_note_names_the_unknown_words():
    assert note("pocket", ["spaceship", "moonbase"]) == "pocket does not know: spaceship, moonbase"


def test_a_note_stays_readable():
    words = [f"word{n}" for n in range(1, 14)]
    assert note("pocket", words[:10]) == f"pocket does not know: {', '.join(words[:10])}"
    assert note("pocket", words) == f"pocket does not know: {', '.join(words[:10])} and 3 more"
    assert note("pocket", ["a" * 2000]) == f"pocket does not know: {'a' * 39}…"
