"""Lists in a typed prompt: each choice is a separate text, and the count of choices is exact."""

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.language import ParseError, parse_all, with_other_seeds
from bot.easel.language.lists import MAX_DEPTH, MAX_PICTURES, expand
from bot.easel.language.parse import MAX_MESSAGE_CHARS, MAX_SHEET_CHARS


def count(text: str) -> int:
    return len(expand(text).cells)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("otter", ["otter"]),
        ("{otter | owl}", ["otter", "owl"]),
        ("fat {otter|owl}, hat", ["fat otter, hat", "fat owl, hat"]),
        ("otter{, hat | }", ["otter, hat", "otter"]),
        ("otter | style: {pop art | 16-bit}", ["otter | style: pop art", "otter | style: 16-bit"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("{a | {b | c}}", ["a", "b", "c"]),
        ("{(a)++ | b, c}", ["(a)++", "b, c"]),
        ("{ {a | b} }", ["{ a }", "{ b }"]),
        ("{a | (b | {c}) | [d | e]}", ["a", "(b | {c})", "[d | e]"]),
        ("{otter --steps 1,2 | owl}", ["otter --steps 1", "otter --steps 2", "owl"]),
        ("{otter --steps 1,2 }", ["{otter --steps 1 }", "{otter --steps 2 }"]),
        ("otter --steps 10,20", ["otter --steps 10", "otter --steps 20"]),
        ("otter --steps 10, 20 , hat", ["otter --steps 10 , hat", "otter --steps 20 , hat"]),
        ("otter —cfg 7,7.5", ["otter —cfg 7", "otter —cfg 7.5"]),
        ("otter --guidance-scale=7,12", ["otter --guidance-scale=7", "otter --guidance-scale=12"]),
        ("otter --model ssd-1b,sd-1.5", ["otter --model ssd-1b", "otter --model sd-1.5"]),
        ("otter --sampler unipc,euler_a", ["otter --sampler unipc", "otter --sampler euler_a"]),
        ("otter --seed 1,2,3", [f"otter --seed {n}" for n in (1, 2, 3)]),
        ("otter --seed 1 2 3", [f"otter --seed {n}" for n in (1, 2, 3)]),
    ],
)
def test_every_choice_is_a_separate_text(text, texts):
    assert [cell.text for cell in expand(text).cells] == texts
    assert count(text) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "{otter}",
        "otter --seed 1 2 otters",
        "(otter | owl)",
        "otter --model ssd-1b, hat",
        "otter --seed 7, hat",
        "otter --no text, fog",
        "otter --outfit boots, scarf",
        '"{otter | owl}"',
        '{"prompt": "a | b", "seed": 7}',
        "otter :} | style: {pop art",
        "prompt: otter “big”, fog—",
    ],
)
def test_text_without_lists_stays_as_it_is(text):
    assert count(text) == 1
    assert [cell.text for cell in expand(text).cells] == [text]


def test_headings_name_the_differences():
    asked = parse_all("{otter | owl} --steps 10,20 --model a,b")
    assert asked.sizes == (2, 2, 2)
    assert asked.headings[:3] == (("otter", "steps 10", "a"), ("otter", "steps 10", "b"), ("otter", "steps 20", "a"))
    assert [request.slots.subject for request in asked.requests[::4]] == [("otter",), ("owl",)]
    assert parse_all("otter{, hat | }").headings == ((", hat",), ("without",))


def test_lists_work_in_a_reply_and_in_a_recipe():
    recipe = "prompt: otter\nseed: 7\n"
    asked = parse_all("style: {pop art | 16-bit}", recipe=recipe)
    assert [(one.slots.style, one.seed) for one in asked.requests] == [(("pop art",), 7), (("16-bit",), 7)]
    asked = parse_all("prompt: otter, {hat | scarf}\nseed: 7")
    assert [one.slots.subject for one in asked.requests] == [("otter", "hat"), ("otter", "scarf")]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("otter", [None]),
        ("otter --seed 7", [100]),
        ("otter --seed -1", [None]),
        ("otter —seed: 7 -n 3", [100]),
        ("otter --seed new, boots", [None]),
        ("otter --seed 1, 2,3 | style: pop art", [100, 101, 102]),
        ("{otter | owl} --steps 2,3 --seed=7", [100] * 4),
        ("{otter | owl} --seed 3,5", [100, 101, 100, 101]),
        ("{otter --seed 1 | owl --seed 2}", [100, 101]),
        ("{otter --seed 1 | owl}", [100, None]),
        ("prompt:\n  subject: [otter]\nseed: 3", [100]),
        ("```yaml\nprompt:\n  subject: [otter]\nseed: 3\n```\n-n 2", [100]),
        ("otter --seed {1 | 2}", [100, 101]),
        ('otter --seed "7" -n 2', [100]),
    ],
)
def test_a_sheet_can_be_requested_again_with_other_seeds(text, seeds):
    before = parse_all(text)
    after = with_other_seeds(before, 100)
    assert [request.seed for request in after.requests] == seeds
    assert [replace(request, seed=None) for request in after.requests] == [
        replace(request, seed=None) for request in before.requests
    ]
    assert (after.pictures, after.sizes) == (before.pictures, before.sizes)


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("otter --seed 1,2", (("seed 100",), ("seed 101",))),
        ("otter --seed {1 | 2}", (("100",), ("101",))),
        ("{otter --seed 1 | owl --seed 2}", (("otter --seed 100",), ("owl --seed 101",))),
        ("{otter | owl} --seed 1", (("otter",), ("owl",))),
        ("otter --seed 1 --steps 1,2", (("steps 1",), ("steps 2",))),
        ("otter --seed 1,12", (("seed 100",), ("seed 101",))),
    ],
)
def test_headings_name_the_other_seeds(text, headings):
    assert with_other_seeds(parse_all(text), 100).headings == headings


@pytest.mark.parametrize("number", [101, 10**31])
def test_a_number_of_pictures_that_no_generator_accepts_is_refused_with_a_sentence(number):
    with pytest.raises(ParseError, match=f"That makes {number} pictures, and 100 is far too many already"):
        parse_all(f"otter -n {number}")
    assert parse_all("otter -n 100").pictures == 100


def test_far_too_many_choices_are_refused_before_they_are_read():
    text = " ".join(["{a|b|c|d|e|f|g|h|i|j}"] * 6)
    with pytest.raises(ParseError, match=f"make 1000000 pictures, and {MAX_PICTURES} is far too many already"):
        parse_all(text)


def test_a_number_beyond_all_counting_is_cut_short():
    with pytest.raises(ParseError, match=r"These lists make \d{40}… pictures, and 100 is far too many already"):
        parse_all("{||}" * 4000)


def test_the_texts_of_a_sheet_have_a_limit_together():
    words = "a, " * (MAX_SHEET_CHARS // 9 // 3 - 20)
    assert len(parse_all(f"{words} --steps 1,2,3,4,5,6,7,8,9").requests) == 9
    assert len(parse_all("--steps 1,2,3,4,5,6,7,8,9", recipe=f"prompt: {words}").requests) == 9
    for text, recipe in ((words, None), (" " * 999, f"prompt: {words}")):
        with pytest.raises(ParseError, match=r"too many words for 10 pictures\. Ask for fewer of either\."):
            parse_all(f"{text} --steps 1,2,3,4,5,6,7,8,9,10", recipe=recipe)
    # Nine of the longest recipes, of about 8,000 characters, stay within it.
    assert MAX_SHEET_CHARS > 9 * 8000


def test_names_count_with_the_words_that_they_stand_for():
    styles = {"a": "b, " * 100}
    with pytest.raises(ParseError, match=f"up to {MAX_MESSAGE_CHARS}"):
        parse_all("@a " * 60, styles=styles)
    with pytest.raises(ParseError, match="too many words for 20 pictures"):
        parse_all("@a " * 50 + "{1|2|3|4|5}{1|2|3|4}", styles=styles)


def test_lists_within_lists_are_refused_in_time():
    with pytest.raises(ParseError, match=f"Lists go up to {MAX_DEPTH} deep into each other"):
        parse_all("{a|" * 1500 + "b" + "}" * 1500)
    with pytest.raises(ParseError, match="far too many"):
        parse_all("{" + "{a|b}" * 1000 + "|c}")


word = st.sampled_from(["otter", "(hat)++", "pop art", "16-bit", "a, b"])
brace = st.lists(word, min_size=2, max_size=4).map(lambda options: "{" + " | ".join(options) + "}")
flag = st.builds(
    lambda name, values: f" --{name} {','.join(str(value) for value in values)}",
    st.sampled_from(["steps", "cfg", "seed"]),
    # Two numbers of --cfg may be one with a decimal comma.
    st.lists(st.integers(1, 99), min_size=1, max_size=3).filter(lambda values: len(values) != 2),
)


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        *(("--cfg 7,5", [7.5]), ("--cfg 12,5", [12.5]), ("--cfg 7,25", [7.25]), ("--cfg 8,0", [8.0])),
        *(("--cfg 5,7", [5, 7]), ("--cfg 7,12", [7, 12]), ("--cfg 7, 5", [7, 5]), ("--cfg 7,5,3", [7, 5, 3])),
    ],
)
def test_a_decimal_comma_is_told_from_a_list(typed, values):
    assert [request.guidance_scale for request in parse_all(f"otter {typed}").requests] == values
    assert [one.strength for one in parse_all("otter --strength 0,6").requests] == [0.6]


@pytest.mark.parametrize(
    ("typed", "models", "subject"),
    [
        ("otter --model ssd-1b, sd-1.5", ["ssd-1b", "sd-1.5"], ("otter",)),
        ("otter --model ssd-1b, Pocket, hat", ["ssd-1b", "Pocket"], ("otter", "hat")),
        ("otter --model ssd-1b, hat", ["ssd-1b"], ("otter", "hat")),
        ("otter --model ssd-1b , sd-1.5", ["ssd-1b", "sd-1.5"], ("otter",)),
        ("otter --model ssd-1b , hat", ["ssd-1b"], ("otter", "hat")),
        ("otter --model SD 1.5 --seed 7", ["SD 1.5"], ("otter",)),
        ("--model pocket otter", ["pocket"], ("otter",)),
    ],
)
def test_names_behind_a_space_are_a_list_if_there_are_such_models(typed, models, subject):
    asked = parse_all(typed, names=["ssd-1b", "sd-1.5", "pocket"])
    assert [request.model for request in asked.requests] == models
    assert {request.slots.subject for request in asked.requests} == {subject}
    # Without known names, what looks like a model is one.
    assert len(parse_all("otter --model ssd-1b, sd-1.5").requests) == 2


@given(st.lists(st.one_of(word, brace), min_size=1, max_size=3), st.lists(flag, max_size=2))
def test_counts_are_exact_and_every_choice_has_its_own_place(words, flags):
    expected = prod([piece.count("|") + 1 for piece in words] + [piece.count(",") + 1 for piece in flags])
    text = ", ".join(words) + "".join(flags)
    if expected > MAX_PICTURES:
        with pytest.raises(ParseError, match=f"make {expected} pictures"):
            expand(text)
        return
    found = expand(text)
    assert len(found.cells) == prod(found.sizes) == expected
    assert all(len(cell.headings) == len(found.sizes) for cell in found.cells)
    assert all(count(cell.text) == 1 for cell in found.cells)
