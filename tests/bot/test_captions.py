"""Captions: the prompt of a sheet with all that differs in it, and words from right to left."""

from unicodedata import bidirectional

import pytest

from bot.easel.generator.types import Facts, Picture, Recipe
from bot.easel.language import DrawCommand, brief, isolated, parse_all, quoted, read_command
from bot.easel.sending.captions import caption, sheet_caption

FILE = {"filename": "a.png", "mimetype": "image/png", "size": 1, "width": 64, "height": 64, "blurhash": ""}
THUMBNAIL = {f"thumbnail_{key}": FILE[key] for key in ("mimetype", "size", "width", "height")}
RECIPE = Recipe(model="pocket", seed=7, width=64, height=64, steps=16, guidance_scale=10.0, tier="exact")
OTTER = "לוטרה"


def picture(prompt: str) -> Picture:
    return Picture(**FILE, **THUMBNAIL, n=0, prompt=prompt, recipe=RECIPE, facts=Facts(seconds=1.0))


@pytest.mark.parametrize(
    ("typed", "prompt"),
    [
        ("otter, hat --steps 10,20", "otter, hat"),
        ("{otter | owl}, hat", "{otter | owl}, hat"),
        ("otter, {hat | scarf, boots}, fog", "otter, {hat | scarf, boots}, fog"),
        ("otter, {hat | }", "otter, {hat | }"),
        ("{otter | owl}, hat | style: {ink | pop art}", "{otter | owl}, hat, {ink | pop art}"),
        ("{red, red | red}", "red, {red | }"),
    ],
)
def test_the_caption_of_a_sheet_has_every_pictures_prompt(typed, prompt):
    asked = parse_all(typed)
    pictures = [picture(request.slots.joined()) for request in asked.requests]
    assert sheet_caption(asked, pictures).splitlines()[1] == prompt


@pytest.mark.parametrize(("count", "numbers"), [(2, "1️⃣ or 2️⃣"), (3, "1️⃣ to 3️⃣")])
def test_the_caption_of_a_sheet_names_its_numbers(count, numbers):
    lines = sheet_caption(parse_all(f"otter -n {count}"), [picture("otter")] * count).splitlines()
    assert lines[-1] == f"React with {numbers} to have one in full size."


def first_letters_direction(text: str) -> str:
    """The direction that `dir="auto"` gives a text: that of its first letter, whether isolated or not."""
    return next(kind for sign in text if (kind := bidirectional(sign)) in {"L", "R", "AL"})


@pytest.mark.parametrize("prompt", [OTTER, f"{OTTER}, hat", "قضاعة", f"hat, {OTTER}"])
def test_a_prompt_from_right_to_left_leaves_the_caption_as_it_is(prompt):
    shown = caption(picture(prompt)).splitlines()[0]
    assert shown == f"\u200e\u2068{prompt}\u2069" and first_letters_direction(shown) == "L"
    # Copied from the caption, it is the same prompt.
    assert read_command(f"!draw {shown}") == DrawCommand(prompt)
    assert sheet_caption(parse_all(f"{prompt} -n 2"), [picture(prompt)] * 2).splitlines()[1] == shown


@pytest.mark.parametrize("shows", [isolated, brief, quoted])
def test_what_is_typed_never_turns_a_sentence_around(shows):
    # Marks that would turn the rest of the line around go.
    assert shows(f"\u202e{OTTER}\u2069").strip("“”") == f"\u200e\u2068{OTTER}\u2069"
    assert shows("otter, crème brûlée").strip("“”") == "otter, crème brûlée"
    assert shows("\u202eretto").strip("“”") == "retto"


def test_the_lists_of_a_sheet_stay_in_their_order():
    asked = parse_all(f"{{{OTTER} | owl}}, hat")
    first, prompt, *_ = sheet_caption(asked, [picture("a"), picture("b")]).splitlines()
    assert first == f"2 pictures: \u200e\u2068{OTTER}\u2069, owl"
    assert prompt == f"{{\u200e\u2068{OTTER}\u2069 | owl}}, hat"
