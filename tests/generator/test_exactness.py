"""Every sampler on every model's miniature equals diffusers' own pipeline: same weights, fp32, on the CPU."""

import numpy as np
import pytest
import torch

from generator.api.types import Recipe
from generator.engine.diffusion import DiffusionEngine
from generator.models.cards import SAMPLERS
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.miniatures import NAMES, miniature_card
from tests.helpers.running_generator import recipe_of
from tests.helpers.stock import SCHEDULERS, denoised, stock_latents, stock_pipeline


@pytest.fixture(scope="module")
def engine(miniatures) -> DiffusionEngine:
    return engine_of(miniatures)


@pytest.fixture(scope="module", params=NAMES)
def pipeline(request, miniature_folders):
    family = "sd" if request.param.startswith("sd-") else "sdxl"
    pipeline = stock_pipeline(miniature_folders[request.param], family=family)
    pipeline.name, pipeline.own_scheduler = request.param, pipeline.scheduler.config
    return pipeline


def stock(pipeline, asked: Recipe, negative: str | None) -> torch.Tensor:
    pipeline.scheduler = SCHEDULERS[asked.sampler](pipeline.own_scheduler)
    return stock_latents(pipeline, asked, negative)


def asked_of(pipeline, **changes) -> Recipe:
    asked = recipe_of(subject=("otter", "cowboy hat")).model_copy(update={"model": pipeline.name, "steps": 6})
    return asked.model_copy(update={**({"guidance_scale": 0.0} if pipeline.name == "sdxl-turbo" else {}), **changes})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_equals_the_stock_pipeline_on_every_model(engine, pipeline, sampler):
    asked = asked_of(pipeline, sampler=sampler)
    expected = stock(pipeline, asked, "ugly")

    drawing = denoised(engine, asked)

    deviation = float((drawing.latents - expected).abs().max() / expected.std())
    print(f"{pipeline.name}, {sampler}: {deviation:.1e}")  # pytest -rP shows it
    assert deviation < 1e-4
    assert drawing.sampling.scheduler.config.prediction_type == pipeline.own_scheduler.prediction_type
    assert drawing.steps == asked.steps + (sampler == "pndm")


def test_no_negative_prompt_and_no_guidance_equal_the_stock_pipeline(engine, pipeline):
    """No negative prompt is zeros or the encoded empty text, by the model; no guidance is the prompt's row alone."""
    for changes, negative in (({"negative_prompt": ""}, None), ({"guidance_scale": 1.0}, "ugly")):
        asked = asked_of(pipeline, sampler="unipc", steps=3, **changes)
        expected = stock(pipeline, asked, negative)
        assert (denoised(engine, asked).latents - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize("name", ["ssd-1b", "sd-2.1"])
def test_rescaled_guidance_equals_the_stock_pipeline_and_is_recorded(miniature_folders, name):
    card = miniature_card(name, miniature_folders[name]).model_copy(update={"guidance_rescale": 0.7})
    engine = engine_of({name: card})
    asked = recipe_of(subject=("otter",)).model_copy(update={"model": name, "steps": 4, "guidance_scale": 9.0})
    pipeline = stock_pipeline(miniature_folders[name], family="sd" if name.startswith("sd-") else "sdxl")
    pipeline.scheduler = SCHEDULERS["unipc"](pipeline.scheduler.config)
    expected = stock_latents(pipeline, asked, "ugly", rescale=0.7)
    assert not torch.allclose(expected, stock_latents(pipeline, asked, "ugly"), rtol=0.01)
    drawing = denoised(engine, asked)
    assert (drawing.latents - expected).abs().max() < 1e-4 * expected.std()
    assert engine.finish(drawing).plan["guidance_rescale"] == 0.7


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_with_few_steps_and_many(engine, sampler, steps):
    asked = recipe_of(subject=("otter",)).model_copy(update={"model": "sd-2.1", "sampler": sampler, "steps": steps})
    assert torch.isfinite(denoised(engine, asked).latents).all()


def test_a_samplers_added_noise_belongs_to_its_drawing(engine, pipeline):
    """Two interleaved drawings equal each drawn alone."""
    asked = [asked_of(pipeline, sampler="euler_a", seed=seed, steps=3) for seed in (1, 2)]
    alone = [denoised(engine, one).latents for one in asked]
    together = [engine.start(Draw("drawing", one)) for one in asked]
    for _ in range(3):
        for drawing in together:
            engine.step([drawing])
    assert all(torch.equal(drawing.latents, latents) for drawing, latents in zip(together, alone, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_all_samplers_in_shared_calls_equal_themselves_alone(engine, name):
    """One drawing per sampler with its own steps and guidance joins the shared calls a step after the previous one."""
    guidance = 0.0 if name == "sdxl-turbo" else 5.0
    asked = [
        recipe_of(subject=("otter",)).model_copy(
            update={
                "model": name,
                "sampler": sampler,
                "seed": n,
                "steps": 4 + n % 3,
                "guidance_scale": guidance + n / 2,
            }
        )
        for n, sampler in enumerate(SAMPLERS)
    ]
    alone = [pixels(engine.finish(denoised(engine, one))) for one in asked]
    engine.models.get(name).at_once[asked[0].pixels] = len(asked)
    waiting, drawings = list(asked), []
    while waiting or any(drawing.step < drawing.steps for drawing in drawings):
        if waiting:
            drawings.append(engine.start(Draw("drawing", waiting.pop(0))))
        engine.step([drawing for drawing in drawings if drawing.step < drawing.steps])
    assert max(drawing.most_together for drawing in drawings) > 3
    for drawing, solo in zip(drawings, alone, strict=True):
        # Pixels are rounded to bytes, so they may differ by one.
        assert np.abs(pixels(engine.finish(drawing)) - solo).max() <= 1e-3 + 1 / 255


def pixels(drawn) -> np.ndarray:
    return np.asarray(drawn.image, dtype=float) / 255


@pytest.mark.parametrize("name", NAMES)
def test_every_model_draws_a_prompt_beyond_77_tokens(engine, name):
    long = ("a" * 70, "(cowboy hat)++", "b" * 70, "c" * 200)
    asked = recipe_of(subject=long).model_copy(update={"model": name, "steps": 1})
    drawing = denoised(engine, asked)
    assert drawing.conditioning.embeds.shape[1] > 77
    drawn = engine.finish(drawing)
    assert drawn.image.size == (64, 96)
    assert drawn.notes == ("Too long for the model, left out: " + "c" * 200,)
