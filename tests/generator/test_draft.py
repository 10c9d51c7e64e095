"""Drafts with a LoRA equal diffusers' own pipeline and do not change other drawings."""

from pathlib import Path

import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionXLPipeline
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file

from generator.api.types import EarlierFacts, Recipe
from generator.engine.diffusion import DiffusionEngine
from generator.engine.draft_lora import DraftLora
from generator.engine.needs import count
from generator.errors import WeightsBroken, WeightsMissing
from generator.models.cards import CardSettings
from generator.models.weights import locate
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.half_weights import full_and_stored, unet_input
from tests.helpers.miniatures import miniature_settings
from tests.helpers.running_generator import recipe_of
from tests.helpers.stock import stock_latents, stock_pipeline

NAMES = ("ssd-1b", "sd-1.5")


@pytest.fixture(scope="module")
def folders(miniature_folders) -> dict[str, Path]:
    return {name: miniature_folders[name] for name in NAMES}


def card(name: str, folder: Path, lora: Path | None = None) -> CardSettings:
    draft = {"lora": {"file": str(lora or folder / "lora.safetensors")}}
    return CardSettings.model_validate({**miniature_settings(name, folder), "draft": draft})


@pytest.fixture(scope="module")
def engine(folders) -> DiffusionEngine:
    return engine_of({name: card(name, folder) for name, folder in folders.items()})


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


def asked_of(name: str, **changes) -> Recipe:
    usual = {"model": name, "tier": "draft", "sampler": "lcm", "steps": 4, "guidance_scale": 1.0}
    return recipe_of(subject=("otter", "cowboy hat")).model_copy(update={**usual, **changes})


def exact(name: str, **changes) -> Recipe:
    return asked_of(name, **{"tier": "exact", "sampler": "unipc", "guidance_scale": 7.0, **changes})


def denoised_together(engine, *asked: Recipe):
    """Draw all, one step each per tick."""
    drawings = [engine.start(Draw(f"drawing-{n}", one)) for n, one in enumerate(asked)]
    while under_way := [drawing for drawing in drawings if drawing.step < drawing.steps]:
        engine.step(under_way)
    return drawings


def latents_of(engine, asked: Recipe) -> torch.Tensor:
    return denoised_together(engine, asked)[0].latents


@pytest.mark.parametrize("guidance_scale", [1.0, 1.5])
def test_a_draft_equals_the_stock_pipeline_with_the_same_lora(engine, folders, name, guidance_scale):
    pipeline = stock_pipeline(folders[name], family="sd" if name.startswith("sd-") else "sdxl")
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    asked = asked_of(name, guidance_scale=guidance_scale)

    without = stock_latents(pipeline, asked, "ugly")
    pipeline.load_lora_weights(folders[name], weight_name="lora.safetensors")
    expected = stock_latents(pipeline, asked, "ugly")

    drawn = latents_of(engine, asked)

    deviation = float((drawn - expected).abs().max() / expected.std())
    print(f"{name}, guidance {guidance_scale}: {deviation:.1e}")  # pytest -rP shows it
    assert deviation < 1e-4
    assert (drawn - without).abs().max() > 0.1 * expected.std()


def test_the_lora_never_changes_exact_drawings_before_after_or_beside_drafts(engine, folders, name):
    never = engine_of({name: CardSettings.model_validate(miniature_settings(name, folders[name]) | {"draft": None})})
    fresh = engine_of({name: card(name, folders[name])})
    asked, draft = exact(name, steps=2), asked_of(name, steps=2)
    expected = latents_of(never, asked)

    before = latents_of(fresh, asked)
    drafted = latents_of(fresh, draft)
    after = latents_of(fresh, asked)
    beside, company = denoised_together(fresh, asked, draft)

    assert torch.equal(before, expected)
    assert torch.equal(after, expected)
    assert torch.equal(beside.latents, expected)
    assert torch.equal(company.latents, drafted)


def test_drafts_share_calls_only_with_drafts(engine, name):
    cached = engine.models.get(name)
    cached.model.draft_lora.ready()
    calls = []
    hooks = [unet.register_forward_pre_hook(lambda _, args: calls.append(len(args[0]))) for unet in cached.model.unets]
    assert len(hooks) == 2
    drafts = [asked_of(name, seed=seed) for seed in (1, 2)]
    cached.at_once[drafts[0].pixels] = 4
    together = denoised_together(engine, exact(name, guidance_scale=1.0), *drafts)
    for hook in hooks:
        hook.remove()
    assert calls == [1, 2] * 4
    assert [drawing.most_together for drawing in together] == [1, 2, 2]
    for drawing, one in zip(together[1:], drafts, strict=True):
        alone = latents_of(engine, one)
        assert (drawing.latents - alone).abs().max() < 1e-3 * alone.std()


def test_the_lora_has_its_own_unet_which_shares_the_weights(engine, name):
    model = engine.models.get(name).model
    latents_of(engine, asked_of(name))
    own, with_lora = model.unets
    adapted = [sum(isinstance(layer, BaseTunerLayer) for layer in unet.modules()) for unet in (own, with_lora)]
    assert adapted[0] == 0 and adapted[1] > 20
    shared = {parameter.data_ptr() for parameter in own.parameters()}
    assert shared < {parameter.data_ptr() for parameter in with_lora.parameters()}
    # They still share the weights after a move.
    model.graphs.forget()
    with torch.inference_mode():
        for dtype in (torch.float64, torch.float32):
            for unet in model.unets:
                unet.to(dtype)
    moved = {parameter.data_ptr() for parameter in own.parameters()}
    assert moved < {parameter.data_ptr() for parameter in with_lora.parameters()}


def test_a_draft_without_a_lora_is_fast_and_recorded_as_such(folders):
    engine = engine_of({"mine": CardSettings.model_validate(miniature_settings("sd-1.5", folders["sd-1.5"]))})
    (draft,), (fast,) = (denoised_together(engine, exact("mine", tier=tier)) for tier in ("draft", "fast"))
    assert torch.equal(draft.latents, fast.latents)
    plans = [engine.finish(drawing).plan for drawing in (draft, fast)]
    assert (plans[0]["lora"], "lora" in plans[1]) == (None, False)


def test_the_loras_revision_is_recorded_and_a_different_one_is_noted(engine, name):
    (drawing,) = denoised_together(engine, asked_of(name, negative_prompt=""))
    first = engine.finish(drawing)
    assert first.plan["lora"].startswith("files-")
    assert first.notes == ()
    earlier = EarlierFacts(plan={**first.plan, "lora": "another"})
    again = engine.start(Draw("again", asked_of(name, steps=1, negative_prompt=""), earlier))
    engine.step([again])
    note = f"Pixels may differ from the first drawing: lora was another, is {first.plan['lora']}."
    assert engine.finish(again).notes == (note,)


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"guidance_scale": 1.0}, ("Without guidance I can't leave things out.",)),
        ({"guidance_scale": 1.0, "negative_prompt": ""}, ()),
        ({"guidance_scale": 1.5}, ()),
    ],
)
def test_a_negative_prompt_without_effect_is_noted(engine, changes, notes):
    (drawing,) = denoised_together(engine, asked_of("ssd-1b", steps=1, **changes))
    assert engine.finish(drawing).notes == notes


def test_a_missing_lora_is_reported_and_everything_else_is_drawn(folders, tmp_path, no_hub_cache):
    mine = {
        "of-a-hub": CardSettings.model_validate(miniature_settings("ssd-1b", folders["ssd-1b"])),
        "of-a-file": card("ssd-1b", folders["ssd-1b"], tmp_path / "none.safetensors"),
    }
    engine = engine_of(mine)
    for name, advice in (
        ("of-a-hub", "Run python -m generator fetch of-a-hub"),
        ("of-a-file", f"There is no file {tmp_path / 'none.safetensors'}."),
    ):
        with pytest.raises(WeightsMissing) as missing:
            engine.start(Draw("draft", asked_of(name)))
        message = f"The LoRA that {name} draws drafts with is not on the drawing computer. {advice}"
        assert str(missing.value) == message
        latents_of(engine, exact(name, steps=1))


@pytest.mark.parametrize("sin", ["broken off", "no tensors", "of another model", "of other shapes", "not a LoRA"])
def test_a_lora_that_does_not_fit_is_reported_and_exact_drawings_do_not_change(folders, tmp_path, sin, caplog):
    own, other = (folders[name] / "lora.safetensors" for name in NAMES)
    file, tensors = tmp_path / "lora.safetensors", load_file(own)
    if sin == "broken off":
        file.write_bytes(own.read_bytes()[:-1])
    else:
        wrong = {
            "no tensors": {},
            "of another model": load_file(other),
            "of other shapes": {
                key: torch.cat([tensor] * 2) if tensor.ndim else tensor for key, tensor in tensors.items()
            },
            "not a LoRA": {"conv_in.weight": torch.ones(2, 2)},
        }
        save_file(wrong[sin], file)
    engine = engine_of({"mine": card("ssd-1b", folders["ssd-1b"], file)})
    expected = latents_of(engine, exact("mine", steps=1))
    for _ in range(2):
        with pytest.raises(WeightsBroken, match="The weights of mine on the drawing computer are broken"):
            engine.start(Draw("draft", asked_of("mine")))
    assert f"cannot be loaded from {file}" in caplog.text
    assert torch.equal(latents_of(engine, exact("mine", steps=1)), expected)
    own_again = own.read_bytes()
    file.write_bytes(own_again)
    latents_of(engine, asked_of("mine", steps=1))


def test_with_weights_stored_in_fp16_the_lora_is_too_and_computes_in_fp32(folders):
    mine = card("ssd-1b", folders["ssd-1b"])
    full, stored = full_and_stored("mine", mine, locate("mine", mine))
    inputs = unet_input()
    with torch.inference_mode():
        predicted = []
        for unet in (full, stored):
            without = unet(**inputs).sample
            lora = DraftLora("mine", mine, StableDiffusionXLPipeline, unet, dtype=torch.float32)
            lora.ready()
            predicted.append(lora.unet(**inputs).sample)
            assert torch.equal(unet(**inputs).sample, without)
    assert torch.equal(*predicted)
    assert not torch.equal(predicted[0], without)
    assert all(weight.dtype == torch.float16 for weight in lora.unet.parameters())


def test_a_lora_counts_toward_the_memory_that_a_model_needs(folders, tmp_path):
    half, own = {"stored": torch.float16, "computed": torch.float16}, folders["ssd-1b"] / "lora.safetensors"
    with_it, without = (card("ssd-1b", folders["ssd-1b"], lora) for lora in (None, tmp_path / "none.safetensors"))
    located = locate("mine", with_it)
    more = count("mine", with_it, located, **half).unet - count("mine", without, located, **half).unet
    assert more == own.stat().st_size
