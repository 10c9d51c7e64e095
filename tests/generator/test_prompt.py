"""Compel's syntax within limits: prompts that are read, prompts that are refused, and none that hangs."""

import time

import pyparsing
import pytest
from compel.prompt_parser import PromptParser
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.api import limits
from generator.recipes import prompt
from tests.helpers.calls import counted, grows


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("otter, cowboy hat", [("otter, cowboy hat", 1)]),
        ("otter, (cowboy hat)++", [("otter,", 1), ("cowboy hat", 1.21)]),
        ("fog--", [("fog", 0.81)]),
        ("(hat)----", [("hat", 0.6561)]),
        ("(hat)1.5 otter", [("hat", 1.5), ("otter", 1)]),
        ("((a)++ b)--", [("a", 0.9801), ("b", 0.81)]),
        ('a "big" hat, 16:9', [('a "big" hat, 16:9', 1)]),
        (r"hat \(red\)", [("hat (red)", 1)]),
        ("(unbalanced", [("(unbalanced", 1)]),
        ("", [("", 1)]),
        ("()", [("", 1)]),
        ('"big hat"++ "scarf", 6" and 7" (x)+', [("big hat", 1.21), ('scarf , 6" and 7"', 1), ("x", 1.1)]),
        ("sad :( otter--", [("sad :(", 1), ("otter", 0.81)]),
        (
            "(red hat, blue scarf)++. sci-fi -- fog+.",
            [("red hat, blue scarf", 1.21), (". sci-fi --", 1), ("fog", 1.1), (".", 1)],
        ),
    ],
)
def test_prompts_are_split_into_weighted_fragments(text, fragments):
    assert [(words, pytest.approx(weight)) for words, weight in fragments] == list(prompt.parse(text))


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("(" * 9 + "a" + ")" * 9, "too_nested", 9),
        ("(a)99999", "weight_out_of_range", 99999),
        ("a" + "+" * 8, "weight_out_of_range", 2.143589),
        ("((a)1.5)1.5", "weight_out_of_range", 2.25),
        ('("a", "b").blend(1, 1)', "unsupported_syntax", ".blend()"),
        ('("a", "b").and()', "unsupported_syntax", ".and()"),
        ("cat.swap(dog)", "unsupported_syntax", ".swap()"),
        ("withLora(x, 1)", "unsupported_syntax", "withLora()"),
        ("(hat).attend(1.2)", "unsupported_syntax", ".attend()"),
        ("a- b, " * 21, "too_many_weakened", 21),
    ],
)
def test_bad_prompts_are_refused(text, code, value):
    with pytest.raises(prompt.PromptError) as refused:
        prompt.parse(text)
    assert (refused.value.code, refused.value.value) == (code, value)
    assert str(refused.value).endswith(".")


def test_brackets_up_to_the_limit_are_read():
    depth = limits.MAX_NESTING
    assert prompt.parse("(" * depth + "a" + ")" * depth) == (("a", 1.0),)


@given(st.text(alphabet='ab (),.+-0123456789"\\:[]é猫', max_size=200) | st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        assert all(limits.MIN_WEIGHT <= weight <= limits.MAX_WEIGHT for _, weight in prompt.parse(text))
    except prompt.PromptError as error:
        assert str(error).endswith(".")


WORDS = st.sampled_from(["otter", "sci-fi", "16:9", "猫", "don't", "hat!", "a_b", "10"])
WEIGHTS = st.sampled_from(["", "+", "--", "1.2", "0.5", ".9", "2"])


def spelled(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Terms in brackets or quotes, each with a weight."""
    terms = st.tuples(st.lists(inside, min_size=1, max_size=4), st.sampled_from([" ", ", "]))
    return st.tuples(terms, WEIGHTS).map(lambda spelling: f"({spelling[0][1].join(spelling[0][0])}){spelling[1]}")


PROMPTS = st.lists(
    st.recursive(WORDS | st.tuples(WORDS, st.sampled_from(["+", "--"])).map("".join), spelled, max_leaves=8),
    min_size=1,
    max_size=5,
).map(" ".join)


@pytest.fixture(scope="module")
def compel() -> PromptParser:
    # Without it, six brackets take five seconds.
    pyparsing.ParserElement.enable_packrat()
    return PromptParser()


# compel's parser takes long for some.
@settings(max_examples=50)
@given(text=PROMPTS)
def test_prompts_are_read_as_by_compel(compel, text):
    """Only white space may differ: compel puts a space before a comma inside brackets."""
    [parsed] = compel.parse_conjunction(text).prompts
    expected = [(child.text.replace(" ", ""), pytest.approx(child.weight)) for child in parsed.children]
    try:
        assert [(words.replace(" ", ""), weight) for words, weight in prompt.parse(text)] == expected
    except prompt.PromptError as error:
        weakened = sum(child.weight < 1 for child in parsed.children)
        is_weakened = error.code == "too_many_weakened" and weakened > limits.MAX_WEAKENED
        assert is_weakened or error.code == "weight_out_of_range"


@pytest.mark.parametrize(
    "piece",
    [
        "(a)(b)",
        "(a)++ ",
        "a-",
        "(",
        ")",
        '"',
        '("a", ',
        "\\",
        r"\(",
        '"\\"',
        "(a ",
        "+",
        "-+",
        "[",
        "[a",
        "(a:1.1",
        ", ",
        "9",
        ".",
    ],
)
def test_reading_a_prompt_takes_time_in_proportion_to_its_length(piece):
    def calls_of(text: str) -> int:
        started = time.process_time()
        with counted() as calls:
            try:
                prompt.parse(prompt.from_a1111(text))
            except prompt.PromptError as error:
                assert len(str(error)) < 200
        # A pattern that looks at each sign again and again makes no more calls.
        assert time.process_time() - started < 5
        return calls.total()

    for start in ("", "(x)+"):
        text = start + piece * limits.MAX_PROMPT_CHARS
        assert not grows(calls_of(text[: limits.MAX_PROMPT_CHARS // 4]), calls_of(text[: limits.MAX_PROMPT_CHARS]))


@pytest.mark.parametrize(
    ("a1111", "compel"),
    [
        ("(x:1.2)", "(x)1.2"),
        ("otter, (cowboy hat: 0.8), boots", "otter, (cowboy hat)0.8, boots"),
        ("((x:1.2) y:1.1)", "((x)1.2 y)1.1"),
        ("[x]", "(x)-"),
        ("[[x]]", "((x)-)-"),
        ("(ratio 16:9)++", "(ratio 16:9)++"),
        (r"\(a:1.2\)", r"\(a:1.2\)"),
        ("(cowboy hat)++", "(cowboy hat)++"),
        ("at 16:9", "at 16:9"),
    ],
)
def test_a1111_weights_are_converted(a1111, compel):
    assert prompt.from_a1111(a1111) == compel


@given(st.text(alphabet="ab(),:[]1.+-\\ ", max_size=100))
def test_conversion_is_idempotent(text):
    assert prompt.from_a1111(prompt.from_a1111(text)) == prompt.from_a1111(text)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("otter, cowboy hat", ("otter", "cowboy hat")),
        (" , otter,,", ("otter",)),
        ("(red hat, blue boots)++, scarf", ("(red hat, blue boots)++", "scarf")),
        (r"hat \(red, scarf", (r"hat \(red", "scarf")),
        ("", ()),
    ],
)
def test_terms_are_split_at_commas(text, terms):
    assert prompt.split_terms(text) == terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red++ otter in a (cowboy hat)1.3 at night", "red otter in a cowboy hat at night"),
        ("(otter)++, hat, [fog]", "otter, hat, [fog]"),
        ("sad otter :-(", "sad otter :-("),
        (r"otter \(animal\)", "otter (animal)"),
    ],
)
def test_the_words_of_a_prompt_are_read_without_its_weights(text, words):
    assert prompt.words(text) == words


def test_a_smiley_has_no_weight():
    assert prompt.parse("sad otter :-(") == (("sad otter :-(", 1.0),)
