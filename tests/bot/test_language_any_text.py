"""The language reads any text in time and returns a request or a sentence. It never fails."""

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.easel.language import (
    FLAGS,
    SLOTS,
    DrawCommand,
    DrawRequest,
    EaselCommand,
    NearMiss,
    ParseError,
    parse_all,
    read_command,
)
from bot.easel.language.parse import MAX_MESSAGE_CHARS
from generator.api.types import Facts, Recipe
from generator.recipes import recipe_file

# Pieces of the language, and pieces that look like it.
PIECES = st.sampled_from(
    [
        *(f"{dashes}{name}" for flag in FLAGS for name in (flag.name, *flag.synonyms) for dashes in ("--", "—", "-")),
        *(f"{slot}:" for slot in SLOTS),
        *(
            "prompt:",
            "negative_prompt:",
            "slots:",
            "seed:",
            "facts:",
            "plan:",
            "Negative prompt:",
            "Steps: 20,",
            "Size:",
        ),
        *("(", ")", "[", "]", "{", "}", "((", "))", r"\(", "\\", '"', "'", "“", "”", "‘", "’"),
        *("|", ",", "\n", "\n  ", " ", "=", ":", ":1.2)", ":-1)", "++", "--", "—", "–", "-", "<lora:a:1>", "<lora:"),
        *(
            "```",
            "```yaml\n",
            "```json\n",
            "---",
            "&a",
            "*a",
            "!!x",
            "!",
            "~",
            "null",
            "- ",
            "#",
            "%YAML 1.1\n",
            "{}",
            "[]",
        ),
        *(
            "7",
            "-1",
            "1e999",
            "nan",
            "3:4",
            "768x1024",
            "portrait",
            "otter",
            "cowboy hat",
            "ö",
            "猫",
            "🦦",
            "\u00a0",
            "\x00",
        ),
    ]
)
MIXED = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join) | st.lists(PIECES, max_size=40).map(" ".join)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | MIXED,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*SLOTS, "prompt", "negative_prompt", "slots", "seed", "plan"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
RECIPES = st.fixed_dictionaries(
    {"prompt": JSON_VALUES},
    optional={
        key: JSON_VALUES
        for key in ("negative_prompt", "slots", "theme", "seed", "steps", "guidance_scale", "width", "height", "facts")
    },
)


def read(text: str) -> DrawRequest | None:
    """Return the requests. A refusal must be a sentence short enough to read."""
    try:
        return parse_all(text).requests[0]
    except ParseError as refusal:
        sentence = str(refusal)
        assert sentence.endswith((".", "?")), sentence
        assert sentence[0].isupper() or sentence[0] in "“-" or sentence.split()[0].islower(), sentence
        assert "\n" not in sentence and len(sentence) <= 400, sentence
        return None


def check(text: str) -> None:
    drawn = read(text)
    if drawn is not None:
        terms = [term for slot in SLOTS for term in getattr(drawn.slots, slot)]
        assert terms and all(term.strip() == term != "" for term in terms)
        assert json.dumps([*terms, drawn.negative_prompt, drawn.no, drawn.theme, drawn.notes]).isascii()


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    check(text)


@settings(max_examples=500)
@given(MIXED)
def test_any_mixture_of_the_languages_pieces_is_read(text):
    check(text)


@given(RECIPES, MIXED)
def test_any_json_is_read(recipe, behind):
    check(json.dumps(recipe))
    check(json.dumps(recipe, ensure_ascii=False) + behind)


@given(RECIPES, MIXED)
def test_any_yaml_is_read(recipe, behind):
    check(yaml.safe_dump(recipe))
    check(f"```yaml\n{yaml.safe_dump(recipe, allow_unicode=True)}\n```{behind}")


@given(MIXED, MIXED, MIXED)
def test_any_a1111_block_is_read(prompt, negative_prompt, more):
    check(f"{prompt}\nNegative prompt: {negative_prompt}\nSteps: 20, Seed: 1, {more}")


@given(st.sampled_from(["!draw", "!Draw", "!easel", " !draw", ""]), st.text(max_size=50))
def test_any_message_is_a_command_or_ignored(word, text):
    assert isinstance(read_command(word + text), DrawCommand | EaselCommand | NearMiss | None)


# Each piece makes a pattern or a loop start over again and again.
@pytest.mark.parametrize("start", ["", "prompt: ", '{"prompt":', '--no "', "otter\nSteps: 20, "])
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "(",
            "[",
            ")",
            "(a",
            "[a",
            "{a}",
            "(a:1.2",
            "[a: ",
            '"',
            ' "',
            ' "\\"',
            "\\",
            "'",
            "```",
            "`` ",
            "<lora:",
            "<lora:a",
        ),
        *(
            "-",
            " --",
            " —",
            " --a",
            "a--",
            "|",
            ",",
            ",\n",
            ", a: b",
            " ",
            "\n",
            "\t\n",
            "a: ",
            "a:\n",
            "- ",
            "? ",
            '{"a":',
        ),
    ],
)
def test_the_longest_message_is_read_in_time(start, piece):
    text = (start + piece * MAX_MESSAGE_CHARS)[:MAX_MESSAGE_CHARS]
    started = time.process_time()
    read(text)
    # Most take 10 ms; backtracking would take minutes.
    assert time.process_time() - started < 5


@given(MIXED)
def test_a_recipe_file_draws_its_request_again(text):
    # Messages are read without it: no database keeps it.
    drawn = read(text.replace("\0", ""))
    if drawn is None:
        return
    recipe = Recipe.model_construct(
        slots=drawn.slots,
        negative_prompt="cars, ugly",
        theme="no",
        model="ssd-1b",
        seed=7,
        width=64,
        height=96,
        steps=9,
        guidance_scale=7.5,
        sampler="unipc",
        tier="exact",
    )
    facts = Facts(job="a", drawn="now", seconds=1.5, model_revision="1e3", plan={"rows": 1, "torch": "2.13", "x": None})
    (written,) = parse_all(f"```yaml\n{recipe_file.write(recipe, facts)}```").requests
    assert written.slots == drawn.slots
    assert (written.theme, written.seed, written.size, written.guidance_scale) == ("no", 7, (64, 96), 7.5)
    assert (written.facts.model_revision, written.facts.plan) == (facts.model_revision, facts.plan)
