"""Traced UNet calls give the same pixels and are used only where they pay. The docs measure graphs on a card."""

import gc
import math
import weakref
from typing import Any

import pytest
import torch

from generator.engine import captured_graphs
from generator.engine.deep_cache import UNetInput, UNetOutput
from generator.engine.diffusion import DiffusionEngine
from generator.engine.loop import Drawing
from generator.models.cards import CardSettings
from generator.settings import Settings
from generator.workers.messages import Draw
from tests.helpers.running_generator import recipe_of

# Full calls with and without guidance, calls that keep or reuse features, and drafts.
DRAWINGS = (
    {"steps": 6, "tier": "balanced"},
    {"steps": 7, "tier": "fast", "guidance_scale": 5.0, "seed": 2},
    {"steps": 4, "tier": "draft", "sampler": "lcm", "guidance_scale": 1.0},
)


@pytest.fixture
def engine(request, miniatures) -> DiffusionEngine:
    """An engine for SD 1.5's miniature, which is the quickest to trace, or for the miniature in the parameter."""
    settings = miniatures[getattr(request, "param", "sd-1.5")]
    draft = {"lora": {"file": f"{settings['folder']}/lora.safetensors"}}
    card = CardSettings.model_validate({**settings, "draft": draft})
    engine = DiffusionEngine(Settings(device="cpu", models={"small": card}, default_model="small"))
    # Trace even on a busy machine, where a call takes longer.
    engine.models.get("small").model.graphs.most_traced_s = math.inf
    return engine


def start(engine: DiffusionEngine, **changes: Any) -> Drawing:
    recipe = recipe_of(subject=("otter", "cowboy hat")).model_copy(update={"model": "small", **changes})
    return engine.start(Draw(f"drawing {changes}", recipe))


def denoise(engine: DiffusionEngine, **changes: Any) -> torch.Tensor:
    drawing = start(engine, **changes)
    while drawing.step < drawing.steps:
        engine.step([drawing])
    return drawing.latents


@pytest.mark.parametrize(
    ("engine", "drawings", "kinds"), [("sd-1.5", DRAWINGS[1:], 5), ("ssd-1b", DRAWINGS[:1], 2)], indirect=["engine"]
)
def test_traced_calls_give_the_same_latents_bit_for_bit(engine, caplog, drawings, kinds):
    held = engine.models.get("small").model.graphs
    held.is_on = False
    expected = [denoise(engine, **changes) for changes in drawings]
    held.is_on, held.calls_before_a_trace = True, 2
    for _ in range(3):
        again = [denoise(engine, **changes) for changes in drawings]
    assert len(held) == kinds
    assert "cannot be traced" not in caplog.text
    assert all(torch.equal(one, other) for one, other in zip(again, expected, strict=True))


def test_a_call_is_traced_once_it_is_frequent_and_forgotten_when_the_model_moves(engine):
    held = engine.models.get("small").model.graphs
    held.calls_before_a_trace = 6
    denoise(engine, steps=5)
    assert len(held) == 0
    denoise(engine, steps=1)
    assert len(held) == 1
    engine.models.get("small").model.put_away()
    assert len(held) == 0


def test_a_call_that_is_slow_to_compute_is_not_traced(engine, caplog):
    held = engine.models.get("small").model.graphs
    held.calls_before_a_trace, held.most_traced_s = 2, 0.0
    denoise(engine, tier="fast")
    assert len(held) == 0
    assert "cannot be traced" not in caplog.text


def test_calls_work_without_a_tracer(engine, monkeypatch, caplog):
    """torch plans to remove its tracer."""
    monkeypatch.delattr(torch.jit, "trace")
    held = engine.models.get("small").model.graphs
    held.calls_before_a_trace = 2
    denoise(engine, tier="fast")
    assert len(held) == 0
    assert "cannot be traced" in caplog.text


def test_the_number_of_traces_is_limited_and_the_least_recently_used_is_dropped():
    net, called = torch.nn.Linear(2, 2).eval().requires_grad_(False), []
    held = captured_graphs.CapturedGraphs()
    held.is_on, held.calls_before_a_trace, held.max_graphs = True, 1, 2

    def call(rows: UNetInput) -> UNetOutput:
        called.append(len(rows.latents))
        return net(rows.latents), None

    def run(count: int) -> None:
        latents = torch.ones(count, 2)
        rows = UNetInput(latents, latents, latents, {"text_embeds": latents})
        assert torch.equal(held.run("kind", net, call, rows)[0], net(latents))

    for count in (1, 2, 1, 3):
        run(count)
    assert len(held) == 2
    called.clear()
    run(1)
    run(3)
    assert called == [], "both traces are replayed"
    run(2)
    assert called == [2, 2], "the dropped call runs and is traced again"


def test_traces_do_not_keep_weights_in_memory():
    def traced_weight() -> weakref.ref:
        net = torch.nn.Linear(2, 2).eval().requires_grad_(False)
        held = captured_graphs.CapturedGraphs()
        held.is_on, held.calls_before_a_trace = True, 1
        latents = torch.ones(1, 2)
        held.run("kind", net, lambda rows: (net(rows.latents), None), UNetInput(latents, latents, latents, {}))
        assert len(held) == 1
        return weakref.ref(net.weight)

    weight = traced_weight()
    gc.collect()
    assert weight() is None
