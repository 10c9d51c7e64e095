"""Recipes pasted from the room: YAML or JSON, fenced or not, and A1111's block."""

import json

import pytest

from bot.easel.language import SLOTS, DrawRequest, EarlierFacts, ParseError, Slots, parse_draw, unused_note
from bot.easel.language.parse import MAX_MESSAGE_CHARS
from bot.easel.language.structured import MAX_OPEN_BRACKETS

RECIPE = """\
prompt: otter, (cowboy hat)++, denim jacket, 16:9, no, well-lit
negative_prompt: ugly, poor quality, bad anatomy, bad hands, text, error, missing fingers,
  extra digit
slots:
  subject:
  - otter
  - (cowboy hat)++
  outfit:
  - denim jacket
  style:
  - '16:9'
  - 'no'
  - well-lit
theme: otter
model: ssd-1b
seed: 7
steps: 30
guidance_scale: 12.0
sampler: unipc
width: 768
height: 1024
tier: exact
facts:
  job: abc
  drawn: '2026-11-22T20:00:00+00:00'
  seconds: 12.5
  model_revision: 60987f37e94cd59c36b1cba832b9f97b57395a10
  plan:
    dtype: float16
    torch: '2.13'
    batch_rows: 2
    vae_tiling: false
    offload: null
    share: 0.5
  notes: []
"""

DRAWN = DrawRequest(
    slots=Slots(subject=("otter", "(cowboy hat)++"), outfit=("denim jacket",), style=("16:9", "no", "well-lit")),
    negative_prompt="ugly, poor quality, bad anatomy, bad hands, text, error, missing fingers, extra digit",
    theme="otter",
    model="ssd-1b",
    seed=7,
    steps=30,
    guidance_scale=12.0,
    sampler="unipc",
    size=(768, 1024),
    tier="exact",
    facts=EarlierFacts(
        model_revision="60987f37e94cd59c36b1cba832b9f97b57395a10",
        plan={
            "dtype": "float16",
            "torch": "2.13",
            "batch_rows": 2,
            "vae_tiling": False,
            "offload": None,
            "share": 0.5,
        },
    ),
)

NUMBERS = EarlierFacts(model_revision="1e3", plan={"a": 0.5, "b": ".5", "c": "x"})

AUTHORS_EXAMPLE = (
    '{"theme": "owl", "prompt": {"subject": ["owl", "anthropomorphic"], "outfit": ["groceries", "(headphones)++"], '
    '"environment": ["(sunset)++", "busy city street"], "emotions": ["normcore", "cozy", "happy"], '
    '"style": ["(pointillism)+", "backlit", "high quality"]}, "negative_prompt": "cars, ugly, poor quality"}'
)

AUTHORS_OWL = DrawRequest(
    slots=Slots(
        subject=("owl", "anthropomorphic"),
        outfit=("groceries", "(headphones)++"),
        environment=("(sunset)++", "busy city street"),
        emotions=("normcore", "cozy", "happy"),
        style=("(pointillism)+", "backlit", "high quality"),
    ),
    negative_prompt="cars, ugly, poor quality",
    theme="owl",
)


def otter(**fields):
    return DrawRequest(slots=Slots(subject=("otter",)), **fields)


@pytest.mark.parametrize(
    "text", [RECIPE, f"```yaml\n{RECIPE}```", f"```\n{RECIPE}\n```", f"``` yaml\n{RECIPE}```", f"```yml\n{RECIPE}"]
)
def test_a_recipe_file_draws_again(text):
    assert parse_draw(text) == DRAWN


@pytest.mark.parametrize("text", [AUTHORS_EXAMPLE, f"```json\n{AUTHORS_EXAMPLE}\n```", f"```{AUTHORS_EXAMPLE}```"])
def test_a_json_recipe_with_every_field_is_read(text):
    assert parse_draw(text) == AUTHORS_OWL


def test_json_with_curly_quotes_is_read():
    curly = AUTHORS_EXAMPLE.replace('"', "“")
    assert parse_draw(curly) == AUTHORS_OWL


def test_brackets_inside_json_strings_are_not_nesting():
    assert parse_draw(r'{"prompt": "\"a sign [[[[[[[["}').slots.subject == ('"a sign [[[[[[[[',)


def test_curly_quotes_inside_valid_json_stay():
    assert parse_draw('{"prompt": "a sign “hi”"}').slots.subject == ("a sign “hi”",)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (f"```yaml\n{RECIPE}```\n--seed 8", {"seed": 8}),
        (f"--seed 8\n```yaml\n{RECIPE}```", {"seed": 8}),
        (f"```yaml\n{RECIPE}``` —steps 5 --negative cars", {"steps": 5, "negative_prompt": "cars"}),
        (f"{RECIPE}--seed 8 --theme otters", {"seed": 8, "theme": "otters"}),
        (f"```yaml\n{RECIPE}```\n--ar 1:2", {"size": None, "aspect_ratio": (1, 2)}),
        (f"```yaml\n{RECIPE}```\n--no fog -n 2", {"no": ("fog",), "count": 2}),
    ],
)
def test_flags_around_a_recipe_change_it(text, changes):
    assert parse_draw(text) == DRAWN.changed_by(DrawRequest(**{k: v for k, v in changes.items() if v is not None}))
    assert all(getattr(parse_draw(text), name) == value for name, value in changes.items())


def test_slots_after_a_recipe_replace_its_own():
    slots = parse_draw(f"```yaml\n{RECIPE}```\nstyle: ink").slots
    assert slots == Slots(subject=("otter", "(cowboy hat)++"), outfit=("denim jacket",), style=("ink",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompt: otter", otter()),
        ("Prompt: otter\nSeed: 7", otter(seed=7)),
        ("prompt: otter\nfacts: {model_revision: 1e3, plan: {a: .5, b: '.5', c: x}}", otter(facts=NUMBERS)),
        ("prompt: “otter”\nseed: 7", otter(seed=7)),
        ("negative_prompt: cars, (ugly:1.2)\nprompt: otter", otter(negative_prompt="cars, (ugly)1.2")),
        ("prompt: otter\nseed:\nmodel: null\ntheme: ~\nnegative_prompt:", otter()),
        ("prompt: otter\nnegative_prompt: ''", otter(negative_prompt="")),
        ("prompt: otter\nnegative_prompt: [cars, ugly]", otter(negative_prompt="cars, ugly")),
        ("prompt: otter\ntheme: no", otter(theme="no")),
        ("prompt: otter\ntheme: 1e3", otter(theme="1e3")),
        ("prompt: otter\nfacts:\n  plan:\n  job: x", otter(facts=EarlierFacts())),
        ("prompt: otter\nfacts:", otter()),
        (
            '{"prompt": "otter", "seed": 7, "guidance_scale": 7.5, "steps": "9"}',
            otter(seed=7, guidance_scale=7.5, steps=9),
        ),
        (
            '{"prompt": "otter", "facts": {"model_revision": "1e3", "plan": {"a": 0.5, "b": ".5", "c": "x"}}}',
            otter(facts=NUMBERS),
        ),
        (
            '{"prompt": "otter", "facts": {"plan": {"a": true, "b": null}}}',
            otter(facts=EarlierFacts(plan={"a": True, "b": None})),
        ),
        ('{"prompt": "otter", "seed": null, "width": 64, "height": 96} --theme x', otter(size=(64, 96), theme="x")),
        ("prompt: otter\nstyle: ink, oil", DrawRequest(slots=Slots(subject=("otter",), style=("ink", "oil")))),
        ("```\nsubject: otter\nstyle: (ink)+\n```", DrawRequest(slots=Slots(subject=("otter",), style=("(ink)+",)))),
        ("```\notter\n``` --seed 7", otter(seed=7)),
        ("```prompt: otter``` --seed 7", otter(seed=7)),
        ("```\nprompt: otter``` --seed 7", otter(seed=7)),
        ("```\nprompt: otter", otter()),
        ("```yaml\nprompt: a ``` b\n```", DrawRequest(slots=Slots(subject=("a ``` b",)))),
        ("```\notter --seed 7\n```", otter(seed=7)),
    ],
)
def test_handwritten_recipes_are_read(text, expected):
    assert parse_draw(text) == expected


@pytest.mark.parametrize(
    ("prompt", "slots"),
    [
        ("owl, (hat:1.2)", Slots(subject=("owl", "(hat)1.2"))),
        ("otter,   hat, ink", Slots(subject=("otter", "hat"), style=("ink",))),
    ],
    ids=["edited", "only wrapped differently"],
)
def test_an_edited_flat_prompt_wins_as_the_subject(prompt, slots):
    recipe = {"prompt": prompt, "slots": {"subject": ["otter", "hat"], "style": ["ink"]}}
    assert parse_draw(json.dumps(recipe)).slots == slots


def test_an_edited_recipe_is_read():
    edited = parse_draw(RECIPE.replace("prompt: otter,", "prompt: owl,", 1))
    assert edited.slots == Slots(subject=("owl", "(cowboy hat)++", "denim jacket", "16:9", "no", "well-lit"))
    assert edited.seed == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prompt: otter\nsed: 7", "A recipe has no key “sed”. Did you mean seed?"),
        ("prompt: otter\nseed: many", "seed takes a whole number, not “many”."),
        ("prompt: otter\nseed: 1e3", "seed takes a whole number, not “1e3”."),
        ("prompt: otter\nguidance_scale: .nan", "guidance_scale takes a number such as 7.5, not “.nan”."),
        (
            '{"prompt": "otter", "guidance_scale": Infinity}',
            "guidance_scale takes a number such as 7.5, not “Infinity”.",
        ),
        ('{"prompt": "otter", "seed": true}', "In a recipe, seed takes one text or number."),
        ("prompt: otter\ntheme: [a]", "In a recipe, theme takes one text or number."),
        ("prompt: [otter]", "In a recipe, prompt takes one text or number."),
        ("prompt: otter\nwidth: 64", "A recipe needs both width and height, or neither."),
        ("prompt:\n  hat: cowboy\n  stile: ink", "A recipe has no slot “hat”. "),
        ("prompt:\n  stile: ink", "A recipe has no slot “stile”. Did you mean style?"),
        ("prompt:\n  style: {a: b}", "style takes a list of terms."),
        ("prompt: otter\nslots: otter", "“slots” has a line for each slot: "),
        ("prompt: {subject: a}\nslots: {subject: b}", "That recipe has its slots twice, in “prompt” and in “slots”. "),
        ("prompt: otter\nfacts: x", "“facts” has a line for each fact."),
        ("prompt: otter\nfacts: {plan: x}", "“plan” has a line for each fact."),
        ("prompt: otter\nprompt: owl", "“prompt” is in the recipe twice. Keep one of them."),
        ("Prompt: otter\nprompt: owl", "“prompt” is in the recipe twice. Keep one of them."),
        ('{"prompt": "otter", "prompt": "owl"}', "“prompt” is in the recipe twice. Keep one of them."),
        ("prompt: otter\n[a, b]: c", "A key of a recipe is one word."),
        ("prompt: &a otter", "A recipe can't have anchors (&) or aliases (*). "),
        ("prompt: *a", "A recipe can't have anchors (&) or aliases (*). "),
        ("prompt: !!python/name:os.system otter", "A recipe can't have tags (!). "),
        ("prompt: ! otter", "A recipe can't have tags (!). "),
        ("prompt: " + "[" * 2000, "A recipe nests up to 5 levels deep."),
        ("prompt: otter, " + "[" * (MAX_OPEN_BRACKETS + 1), "A recipe nests up to 5 levels deep."),
        ('{"a":' * 17 + "1" + "}" * 17, "A recipe nests up to 16 levels deep."),
        ('{"a":' * 3000, "A recipe nests up to 16 levels deep."),
        ('{"a": 1}', "There's no prompt in that JSON, only “a”. "),
        ("prompt: otter\n---\nprompt: owl", "That's several recipes. Send one at a time."),
        ("prompt: otter: hat", "I can't read line 1 of that recipe. "),
        ("prompt: otter\x07", "I can't read"),
        ("```yaml\n```", "That recipe is empty."),
        ("```yaml\n# nothing\n```", "That recipe is empty."),
        ("```yaml\n- otter\n```", "A recipe has lines such as “prompt: otter”."),
        ('{"prompt": "otter"', "I can't read that JSON at line 1, column 19: "),
        (r'{"prompt": "\ud83d"}', r"That recipe has half a sign in it, such as “\ud83d”."),
        (r'{"prompt": "ot\u0000ter"}', r"That recipe has a sign that no text can have, “\u0000”."),
        (r'prompt: "ot\0ter"', r"That recipe has a sign that no text can have, “\u0000”."),
        ("prompt: otter --seed 7", "There's a flag in prompt. Put flags on a line of their own, below the recipe."),
        ("prompt: otter\nnegative_prompt: cars —seed 7", "There's a flag in negative_prompt. "),
        ("prompt: otter\nstyle: ink --seed 7", "There's a flag in style. "),
        ("{}", "There's nothing to draw yet. "),
        ("negative_prompt: cars", "There's nothing to draw yet. "),
    ],
)
def test_bad_recipes_are_refused_with_a_sentence(text, sentence):
    # Only what a fence calls YAML follows YAML's rules; a typed `prompt: …` is words.
    fenced = text if text.startswith(("{", "```")) else f"```yaml\n{text}\n```"
    with pytest.raises(ParseError) as refusal:
        parse_draw(fenced)
    assert str(refusal.value).startswith(sentence)


def test_the_brackets_of_a_text_are_no_levels_of_a_recipe():
    assert parse_draw("prompt: hat " + "[(" * MAX_OPEN_BRACKETS + "otter" + ")]" * MAX_OPEN_BRACKETS).slots


def test_a_recipe_file_has_a_limit():
    assert parse_draw("+hat", recipe="prompt: " + "a" * (MAX_MESSAGE_CHARS - 8))
    with pytest.raises(ParseError, match=f"That's {MAX_MESSAGE_CHARS + 1} characters. I read up to"):
        parse_draw("+hat", recipe="prompt: " + "a" * (MAX_MESSAGE_CHARS - 7))


BLOCK = """\
masterpiece, (otter:1.2), ((hat)), [fog],
best quality, well-lit <lora:fluff:0.7>
Negative prompt: (worst quality:1.4), cars,
ugly
Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1, Size: 512x768, Model hash: abc, Model: dreamy, \
Lora hashes: "fluff: 12, b: 3", Version: v1.9"""

BLOCK_DRAWN = DrawRequest(
    slots=Slots(subject=("masterpiece", "(otter)1.2", "((hat)+)+", "(fog)-", "best quality", "well-lit")),
    negative_prompt="(worst quality)1.4, cars, ugly",
    seed=1,
    steps=20,
    guidance_scale=7.5,
    size=(512, 768),
    sampler="euler_a",
    model="dreamy",
    unused=("<lora:fluff:0.7>",),
)


@pytest.mark.parametrize("text", [BLOCK, f"```\n{BLOCK}\n```"])
def test_an_a1111_block_is_read(text):
    assert parse_draw(text) == BLOCK_DRAWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{BLOCK} --seed 8", BLOCK_DRAWN.changed_by(DrawRequest(seed=8))),
        (
            f"{BLOCK}\n—size square | style: ink",
            BLOCK_DRAWN.changed_by(DrawRequest(size="square", slots=Slots(style=("ink",)))),
        ),
        (f"```\n{BLOCK}\n``` --no fog", BLOCK_DRAWN.changed_by(DrawRequest(no=("fog",)))),
        ("otter\nSteps: 20", otter(steps=20)),
        ("otter\nNegative prompt:\ncars", otter(negative_prompt="cars")),
        ("otter\nNegative prompt: cars, (ugly:1.2)", otter(negative_prompt="cars, (ugly)1.2")),
        ("otter --seed 7\nnegative prompt: cars --steps 9", otter(negative_prompt="cars", seed=7, steps=9)),
        ("Negative prompt: cars\nsubject: otter", otter(negative_prompt="cars")),
    ],
)
def test_text_around_a_block_is_read(text, expected):
    assert parse_draw(text) == expected


def test_long_settings_are_cut_in_the_note():
    settings = ", ".join(f"Extra {n}: {n}" for n in range(20))
    note = unused_note(parse_draw(f"otter\nSteps: 20, {settings}").unused)
    assert note.startswith("Not used: Extra 0 0, ") and note.endswith("Extra 7 7, ….")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("otter --seed 8\nSteps: 20, Seed: 1", "There's a flag in the pasted prompt. "),
        ("otter\nSteps: 20, Seed: x", "Seed takes a whole number, not “x”."),
        ("otter\nSteps: 20, CFG scale: x", "CFG scale takes a number such as 7.5, not “x”."),
        ("otter\nSteps: 20, Size: huge", "Size takes portrait, landscape, square or pixels such as 768x1024"),
        ("Negative prompt: cars\nSteps: 20", "There's nothing to draw yet. "),
    ],
)
def test_bad_blocks_are_refused_with_a_sentence(text, sentence):
    with pytest.raises(ParseError) as refusal:
        parse_draw(text)
    assert str(refusal.value).startswith(sentence)


def test_the_flat_prompt_is_joined_in_the_order_of_the_slots():
    slots = Slots(**{slot: (slot,) for slot in reversed(SLOTS)})
    assert slots.joined() == "subject, outfit, environment, emotions, style"
