"""Tables of Markdown as people paste them: with a setting a row, with a column for each, and without labels."""

import pytest

from bot.easel.language import DrawRequest, ParseError, Slots, parse_all, parse_draw
from bot.easel.language.pasted.tables import SEVERAL_ROWS


def request(*subject: str, **typed) -> DrawRequest:
    style = typed.pop("style", ())
    return DrawRequest(slots=Slots(subject=subject or ("otter", "hat"), style=style), **typed)


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        ("| Prompt | otter, hat |\n|---|---|\n| Steps | 20 |\n| Seed | 7 |", request(steps=20, seed=7)),
        (
            "| Prompt | Negative prompt | Steps | Seed |\n|:--|--|:-:|--|\n| otter, hat | blurry | 20 | 7 |",
            request(negative_prompt="blurry", steps=20, seed=7),
        ),
        (
            "| Parameter | Value |\n|---|---|\n| **Prompt** | `otter, hat` |\n| Size | 512x768 |\n| Clip skip | 2 |",
            request(size=(512, 768), unused=("Clip skip 2",)),
        ),
        ("prompt | steps\n--- | ---\notter, hat | 20", request(steps=20)),
        ("| key | value |\n| --- | --- |\n| subject | otter, hat |\n| style | ink |", request(style=("ink",))),
        ("| Prompt | Seed | Camera |\n|-|-|-|\n| otter, hat | 7 | |", request(seed=7)),
        ("```\n| Prompt | Steps |\n|---|---|\n| otter, hat | 20 |\n```\n--seed 7", request(steps=20, seed=7)),
        ("| animal |\n|---|\n| otter |\n| hat |", request()),
        ("| a | b |\n|---|---|\n| otter | hat |\n--seed 7", request(seed=7)),
    ],
)
def test_a_table_is_read(table, meant):
    assert parse_draw(table) == meant
    assert parse_all(table).requests == (meant,)


@pytest.mark.parametrize("text", ["otter, --- | style: ink", "otter | style: ink", "otter--- | style: ink"])
def test_bars_and_hyphens_alone_make_no_table(text):
    assert parse_draw(text).slots.style == ("ink",)


def test_a_table_of_several_pictures_is_explained():
    with pytest.raises(ParseError, match=SEVERAL_ROWS):
        parse_all("| Prompt | Seed |\n|---|---|\n| otter | 7 |\n| owl | 8 |")
