"""The text after !draw: terms, slots, flags, and what phones turn them into."""

import dataclasses

import pytest

from bot.easel.language import FLAGS, SLOTS, DrawRequest, Kind, ParseError, Slots, nearest, parse_draw, unused_note


def request(subject="otter", *, no=(), notes=(), **typed):
    """A request for one prompt. Slots are given as texts, split at plain commas."""
    slots = {slot: typed.pop(slot) for slot in SLOTS if slot in typed} | ({"subject": subject} if subject else {})
    terms = {slot: tuple(text.split(", ")) for slot, text in slots.items()}
    return DrawRequest(slots=Slots(**terms), no=no, notes=notes, **typed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otter, cowboy hat", request("otter, cowboy hat")),
        (
            "otter, (cowboy hat)++ | outfit: denim jacket | style: (watercolor)+ --no bokeh, text --seed 7 --ar 3:4",
            request(
                "otter, (cowboy hat)++",
                outfit="denim jacket",
                style="(watercolor)+",
                no=("bokeh", "text"),
                seed=7,
                aspect_ratio=(3, 4),
            ),
        ),
        (
            "subject: owl, anthropomorphic\noutfit: groceries, (headphones)++\n"
            "environment: (sunset)++, busy city street\nemotions: normcore, cozy, happy\n"
            "style: (pointillism)+, backlit, high quality",
            request(
                "owl, anthropomorphic",
                outfit="groceries, (headphones)++",
                environment="(sunset)++, busy city street",
                emotions="normcore, cozy, happy",
                style="(pointillism)+, backlit, high quality",
            ),
        ),
    ],
    ids=["plain", "slots and flags", "lines"],
)
def test_examples(text, expected):
    assert parse_draw(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otter | hat", request("otter, hat")),
        ("otter\nhat", request("otter, hat")),
        ("otter,\nhat", request("otter, hat")),
        ("style: ink |otter", request(style="ink")),
        ("Style:ink\nOTTER", request("OTTER", style="ink")),
        ("otter | style: ink, \n backlit", request(style="ink, backlit")),
        ("otter | style: ink,\noutfit: hat,\n", request(style="ink", outfit="hat")),
        ("otter | style: ink | style: backlit", request(style="ink, backlit")),
        ("otter | style:", request()),
        ("otter | emotion: happy | env: city", request(emotions="happy", environment="city")),
        ("  otter ,, fluffy   cat , ", request("otter, fluffy cat")),
        ("otter {a|b} | style: {ink|oil}", request("otter {a|b}", style="{ink|oil}")),
        ("(otter | cat)+ | style: ink", request("(otter | cat)+", style="ink")),
        ('"a | b" | style: ink', request('"a | b"', style="ink")),
        ("otter :( sad | style: ink", request("otter :( sad", style="ink")),
        ("otter) hat | style: ink", request("otter) hat", style="ink")),
        ('5" otter --seed 7, 6" hat', request('5" otter, 6" hat', seed=7)),
        ("subject: zelda: the game", request("zelda: the game")),
        ("Re:Zero, 16:9, ratio 3:4", request("Re:Zero, ratio 3:4", aspect_ratio=(16, 9))),
        ("a sign that says: hello", request("a sign that says: hello")),
        ("otter | 16:9", request(aspect_ratio=(16, 9))),
        (r"otter \(animal\)", request(r"otter \(animal\)")),
    ],
)
def test_slots_are_read(text, expected):
    assert parse_draw(text) == expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("(owl, cat)++, hat", ("(owl, cat)++", "hat")),
        ("{red, blue} owl, hat", ("{red, blue} owl", "hat")),
        ('"owl, cat"++, hat', ('"owl, cat"++', "hat")),
        ("(owl, (cat, {dog, fox})+)++, hat", ("(owl, (cat, {dog, fox})+)++", "hat")),
        (r"owl \(a, b\), hat", (r"owl \(a", r"b\)", "hat")),
        ("(owl, hat", ("(owl", "hat")),
        ("(owl], hat), cat", ("(owl], hat)", "cat")),
        ("(a,\nb)+, c", ("(a, b)+", "c")),
    ],
)
def test_terms_are_split_outside_brackets_and_quotes(text, terms):
    assert parse_draw(text).slots.subject == terms


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("--seed 7", {"seed": 7}),
        ("--seed=7", {"seed": 7}),
        ("--SEED 7", {"seed": 7}),
        ("--seed: 7", {"seed": 7}),
        ('--seed "7"', {"seed": 7}),
        ("--seed -1", {"seed": None}),
        ("--steps 30", {"steps": 30}),
        ("--cfg 7", {"guidance_scale": 7.0}),
        ("--cfg 7,5", {"guidance_scale": 7.5}),
        ("--scale 7.5", {"guidance_scale": 7.5}),
        ("--cfgscale .5", {"guidance_scale": 0.5}),
        ("--guidance_scale=7", {"guidance_scale": 7.0}),
        ("--size 768x1024", {"size": (768, 1024)}),
        ("--size 768×1024", {"size": (768, 1024)}),
        ("--size Portrait", {"size": "portrait"}),
        ("--ar 3:4", {"aspect_ratio": (3, 4)}),
        ("--aspect 16/9", {"aspect_ratio": (16, 9)}),
        ("--model ssd-1b", {"model": "ssd-1b"}),
        ("--sampler DPM++ 2M", {"sampler": "DPM++ 2M"}),
        ("--tier balanced", {"tier": "balanced"}),
        ("--fast", {"tier": "fast"}),
        ("--draft", {"tier": "draft"}),
        ("--theme my otters", {"theme": "my otters"}),
        ("--theme 'tis the season", {"theme": "'tis the season"}),
        ("-n 4", {"count": 4}),
        ("-n4", {"count": 4}),
        ("-n=4", {"count": 4}),
        ("–n 4", {"count": 4}),
        ("--count 4", {"count": 4}),
        ("--no bokeh, text", {"no": ("bokeh", "text")}),
        ("--no (a, b)+, text", {"no": ("(a, b)+", "text")}),
        ("--negative cars, (ugly:1.2)", {"negative_prompt": "cars, (ugly)1.2"}),
        ("--neg cars --no text", {"negative_prompt": "cars", "no": ("text",)}),
        ('--negative ""', {"negative_prompt": ""}),
        ("--style two words, backlit", {"style": "two words, backlit"}),
        ('--outfit "boots, scarf"', {"outfit": "boots, scarf"}),
        ("--outfit 'boots, scarf'", {"outfit": "boots, scarf"}),
        ('--outfit="boots, scarf"', {"outfit": "boots, scarf"}),
        ("--outfit “boots, scarf”", {"outfit": "boots, scarf"}),
        ('--outfit "blue boots"++', {"outfit": '"blue boots"++'}),
        ('--outfit "blue boots", "red scarf"', {"outfit": '"blue boots", "red scarf"'}),
        ('--outfit "no --seed 7 here"', {"outfit": "no --seed 7 here"}),
        ("--style ink | style: backlit", {"style": "ink, backlit"}),
        ("--no fog-- --seed 5", {"no": ("fog--",), "seed": 5}),
        # Phones add full stops and spaces.
        ("--seed 7. --steps 30.", {"seed": 7, "steps": 30}),
        ("--fast. --seed 7!", {"tier": "fast", "seed": 7}),
        ("--cfg 7.5. --ar 3:4.", {"guidance_scale": 7.5, "aspect_ratio": (3, 4)}),
        ("--size portrait. --model ssd-1b?", {"size": "portrait", "model": "ssd-1b"}),
        ("--size 768 x 1024 --seed 7", {"size": (768, 1024), "seed": 7}),
        ("--ar 3 : 4", {"aspect_ratio": (3, 4)}),
        ("--seed = 7 --style : ink", {"seed": 7, "style": "ink"}),
    ],
)
def test_flags_are_read(typed, expected):
    assert parse_draw(f"otter {typed}") == request(**expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--seed 7 otter", request(seed=7)),
        ("otter --seed 7, hat", request("otter, hat", seed=7)),
        ("otter --draft, hat", request("otter, hat", tier="draft")),
        ('--style "ink wash" otter --seed 7', request(style="ink wash", seed=7)),
        ("otter | style: ink --seed 7 wash", request(style="ink wash", seed=7)),
        ("--ar 3:4 style: ink\notter", request(style="ink", aspect_ratio=(3, 4))),
        ("--no bokeh\notter", request(no=("bokeh",))),
        ("--no bokeh,\ntext | otter", request(no=("bokeh", "text"))),
        ("otter,--seed 7", request(seed=7)),
        ('--theme "my otters", otter', request(theme="my otters")),
        ("--seed 7., hat | otter", request("hat, otter", seed=7)),
        ("--ar 3 : 4, hat | otter", request("hat, otter", aspect_ratio=(3, 4))),
        ("--draft. hat | otter", request("hat, otter", tier="draft")),
    ],
)
def test_text_after_a_complete_value_is_kept(text, expected):
    assert parse_draw(text) == expected


DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"


@pytest.mark.parametrize("dash", DASHES, ids=[f"U+{ord(dash):04X}" for dash in DASHES])
@pytest.mark.parametrize("count", [1, 2])
def test_any_longer_dash_makes_a_flag(dash, count):
    assert parse_draw(f"otter {dash * count}seed 5") == request(seed=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fog-- --seed 5", request("fog--", seed=5)),
        ("fog- --seed 5", request("fog-", seed=5)),
        ("(crowd)-- —seed 5", request("(crowd)--", seed=5)),
        ("(crowd)— —seed 5", request("(crowd)--", seed=5)),
        ("(crowd)– –seed 5", request("(crowd)--", seed=5)),
        ("(crowd)−, fog—, hat", request("(crowd)-, fog--, hat")),
        ("fog—— hat", request("fog---- hat")),
        ("“city fog”— hat", request('"city fog"-- hat')),
        ("((crowd)— fog)+", request("((crowd)-- fog)+")),
        ("well–lit otter, half-open door", request("well–lit otter, half-open door")),
        ("otter — cowboy", request("otter — cowboy")),
        ("otter - cowboy -- hat", request("otter - cowboy -- hat")),
        ("otter -5 degrees, --5", request("otter -5 degrees, --5")),
        ("the cat’s hat", request("the cat's hat")),
        ("a “big red” hat", request('a "big red" hat')),
    ],
)
def test_phones_dashes_and_quotes_are_read(text, expected):
    assert parse_draw(text) == expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("(x:1.2)", ("(x)1.2",)),
        ("(x: 1.20 ), y", ("(x)1.2", "y")),
        ("(x:.5)", ("(x)0.5",)),
        ("(x:2)", ("(x)2",)),
        ("(x, y:1.2) z", ("(x, y)1.2 z",)),
        ("((x:1.2) y:0.8)", ("((x)1.2 y)0.8",)),
        ("(x:1.2)y", ("(x)1.2 y",)),
        ("(re: x:1.1)", ("(re: x)1.1",)),
        (r"(x \(y\):1.2)", (r"(x \(y\))1.2",)),
        ("[x]", ("(x)-",)),
        ("[[x]]", ("((x)-)-",)),
        ("((x)), (y)", ("((x))", "(y)")),
        ("(16:9), (x:y), (:1.2), (x:1.2", ("(16:9)", "(x:y)", "(:1.2)", "(x)1.2")),
        ("(x)1.2, y++, (z)--", ("(x)1.2", "y++", "(z)--")),
        ("[], ()", ("[]", "()")),
        (r"\[x\]", (r"\[x\]",)),
    ],
)
def test_a1111_weights_become_compel_weights_and_stay_so(text, terms):
    assert parse_draw(text).slots.subject == terms
    assert parse_draw(", ".join(terms)).slots.subject == terms


def test_loras_are_omitted_with_a_note():
    drawn = parse_draw("otter, <lora:fluffy:0.8>, hat <LoRA:b:1>")
    assert drawn == request(
        "otter, hat",
        unused=("<lora:fluffy:0.8>", "<LoRA:b:1>"),
    )


def test_many_loras_are_named_in_short():
    note = unused_note(parse_draw("otter" + "".join(f"<lora:{n}:1>" for n in range(1300))).unused)
    assert note.endswith("<lora:6:1>, <lora:7:1>, ….") and len(note) < 200


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("otter --sed 7", "There's no flag --sed. Did you mean --seed?"),
        ("otter —sed 7", "There's no flag --sed. Did you mean --seed?"),
        ("otter --style7", "There's no flag --style7. Did you mean --style?"),
        ("otter --xyzzy", "There's no flag --xyzzy. !easel help flags lists them all."),
        ("otter --steps many", "--steps takes a whole number, not “many”."),
        ("otter --steps 7.5", "--steps takes a whole number, not “7.5”."),
        ("otter --cfg nan", "--cfg takes a number such as 7.5, not “nan”."),
        ("otter --cfg 1e999", "--cfg takes a number such as 7.5, not “1e999”."),
        ("otter --seed", "--seed needs a value, such as --seed 7."),
        ("otter --seed --steps 3", "--seed needs a value, such as --seed 7."),
        ("otter --no , | hat", "--no needs a value, such as --no bokeh, text."),
        ('otter --theme ""', "--theme needs a value, such as --theme otters."),
        ("otter --fast=yes", "--fast takes no value."),
        ("otter --size big", "--size takes portrait, landscape, square or pixels such as 768x1024, not “big”."),
        ("otter --size 0x64", "--size takes portrait, landscape, square or pixels such as 768x1024, not “0x64”."),
        ("otter --ar wide", "--ar takes width to height such as 3:4, not “wide”."),
        ("otter --ar 0:4", "--ar takes width to height such as 3:4, not “0:4”."),
        ("otter --seed 7 --seed 8", "--seed is there twice. Keep one of them."),
        ("otter --model a --model b", "--model is there twice. Keep one of them."),
        ("otter --fast --draft", "--fast and --draft set the same thing. Keep one of them."),
        ("otter --size square --ar 3:4", "--size and --ar both set the shape of the picture. Keep one of them."),
        ("otter -hat", "“-hat” starts with one hyphen. To leave something out, write --no hat."),
        ("otter -seed", "Flags start with two hyphens. Did you mean --seed?"),
        ("(otter --seed 7)", "--seed takes a whole number, or new, not “7)”."),
        (
            "otter | hat: cowboy",
            "There's no slot “hat”. The slots are subject, outfit, environment, emotions and style; "
            "to draw the words themselves, write “subject: hat: …”.",
        ),
        ("otter\nstlye: ink", "There's no slot “stlye”. Did you mean style?"),
        ("otter\nstepps: 20", "There's no slot “stepps”. Did you mean --steps 20?"),
        (
            "(otter | style: ink)",
            "To start another slot, put “|” or a new line before “style: ink”, outside of brackets.",
        ),
        (
            "a, (b, style: ink)",
            "To start another slot, put “|” or a new line before “style: ink”, outside of brackets.",
        ),
        ("otter --w 3", "There's no flag --w. !easel help flags lists them all."),
        ("(x:-1)", "Weights start at 0, and one is -1."),
        ("a [cat:dog:0.5]", "I can't change words while I draw: “[cat:dog:0.5]”."),
        ("a [cat|dog]", "I can't change words while I draw: “[cat|dog]”. For a list, write {red | blue}."),
        ("--seed 7", "There's nothing to draw yet. Say what you want to see, such as !draw otter."),
        ("", "There's nothing to draw yet. Say what you want to see, such as !draw otter."),
        (
            "<lora:x:1>",
            "There's nothing to draw yet. Say what you want to see, such as !draw otter.",
        ),
        ("otter " + "x" * 20_000, "That's 20006 characters. I read up to 16000."),
        (
            "otter --seed " + "x" * 50,
            "--seed takes a whole number, or new, not “xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…”.",
        ),
    ],
)
def test_mistakes_are_refused_with_a_sentence(text, sentence):
    with pytest.raises(ParseError) as refusal:
        parse_draw(text)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_and_its_synonyms_work_as_help_shows_them(flag):
    drawn = parse_draw(f"{flag.usage} | otter")
    assert drawn != request()
    for synonym in flag.synonyms:
        value = "" if flag.kind is Kind.SWITCH else flag.example
        assert parse_draw(f"--{synonym} {value} | otter") == drawn


def test_the_table_of_flags_has_unique_names_and_fits_the_request():
    names = [name for flag in FLAGS for name in (flag.name, *flag.synonyms)]
    assert len(names) == len(set(names))
    assert {flag.field for flag in FLAGS} == {field.name for field in dataclasses.fields(DrawRequest)} - {
        "slots",
        "facts",
        "notes",
        "unused",
        "pasted",
        "emptied",
        "image",
    } | set(SLOTS)


def test_the_nearest_word_is_suggested():
    assert nearest("SEEED", ["steps", "seed"]) == "seed"
    assert nearest("xyzzy", ["steps", "seed"]) is None


def test_requests_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse_draw("otter").seed = 7
    assert hash(parse_draw("otter --seed 7")) == hash(parse_draw("--seed 7 otter"))
