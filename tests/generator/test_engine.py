"""The denoising loop equals diffusers' own pipeline, with the same weights in fp32 on the CPU."""

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np
import psutil
import pytest
import torch
from diffusers import UniPCMultistepScheduler

from generator.api.types import EarlierFacts, Recipe, Slots
from generator.engine import ways
from generator.engine.diffusion import MAX_LEFT_OUT_CHARS, DiffusionEngine, encodes_beside
from generator.engine.model import Model
from generator.engine.needs import Arrangement
from generator.engine.text import TextEncoding
from generator.errors import DrawingFailed, WeightsMissing
from generator.models.cards import CardSettings
from generator.settings import Settings
from generator.workers.messages import Draw
from tests.helpers.stand_in import stand_in_settings
from tests.helpers.stock import denoised, stock_latents, stock_pipeline


@pytest.fixture(scope="module")
def pipeline(stand_in_folder):
    pipeline = stock_pipeline(stand_in_folder)
    pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    return pipeline


@pytest.fixture(scope="module")
def engine(stand_in_folder):
    return DiffusionEngine(Settings(**stand_in_settings(stand_in_folder), device="cpu"))


@pytest.fixture(scope="module")
def small_engine(v_prediction_folder):
    sizes, limits = {"square": (64, 64)}, {"min_side": 64}
    card = CardSettings(
        family="sdxl",
        folder=v_prediction_folder,
        sizes=sizes,
        limits=limits,
        enlarge=2,
        defaults={"negative_prompt": "ugly"},
    )
    return DiffusionEngine(Settings(device="cpu", models={"small": card}))


def recipe(**changes) -> Recipe:
    return Recipe(
        **{
            "slots": Slots(subject=("otter", "cowboy hat")),
            "negative_prompt": "ugly",
            "theme": "otter",
            "model": "stand-in",
            "seed": 7,
            "width": 64,
            "height": 96,
            "steps": 6,
            "guidance_scale": 12.0,
            "sampler": "unipc",
            "tier": "exact",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "negative"),
    [
        ({}, "ugly"),
        ({"negative_prompt": ""}, None),
        ({"guidance_scale": 1.0}, "ugly"),
        ({"width": 128, "height": 64, "steps": 3, "seed": 2**53 - 1}, "ugly"),
    ],
    ids=["guided", "no negative prompt", "no guidance", "another size, schedule and seed"],
)
def test_the_loop_equals_the_stock_pipeline(engine, pipeline, changes, negative):
    asked = recipe(**changes)
    stock = stock_latents(pipeline, asked, negative)

    latents = denoised(engine, asked).latents

    assert (latents - stock).abs().max() < 1e-4 * stock.std()


def test_the_picture_equals_the_stock_pipelines_picture(engine, pipeline):
    stock = pipeline(
        prompt="otter, cowboy hat",
        negative_prompt="ugly",
        width=64,
        height=96,
        num_inference_steps=6,
        guidance_scale=12.0,
        generator=torch.Generator().manual_seed(7),
    ).images[0]

    drawn = engine.finish(denoised(engine, recipe()))

    assert drawn.image.size == (64, 96)
    assert np.abs(np.asarray(drawn.image, dtype=int) - np.asarray(stock, dtype=int)).max() <= 1


def test_latents_and_schedule_are_the_models_own(small_engine, v_prediction_folder):
    """The VAE's factor differs from SDXL's; v-prediction, zero terminal SNR, trailing spacing."""
    pipeline = stock_pipeline(v_prediction_folder)
    pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    asked = {"width": 64, "height": 96, "num_inference_steps": 6, "guidance_scale": 3.0}
    stock = pipeline("otter", negative_prompt="ugly", generator=torch.Generator().manual_seed(7), **asked).images[0]

    drawing = denoised(small_engine, recipe(model="small", slots=Slots(subject=("otter",)), guidance_scale=3.0))

    assert drawing.latents.shape == (1, 4, 24, 16)
    assert drawing.sampling.scheduler.config.prediction_type == "v_prediction"
    assert drawing.sampling.scheduler.timesteps[0] == 999
    assert drawing.sampling.scheduler.alphas_cumprod[-1] < 1e-6
    drawn = small_engine.finish(drawing)
    assert (drawn.image.size, drawn.enlarge, drawn.plan["enlarged"]) == ((64, 96), 2, 2)
    assert np.abs(np.asarray(drawn.image, dtype=int) - np.asarray(stock, dtype=int)).max() <= 1


@pytest.mark.parametrize(
    ("subject", "negative", "notes"),
    [
        (("otter", "hat"), "ugly", ()),
        (("otter", "(spaceship)++"), "ugly, hat, (moonbase)-", ("small does not know: spaceship, moonbase",)),
    ],
)
def test_words_unknown_to_a_small_model_are_noted(small_engine, subject, negative, notes):
    asked = recipe(model="small", slots=Slots(subject=subject), negative_prompt=negative, steps=1)
    assert small_engine.finish(denoised(small_engine, asked)).notes == notes


def test_two_drawings_at_once_do_not_change_each_other(engine):
    alone = [denoised(engine, recipe(seed=seed, steps=steps)).latents for seed, steps in ((1, 4), (2, 6))]
    first, second = (engine.start(Draw("drawing", recipe(seed=seed, steps=steps))) for seed, steps in ((1, 4), (2, 6)))
    while second.step < second.steps:
        for drawing in (first, second):
            if drawing.step < drawing.steps:
                engine.step([drawing])
    assert torch.equal(first.latents, alone[0])
    assert torch.equal(second.latents, alone[1])


def drawn_in_company(engine, recipes, *, joining):
    """Draw all in shared calls. Each joins ``joining`` steps after the previous one."""
    engine.models.get("stand-in").at_once[recipes[0].pixels] = len(recipes)
    waiting, under_way, ended = list(recipes), [], []
    tick = 0
    while waiting or under_way:
        if waiting and tick % joining == 0:
            under_way.append(engine.start(Draw("drawing", waiting.pop(0))))
        engine.step(under_way)
        ended += [drawing for drawing in under_way if drawing.step == drawing.steps]
        under_way = [drawing for drawing in under_way if drawing.step < drawing.steps]
        tick += 1
    return sorted(ended, key=lambda drawing: recipes.index(drawing.recipe))


COMPANY = [
    recipe(seed=1, steps=8, guidance_scale=7.0),
    recipe(seed=2, steps=5, guidance_scale=1.0),
    recipe(seed=3, steps=6, guidance_scale=12.0, negative_prompt=""),
    recipe(seed=4, steps=7, slots=Slots(subject=("owl",)), tier="balanced"),
    recipe(seed=5, steps=7, tier="fast"),
]


def test_drawings_that_join_at_different_steps_equal_themselves_alone(engine):
    """Different steps, counts, guidance, prompts and tiers share calls. Pixels, from 0 to 1, differ by at most 1e-3."""
    alone = [engine.finish(denoised(engine, one)).image for one in COMPANY]
    together = drawn_in_company(engine, COMPANY, joining=2)
    assert max(drawing.most_together for drawing in together) >= 3
    for drawing, image in zip(together, alone, strict=True):
        shared = engine.finish(drawing)
        difference = np.asarray(shared.image, dtype=int) - np.asarray(image, dtype=int)
        assert np.abs(difference).max() <= 255 * 1e-3 + 1
        assert shared.plan["drawn_together"] == drawing.most_together


def test_latents_of_shared_calls_are_within_a_thousandth(engine):
    alone = [denoised(engine, one).latents for one in COMPANY]
    for drawing, latents in zip(drawn_in_company(engine, COMPANY, joining=1), alone, strict=True):
        assert (drawing.latents - latents).abs().max() < 1e-3 * latents.std()


def test_one_call_a_step_serves_all_drawings_that_can_share_it(engine):
    calls = []
    hook = engine.models.get("stand-in").model.unet.register_forward_pre_hook(
        lambda _, args: calls.append(len(args[0]))
    )
    small, larger = recipe(steps=2), recipe(width=128, steps=2)
    engine.models.get("stand-in").at_once.update({small.pixels: 3, larger.pixels: 1})
    drawings = [
        engine.start(Draw("drawing", one)) for one in (small, recipe(steps=2, seed=8), recipe(steps=2, seed=9), larger)
    ]
    engine.step(drawings)
    hook.remove()
    assert calls == [6, 2]


def test_the_same_recipe_gives_the_same_picture_and_another_seed_another(engine):
    first, again, other = (engine.finish(denoised(engine, recipe(seed=seed))).image for seed in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("term", ["(cowboy hat)++", "(cowboy hat)--", "(cowboy hat)1.7"])
def test_a_weight_changes_the_picture(engine, term):
    plain, weighted = (
        engine.finish(denoised(engine, recipe(slots=Slots(subject=("otter", words))))).image
        for words in ("cowboy hat", term)
    )
    assert plain.tobytes() != weighted.tobytes()


@pytest.mark.parametrize(
    ("device", "arrangement", "is_beside"),
    [
        ("cpu", Arrangement.RESIDENT, False),
        ("cuda", Arrangement.RESIDENT, False),
        ("cuda", Arrangement.LEAN, True),
        ("cuda", Arrangement.OFFLOADED, True),
    ],
)
def test_text_is_encoded_ahead_if_the_card_is_another_device(engine, monkeypatch, device, arrangement, is_beside):
    assert encodes_beside(torch.device(device), arrangement) is is_beside
    following = recipe(slots=Slots(subject=("otter", f"{device} {arrangement}")))
    cached = engine.models.get(following.model)
    read, began = [], threading.Event()

    def note(*_):
        read.append(threading.current_thread().name)
        began.set()

    hook = cached.model.text_encoder.register_forward_pre_hook(note)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(engine.models, "plan", replace(engine.models.plan, device=torch.device(device)))
        elsewhere.setattr(cached, "model", replace(cached.model, arrangement=arrangement))
        engine.prepare(following)
    assert not is_beside or began.wait(30)
    ahead = engine.start(Draw("next", following)).conditioning.embeds
    hook.remove()
    assert read[0].startswith("text") is is_beside
    alone = TextEncoding(cached.model).encode(following.prompt, following.negative_prompt)
    assert torch.equal(ahead, alone.embeds)


def test_preparing_a_recipe_loads_no_model(stand_in_folder, engine):
    engine.prepare(recipe().model_copy(update={"model": "ssd-1b"}))
    assert engine.state().models == (recipe().model,)


def test_text_that_exceeds_the_model_is_noted(engine):
    drawn = engine.finish(denoised(engine, recipe(slots=Slots(subject=("otter", "a" * 290, "left over")), steps=1)))
    assert drawn.notes == ("Too long for the model, left out: left over",)


def test_of_much_text_that_exceeds_the_model_the_beginning_is_noted(engine):
    words = "b" * (MAX_LEFT_OUT_CHARS - 2)
    drawn = engine.finish(denoised(engine, recipe(slots=Slots(subject=("a" * 290, words, "c" * 200)), steps=1)))
    assert drawn.notes == (f"Too long for the model, left out: {words}…",)


def test_a_recipe_from_another_machine_is_drawn_and_the_difference_noted(engine):
    first = engine.finish(denoised(engine, recipe(steps=1)))
    earlier = EarlierFacts(
        model_revision=first.model_revision,
        plan={**first.plan, "device": "NVIDIA GeForce GTX 1070", "a later version's": "x" * 200},
    )
    drawing = engine.start(Draw("drawing", recipe(steps=1), earlier))
    engine.step([drawing])
    note = f"Pixels may differ from the first drawing: device was NVIDIA GeForce GTX 1070, is {first.plan['device']}."
    assert engine.finish(drawing).notes == (note,)


def test_a_recipe_with_the_same_plan_is_drawn_without_a_note(engine):
    first = engine.finish(denoised(engine, recipe(steps=1)))
    drawing = engine.start(
        Draw("drawing", recipe(steps=1), EarlierFacts(model_revision=first.model_revision, plan=first.plan))
    )
    engine.step([drawing])
    again = engine.finish(drawing)
    assert again.notes == ()
    assert again.image.tobytes() == first.image.tobytes()


def test_nan_latents_fail_the_drawing(engine):
    drawing = denoised(engine, recipe())
    drawing.latents = drawing.latents * float("nan")
    with pytest.raises(DrawingFailed) as failed:
        engine.finish(drawing)
    assert failed.value.error.code == "not_finite"


def test_missing_weights_are_reported_with_advice(engine, no_hub_cache, tmp_path):
    with pytest.raises(WeightsMissing, match="python -m generator fetch ssd-1b"):
        engine.start(Draw("drawing", recipe(model="ssd-1b")))


def test_memory_is_known_after_hello_and_covers_the_whole_machine(stand_in_folder):
    engine = DiffusionEngine(Settings(**stand_in_settings(stand_in_folder), device="cpu"))
    assert engine.state().memory is None
    memory = engine.hello().state.memory
    assert memory.total_bytes == psutil.virtual_memory().total
    assert psutil.Process().memory_info().rss < memory.used_bytes < memory.total_bytes


def test_tiles_take_effect_below_the_vaes_own_sample_size(stand_in_folder):
    """diffusers tiles only above 1024 by default: the tiled picture must differ a little from the untiled one."""
    big = recipe(width=768, height=576, steps=1)
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu")
    whole, tiled = (
        (engine := DiffusionEngine(settings.model_copy(update={"vae_tiling": tiling}))).finish(denoised(engine, big))
        for tiling in ("never", "always")
    )
    assert (whole.plan["vae_tiling"], tiled.plan["vae_tiling"]) == (False, True)
    assert whole.image.tobytes() != tiled.image.tobytes()
    assert np.abs(np.asarray(whole.image, dtype=int) - np.asarray(tiled.image, dtype=int)).mean() < 16


@pytest.mark.parametrize(
    ("call_ms", "most", "best"),
    [
        ({1: 18.6, 2: 36, 4: 58, 8: 100.7}, 8, 8),
        ({1: 18.6, 2: 36, 4: 58, 8: 100.7}, 7, 4),
        ({1: 10, 2: 17.1, 4: 34.2}, 4, 1),
        ({1: 10, 2: 16, 4: 34}, 4, 2),
        ({1: 310}, 8, 1),
        ({1: 200, 2: 320}, 8, 2),
        # There is no room for four.
        ({1: 10, 2: 16}, 8, 2),
        ({}, 1, 1),
    ],
)
def test_as_many_are_drawn_at_once_as_take_the_least_time_each(monkeypatch, engine, call_ms, most, best):
    def seconds(drawings: int) -> float:
        if drawings not in call_ms:
            raise torch.cuda.OutOfMemoryError("no room for four")
        return call_ms[drawings] / 1000

    timed(monkeypatch, seconds)
    assert ways.measured_at_once(engine.models.get("stand-in").model, (64, 64), most=most) == best


@pytest.mark.parametrize(("call_ms", "busy", "best"), [((10, 19), range(4), 1), ((10, 12), range(4, 8), 2)])
def test_a_machine_that_is_busy_for_some_calls_does_not_change_how_many_are_drawn_at_once(
    monkeypatch, engine, call_ms, busy, best
):
    numbers = count()
    timed(monkeypatch, lambda drawings: call_ms[drawings - 1] / 1000 * (5 if next(numbers) in busy else 1))
    assert ways.measured_at_once(engine.models.get("stand-in").model, (64, 64), most=2) == best


def timed(monkeypatch, seconds: Callable[[int], float]) -> None:
    """Replace the clock: the seconds of a call by the number of drawings that share it."""
    monkeypatch.setattr(Model, "predict", lambda _, rows: len(rows.latents) // 2)
    monkeypatch.setattr(ways, "timed", lambda _, drawings: (seconds(drawings()), None))
