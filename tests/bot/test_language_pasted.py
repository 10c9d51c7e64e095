"""What people paste and type in the forms of other programs and chats: each kind is read, or told in one answer."""

import pytest

from bot.easel.language import SLOTS, DrawRequest, ParseError, Slots, parse_all, parse_draw, parse_recipe, sampler_name
from tests.bot.test_language_recipes import DRAWN, RECIPE


def request(subject="otter", *, unused=(), **typed):
    """A request; slots are given as texts, split at commas."""
    slots = {slot: typed.pop(slot) for slot in SLOTS if slot in typed} | {"subject": subject}
    terms = {slot: tuple(text.split(", ")) for slot, text in slots.items()}
    return DrawRequest(slots=Slots(**terms), unused=unused, **typed)


def refusal(text: str, **more) -> str:
    with pytest.raises(ParseError) as error:
        parse_all(text, **more)
    return str(error.value)


BELOW_A_BLOCK = [
    (
        "otter, straw hat\nNegative prompt: blurry\nSteps: 20, Seed: 7, Size: 512x768, Model: x,\n"
        "Denoising strength: 0.4, Clip skip: 2, Version: v1.6.0",
        request(
            "otter, straw hat",
            negative_prompt="blurry",
            steps=20,
            seed=7,
            size=(512, 768),
            model="x",
            strength=0.4,
            unused=("Clip skip 2",),
        ),
    ),
    (
        "1 otter\nSteps: 20, Seed: 4, Version: 1.8.0\n\nA: 13.96 GB, R: 15.27 GB",
        request("1 otter", steps=20, seed=4, unused=("A 13.96 GB", "R 15.27 GB")),
    ),
    (
        "otter\nSteps: 20, Seed: 4\nTime taken: 2 min. 3.1 sec.\nTorch active/reserved: 3000/4000 MiB",
        request(steps=20, seed=4),
    ),
    ("otter\n\nSteps: 20, Seed: 1\n\nNegative prompt: blurry", request(negative_prompt="blurry", steps=20, seed=1)),
    ("otter\nSteps: 20, Seed: 1\nhat, scarf", request("otter, hat, scarf", steps=20, seed=1)),
    ("otter\nSteps: 20, Seed: 1\nhat\nstyle: ink", request("otter, hat", style="ink", steps=20, seed=1)),
    ("otter\nSteps: 20\n--seed 8 | style: ink", request(style="ink", steps=20, seed=8)),
]

FORMS_OF_A_BLOCK = [
    (
        "otter on a rock, fog Negative prompt: Steps: 23, CFG scale: 3.5, Seed: 17, Size: 832x1216, "
        'Civitai resources: [{"type": "checkpoint"}]',
        request(
            "otter on a rock, fog",
            negative_prompt="",
            steps=23,
            guidance_scale=3.5,
            seed=17,
            size=(832, 1216),
            unused=("Civitai resources",),
        ),
    ),
    (
        "blue otter\nNegative prompt: low quality, badhand , Steps: 41, Seed: 11, Size: 512x512",
        request("blue otter", negative_prompt="low quality, badhand", steps=41, seed=11, size=(512, 512)),
    ),
    (
        "otter\nNegative prompt: blurry\nSize: 512x768, Seed: 20, Steps: 25, Sampler: Euler a",
        request(negative_prompt="blurry", size=(512, 768), seed=20, steps=25, sampler="euler_a"),
    ),
    (
        "otter\nNegative prompt: x\nSteps: 20\nSampler: Euler a\nCFG scale: 7\nSeed: 1\nSize: 512x768",
        request(negative_prompt="x", size=(512, 768), seed=1, steps=20, guidance_scale=7.0, sampler="euler_a"),
    ),
    (
        "otter\nSampler: DPM++ 2M Karras\nSteps: 20; Seed: 1",
        request(seed=1, steps=20, sampler="dpmpp_2m", unused=("Schedule Karras",)),
    ),
    ("otter\nsteps: 20, seed: 1", request(steps=20, seed=1)),
    ("otter\nSTEPS: 20, SEED: 1", request(steps=20, seed=1)),
    ("otter\nSteps : 20, Seed : 1", request(steps=20, seed=1)),
    ("otter\nSteps:20,Seed:1", request(steps=20, seed=1)),
    ("otter\nSteps: 20 Seed: 1", request(steps=20, seed=1)),
    ("otter\nSteps：20，Seed：1", request(steps=20, seed=1)),
    (
        "otter\nSteps: 20, CFG: 7, Seed: 1, Width: 512, Height: 768",
        request(steps=20, guidance_scale=7.0, seed=1, size=(512, 768)),
    ),
    ("otter\nSteps: 20, CFG scale: 7,5, Seed: 1", request(steps=20, guidance_scale=7.5, seed=1)),
    ("otter\nSteps: 20, Seed: -1", request(steps=20)),
    (
        "otter\nSteps: 20, Hires steps: 10, Variation seed: 5",
        request(steps=20, unused=("Hires steps 10", "Variation seed 5")),
    ),
    (
        "> otter, hat\n> Negative prompt: blurry\n> Steps: 20, Seed: 5",
        request("otter, hat", negative_prompt="blurry", steps=20, seed=5),
    ),
    (
        "otter, (cowboy hat)1.3, (fog)--\nNegative prompt: (text)1.2\nSteps: 20, "
        "Sampler: unipc, Seed: 7, Model: ssd-1b",
        request(
            "otter, (cowboy hat)1.3, (fog)--",
            negative_prompt="(text)1.2",
            steps=20,
            sampler="unipc",
            seed=7,
            model="ssd-1b",
        ),
    ),
    ("parameters\notter, hat\nNegative prompt: x\nSteps: 20", request("otter, hat", negative_prompt="x", steps=20)),
    ("otter steps=30 seed=99997", request(steps=30, seed=99997)),
    (
        "otter\nSteps: 20 | Sampler: Euler a | CFG scale: 7 | Seed: 5",
        request(steps=20, sampler="euler_a", guidance_scale=7.0, seed=5),
    ),
    ("otter, hat\nSteps 20, Seed 5", request("otter, hat", steps=20, seed=5)),
    ("otter, seed 5", request(seed=5)),
    ("otter\n**Steps:** 20\n**Seed:** 5", request(steps=20, seed=5)),
    ("otter\n- Steps: 20\n- Seed: 5", request(steps=20, seed=5)),
    ("Prompt: otter\nSteps: 20. Seed: 5.", request(steps=20, seed=5)),
    ("otter, hat, steps: 30, seed: 5, scarf", request("otter, hat, scarf", steps=30, seed=5)),
]

LABELS = [
    ("otter, negative prompt: blurry", request(negative_prompt="blurry")),
    ("otter Negative prompt: blurry", request(negative_prompt="blurry")),
    ("otter. NEGATIVE_PROMPT = blurry, text", request(negative_prompt="blurry, text")),
    ("otter / negative prompt: blurry", request(negative_prompt="blurry")),
    ("otter (negative prompt: blurry)", request(negative_prompt="blurry")),
    ("otter, hat, negative: blurry", request("otter, hat", negative_prompt="blurry")),
    ("otter | negative prompt: blurry | style: ink", request(negative_prompt="blurry", style="ink")),
    ("otter, negative prompt: blurry --seed 7", request(negative_prompt="blurry", seed=7)),
    ("otter（hat），negative prompt：blurry", request("otter(hat)", negative_prompt="blurry")),
    ("**Prompt:** a cozy otter\n**Negative prompt:** blurry", request("a cozy otter", negative_prompt="blurry")),
    ("__Prompt__: a cozy otter\n*Negative prompt:* blurry", request("a cozy otter", negative_prompt="blurry")),
    ("### Prompt\na cozy otter\n### Negative prompt\nblurry", request("a cozy otter", negative_prompt="blurry")),
    ("Prompt:\na cozy otter\n\nNegative prompt:\nblurry", request("a cozy otter", negative_prompt="blurry")),
    ("Positive prompt: otter\nNegative prompt: blurry\nSeed: 7", request(negative_prompt="blurry", seed=7)),
    ("/imagine prompt: otter --ar 3:2", request(aspect_ratio=(3, 2))),
    ("/imagine prompt:otter, hat", request("otter, hat")),
    ("imagine prompt: otter", request()),
    ("- otter\n- hat", request("otter, hat")),
    ("• otter\n• hat", request("otter, hat")),
    ("1. otter\n2) hat", request("otter, hat")),
    ("**otter**, `hat`, *scarf*", request("otter, hat, scarf")),
    ("__animal__, hat", request("__animal__, hat")),
]

TYPED_PROMPTS = [
    ("prompt: otter, #1 dad mug", request("otter, #1 dad mug")),
    ("prompt: otter in a hat, at night: the movie", request("otter in a hat, at night: the movie")),
    ("prompt: otter: the movie", request("otter: the movie")),
    ("prompt: [otter], hat", request("(otter)-, hat")),
    ("prompt: *otter*, & friends", request("otter, & friends")),
    ('prompt: "otter, hat"', request("otter, hat")),
    ("Prompt: a cozy otter, 8k\nNegative prompt: blurry", request("a cozy otter, 8k", negative_prompt="blurry")),
    (
        "Prompt: otter\nSteps: 20\nSampler: Euler a\nCFG scale: 7\nSeed: 5",
        request(steps=20, sampler="euler_a", guidance_scale=7.0, seed=5),
    ),
    ("prompt: otter | style: ink --seed 7", request(style="ink", seed=7)),
]

OTHER_SYNTAX = [
    ("otter BREAK beach, sunset AND hat", request("otter, beach, sunset, hat")),
    ("otter, hat\nBREAK\nbeach", request("otter, hat, beach")),
    ("R AND B", request("R AND B")),
    ("otter::2 hat::1", request("(otter)1.333, (hat)0.667")),
    ("otter:: hat", request("otter, hat")),
    ("otter::1 fog::-0.5 --ar 3:2", request("(otter)1.333", no=("fog",), aspect_ratio=(3, 2))),
    ("{{{otter}}}, 1.3::red scarf::", request("(((otter)1.05)1.05)1.05, (red scarf)1.3")),
    ("otter, {red} hat", request("otter, {red} hat")),
    (
        "otter --ar 16:9 --v 6.1 --stylize 250 --q 2",
        request(aspect_ratio=(16, 9), unused=("--v 6.1", "--stylize 250", "--q 2")),
    ),
    (
        "otter --v 7 --style raw --tile --sref https://example.org/a.png hat",
        request("otter hat", unused=("--v 7", "--tile", "--sref https://example.org/a.png", "--style raw")),
    ),
    ("otter --style raw", request(unused=("--style raw",))),
    ("otter --v6 --q 2", request(unused=("--v6", "--q 2"))),
    ("**otter, hat** --ar 3:2 - @ada (fast)", request("otter, hat", aspect_ratio=(3, 2))),
    ("otter --ar 3:2 - Image #1 <@1234>", request(aspect_ratio=(3, 2))),
    ("&lt;otter&gt; &amp; hat", request("<otter> & hat")),
    ('[{"prompt": "otter", "seed": 7}]', request(seed=7)),
    ("{'prompt': 'otter', 'seed': 7}", request(seed=7)),
    ("{'prompt': \"otter's hat\", 'seed': None, 'tiling': False,}", request("otter's hat")),
    ("{“prompt”: “otter”, “seed”: 7}", request(seed=7)),
    ('this one:\n{"prompt": "otter"}\n--seed 8', request(seed=8, unused=("“this one:”",))),
]

WIDE_SIGNS = [
    ("otter，cowboy hat｜style：watercolor", request("otter, cowboy hat", style="watercolor")),
    ("otter ｜ style: x －－seed 7", request(style="x", seed=7)),
    ("otter、hat；style：x", request("otter, hat", style="x")),
    ("（otter）＋＋，hat －－seed＝７", request("(otter)++, hat", seed=7)),
    ("otter، hat", request("otter, hat")),
]

STRAY_SIGNS = [
    ("otter; style: x", request(style="x")),
    ("otter; hat; outfit: coat; style = x", request("otter, hat", outfit="coat", style="x")),
    ("otter │ style: x", request(style="x")),
    ("otter . Style: x", request(style="x")),
    ("otter -> style: x", request(style="x")),
    ("otter ~ style: x", request(style="x")),
    ("otter / style: x", request(style="x")),
    ("otter--seed 7", request(seed=7)),
    ("otter—seed 7", request(seed=7)),
    ("otter — seed 7", request(seed=7)),
    ("otter -- steps: 20 - seed 7", request(steps=20, seed=7)),
    ("otter — style watercolor", request(style="watercolor")),
    ("otter --style watercolor--seed 7", request(style="watercolor", seed=7)),
    (r"otter \-\-seed 7, cat\_ears", request("otter, cat_ears", seed=7)),
    ("otter — cowboy", request("otter — cowboy")),
    ("sad otter :-(", request("sad otter :-(")),
]

NUMBERS = [
    ("otter --seed -1", request()),
    ("otter --seed random", request()),
    ("otter --cfg 7,5", request(guidance_scale=7.5)),
    ("otter --strength 0,6", request(strength=0.6)),
    ("otter --ar 2.39:1", request(aspect_ratio=(239, 100))),
    ("otter --ar 1.85", request(aspect_ratio=(37, 20))),
    ("otter --width 512 --height 768", request(size=(512, 768))),
    ("otter --size 512,768 --seed 1", request(size=(512, 768), seed=1)),
    ("otter --size 512 768", request(size=(512, 768))),
    ("prompt: otter\nseed: -1", request()),
    ('{"prompt": "otter", "seed": -1}', request()),
    ("otter\nsteps: 20", request(steps=20)),
    ("otter | cfg: 7", request(guidance_scale=7.0)),
]

OF_EACH_KIND = [
    (
        "otter. Negative prompt: cars. Steps: 30. Seed: 12.",
        request(negative_prompt="cars", steps=30, seed=12),
    ),
    ("otter (Steps: 20, Seed: 7)", request(steps=20, seed=7)),
    ("otter [Seed: 7]", request(seed=7)),
    ("parameters: otter\nSteps: 20, Seed: 7", request(steps=20, seed=7)),
    ("Prompt - otter\nSeed: 7", request(seed=7)),
    ("otter, without: cars", request(negative_prompt="cars")),
    ("{prompt: otter}", request()),
    ("{prompt: otter, hat, seed: 7}", request("otter, hat", seed=7)),
    ('{\n  prompt: "otter",\n  seed: 7,\n}', request(seed=7)),
    ("{prompt: otter} --seed 7 | style: ink", request(style="ink", seed=7)),
    ("otter seed 7", request(seed=7)),
    ("otter in a hat steps 30 seed 7", request("otter in a hat", steps=30, seed=7)),
    ("otter with seed 7 of 9", request("otter with seed 7 of 9")),
    ("otter, embedding:easynegative, hat", request("otter, hat", unused=("embedding:easynegative",))),
    ("otter, (embedding:badhands:1.2)", request(unused=("(embedding:badhands:1.2)",))),
    ("otter --quality high", request(unused=("--quality high",))),
    ("otter --landscape --seed 7", request(size="landscape", seed=7)),
]

SMILEYS = [
    (":-( otter, hat :-)", (r":-\( otter", r"hat :-\)")),
    ("otter :( or (hat)++ :)", (r"otter :\( or (hat)++ :\)",)),
    ("sad otter :-(", ("sad otter :-(",)),
    ("(hat)++, otter :)", ("(hat)++", "otter :)")),
    ("(otter, hat :)++", ("(otter, hat :)++",)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(*BELOW_A_BLOCK, *FORMS_OF_A_BLOCK, *LABELS, *TYPED_PROMPTS, *OTHER_SYNTAX),
        *(*WIDE_SIGNS, *STRAY_SIGNS, *NUMBERS, *OF_EACH_KIND),
    ],
)
def test_what_can_be_read_in_one_way_is_read(text, expected):
    (read,) = parse_all(text).requests
    assert read == expected


@pytest.mark.parametrize(("text", "terms"), SMILEYS)
def test_a_smiley_is_no_bracket(text, terms):
    assert parse_draw(text).slots.subject == terms
    # The generator's syntax is compel's, in which an escaped bracket is a sign.
    assert parse_draw(", ".join(terms)).slots.subject == terms


WITHOUT_INDENTATION = "\n".join(line.strip() for line in RECIPE.splitlines())
ON_ONE_LINE = " ".join(WITHOUT_INDENTATION.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        WITHOUT_INDENTATION,
        ON_ONE_LINE,
        f"this again please\n```\n{RECIPE}\n```",
        f"this:\n{RECIPE}",
        f"once more\n{WITHOUT_INDENTATION}",
        f"~~~yaml\n{RECIPE}~~~",
        "> " + RECIPE.replace("\n", "\n> "),
        "> this:\n> " + RECIPE.replace("\n", "\n> "),
        f"~~~\n{RECIPE}~~~",
        f"```\n{WITHOUT_INDENTATION}\n```",
        RECIPE.replace("- ", "• "),
    ],
)
def test_a_recipe_that_lost_its_layout_is_drawn(text):
    read = parse_draw(text)
    assert read.slots == DRAWN.slots
    assert read.negative_prompt == DRAWN.negative_prompt
    assert (read.seed, read.size, read.theme, read.model, read.steps) == (7, (768, 1024), "otter", "ssd-1b", 30)
    assert (read.facts.model_revision, read.facts.plan) == (DRAWN.facts.model_revision, DRAWN.facts.plan)
    words = {"this again please", "this:", "once more"}
    assert {part.strip("“”") for part in read.unused} == {word for word in words if word in text}


def test_a_recipe_file_is_cleaned_as_messages_are():
    assert parse_recipe(RECIPE.replace("  ", "\u00a0\u00a0")).slots == DRAWN.slots
    assert parse_recipe("\ufeff" + RECIPE.replace("\n", "\r\n")) == DRAWN


def test_a_file_of_another_program_is_a_recipe():
    assert parse_recipe("otter\nNegative prompt: x\nSteps: 20, Seed: 1") == request(
        negative_prompt="x", steps=20, seed=1
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "otter --foo --sede 7 --ar wide",
            "There are no flags --foo and --sede (--seed?). !easel help flags lists them all. "
            "--ar takes width to height such as 3:4, not “wide”.",
        ),
        ("{2$$otter|owl}", "A list draws all of its choices. Leave out “2$$”."),
        ("otter --upscale 2", "There's no flag --upscale. Did you mean ⬆️ under a picture?"),
        ("otter --scheduler euler", "There's no flag --scheduler. Did you mean --sampler?"),
        ("otter --stepps 7", "There's no flag --stepps. Did you mean --steps?"),
        ("otter -s 50 -W 512", "Here -s is --steps and -W is --size."),
        ("otter --width 512", "A size needs both sides, such as --size 768x1024."),
        (
            "otter --steps a --cfg b",
            "--steps takes a whole number, not “a”. --cfg takes a number such as 7.5, not “b”.",
        ),
        (
            "prompt: otter\nimage: abc",
            "image is a photo's SHA-256, 64 digits and letters, not “abc”. Reply to the photo.",
        ),
        (
            "(otter,style:ink)",
            "To start another slot, put “|” or a new line before “style:ink”, outside of brackets.",
        ),
        ("+hat", "“+hat” changes a picture: reply to one with it."),
        ("otter +hat, scarf", "“+hat” changes a picture: reply to one with it."),
        (
            "{'3': {'class_type': 'KSampler'}}",
            "There's no prompt in that JSON, only “3”. Say it in words: !draw otter --steps 20.",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_answer(text, sentence):
    assert refusal(text) == sentence


def test_names_of_styles_are_equal_in_any_spelling():
    styles = {"pop-art": "(pop art)+", "watercolor": "soft edges"}
    for typed in ("@pop-art", "@pop_art", "@Pop_Art", "@popart", "＠pop-art"):
        assert parse_all(typed, styles=styles).requests == (request("(pop art)+"),)
    assert refusal("otter | style: @watercolour", styles=styles).endswith("Did you mean @watercolor?")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        *(("UniPC", "unipc"), ("Euler a", "euler_a"), ("Euler", "euler"), ("DPM++ 2M", "dpmpp_2m"), ("LCM", "lcm")),
        *(("DPM++ 2M SDE", "dpmpp_2m_sde"), ("PLMS", "pndm"), ("k_euler_ancestral", "euler_a"), ("k_euler", "euler")),
        *(("EulerAncestralDiscreteScheduler", "euler_a"), ("UniPCMultistepScheduler", "unipc")),
        *(("DPMSolverMultistepScheduler", "dpmpp_2m"), ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde"), ("euler-a", "euler_a")),
        ("DDIM", "DDIM"),
    ],
)
def test_samplers_are_known_by_the_names_of_other_programs(theirs, ours):
    assert sampler_name(theirs) == (ours, None)


@pytest.mark.parametrize(
    ("theirs", "schedule"),
    [("DPM++ 2M Karras", "Karras"), ("dpmpp_2m_k", "Karras"), ("DPM++ 2M SGM Uniform", "SGM Uniform")],
)
def test_the_schedule_behind_a_sampler_is_told_apart(theirs, schedule):
    assert sampler_name(theirs) == ("dpmpp_2m", schedule)
