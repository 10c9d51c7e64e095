"""The ways of calling a model: the fastest that compute the same are chosen, and remembered for the next start."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from generator.api.types import Recipe, Slots
from generator.engine import model_cache, ways
from generator.engine.diffusion import DiffusionEngine
from generator.engine.fused import modules
from generator.engine.model import Model, load_model
from generator.engine.plan import make_plan
from generator.engine.remembered_ways import Remembered, Ways, key_of
from generator.engine.ways import can_fuse, find, take
from generator.models.weights import Located
from generator.settings import Settings
from generator.workers.messages import Draw
from tests.helpers.miniatures import miniature_card
from tests.helpers.stand_in import stand_in_settings


@pytest.fixture(scope="module")
def model(miniature_folders) -> Model:
    folder = miniature_folders["ssd-1b"]
    return load_model("ssd-1b", miniature_card("ssd-1b", folder), Located(folder, "rev"), make_plan("cpu", "auto"))


@pytest.fixture(autouse=True)
def quick_kernels(monkeypatch):
    """torch's own arithmetic in place of the kernels, which test_fused.py tests: their interpreter is slow."""

    def group_norm(x, norm, *, silu=False, added=None):
        if added is not None:
            x = x + added[..., None, None]
        x = functional.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
        return functional.silu(x) if silu else x

    def layer_norm(x, norm, *, residual=None):
        total = x if residual is None else x + residual
        return total, functional.layer_norm(total, norm.normalized_shape, norm.weight, norm.bias, norm.eps)

    def geglu(both):
        value, gate = both.chunk(2, dim=-1)
        return value * functional.gelu(gate)

    def add(x, residual, bias):
        return x + residual + bias[:, None, None]

    for kernel in (group_norm, layer_norm, geglu, add):
        monkeypatch.setattr(modules, kernel.__name__, kernel)


@pytest.fixture(autouse=True)
def as_it_was(model):
    yield
    if modules.is_fused(model.unet):
        modules.unfuse(model.unet)
        modules.unfuse(model.vae)
    model.graphs.is_on = False


def asked(**changes) -> Recipe:
    own = {"model": "stand-in", "slots": Slots(subject=("otter",)), "width": 256, "height": 256, "seed": 7, "steps": 2}
    rest = {"negative_prompt": "", "theme": "otter", "guidance_scale": 7.0, "sampler": "euler", "tier": "exact"}
    return Recipe(**{**own, **rest, **changes})


def timed(monkeypatch, *, plain: float, fused: float, recorded: float) -> None:
    """Replace the clock: the seconds of a plain and a fused call, and the share of them that a recorded call takes."""

    def calls(model: Model, drawings: int, size: tuple[int, int]) -> Iterator[float]:
        alone = fused if modules.is_fused(model.unet) else plain
        yield drawings * alone * (recorded if model.graphs.is_on else 1.0)

    monkeypatch.setattr(ways, "_calls", calls)
    monkeypatch.setattr(ways, "_half_is_better", lambda _: False)


@pytest.mark.parametrize(
    ("fused_s", "recorded", "expected"),
    [
        (0.5, 0.5, Ways(fused=True, recorded=True, step_ms=250)),
        (0.5, 1.0, Ways(fused=True, recorded=False, step_ms=500)),
        (1.0, 0.5, Ways(fused=False, recorded=True, step_ms=500)),
        (0.97, 0.97, Ways(fused=False, recorded=False, step_ms=1000)),
    ],
)
def test_the_fastest_ways_are_chosen_and_the_others_undone(monkeypatch, model, fused_s, recorded, expected):
    timed(monkeypatch, plain=1.0, fused=fused_s, recorded=recorded)
    assert find(model, may_fuse=True, may_record=True, most=1) == expected
    assert modules.is_fused(model.unet) == modules.is_fused(model.vae) == expected.fused
    assert model.graphs.is_on == expected.recorded


def test_kernels_that_compute_something_else_never_draw(monkeypatch, model, caplog):
    timed(monkeypatch, plain=1.0, fused=0.1, recorded=1.0)
    monkeypatch.setattr(modules, "geglu", lambda both: both.chunk(2, dim=-1)[0])
    found = find(model, may_fuse=True, may_record=False, most=1)
    assert not found.fused and not modules.is_fused(model.unet)
    assert found.trouble, "the next start tries them again"
    assert "ssd-1b draws with torch's own kernels" in caplog.text and "the UNet differs by" in caplog.text


def test_kernels_that_fail_never_draw(monkeypatch, model, caplog):
    def fails(*_, **__):
        raise OSError("no C compiler")

    timed(monkeypatch, plain=1.0, fused=0.1, recorded=1.0)
    monkeypatch.setattr(modules, "group_norm", fails)
    assert not find(model, may_fuse=True, may_record=False, most=1).fused
    assert "no C compiler" in caplog.text


def test_remembered_ways_that_no_longer_work_are_not_used(monkeypatch, model, caplog):
    """For example, the compiler has been removed."""
    monkeypatch.setattr(modules, "layer_norm", lambda *_, **__: 1 / 0)
    assert not take(model, Ways(fused=True, recorded=True))
    assert not modules.is_fused(model.unet)
    assert "division by zero" in caplog.text


def test_without_fused_kernels_calls_are_timed_as_they_are(model):
    found = find(model, may_fuse=False, may_record=False, most=2)
    assert found.step_ms > 0 and found.at_once in (1, 2)
    assert not (found.fused or found.recorded or found.half_decoder or found.trouble)


def test_decoding_in_fp16_is_tried_with_real_calls(monkeypatch, model, caplog):
    assert ways._half_is_better(model) in (True, False)

    def fails(*_) -> None:
        raise RuntimeError("no room for two")

    monkeypatch.setattr(ways, "HalfDecoder", fails)
    assert ways._half_is_better(model) is None
    assert "decodes in fp32, since fp16 does not work here: no room for two" in caplog.text


def test_a_processor_has_no_fused_kernels(model):
    assert not can_fuse(model)


def test_the_ways_found_are_used_at_the_next_start(tmp_path, model):
    file = tmp_path / "cache" / "ways.json"
    found = Ways(fused=True, half_decoder=True, recorded=True, at_once=8, step_ms=12.5)
    key = key_of(model, may_record=True, most=8)
    Remembered(file).put("another card", Ways())
    Remembered(file).put(key, found)

    again = Remembered(file).get(key)

    assert again == found
    take(model, again)
    assert modules.is_fused(model.unet) and modules.is_fused(model.vae) and model.graphs.is_on
    assert Remembered(file).get("another card") == Ways()
    assert Remembered(file).get(key_of(model, may_record=False, most=8)) is None


def test_a_processor_measures_at_its_first_start_only(monkeypatch, tmp_path, stand_in_folder):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = []
    monkeypatch.setattr(ways, "_calls", lambda _, drawings, size: measured.append((size, drawings)) or iter([0.02]))
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=2)
    # Photos come in any size, and what is about as large is measured once.
    widths = (256, 64, 224, 72, 288)
    for _ in range(2):
        engine = DiffusionEngine(settings)
        engine.hello()
        for width in widths:
            engine.start(Draw("drawing", asked(width=width)))
            assert engine.state().at_once == 2
    assert measured == [((256, 256), 1), ((256, 256), 2), ((64, 256), 1), ((64, 256), 2)]


def test_a_load_takes_as_long_as_it_does_without_measuring(monkeypatch, tmp_path, stand_in_folder):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = [0.0]

    def calls(*_: object) -> Iterator[float]:
        clock[0] += 60
        yield 0.02

    def load(*given: object) -> Model:
        clock[0] += 5
        return load_model(*given)

    monkeypatch.setattr(model_cache, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(model_cache, "load_model", load)
    monkeypatch.setattr(ways, "_calls", calls)
    engine = DiffusionEngine(Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=2))
    engine.start(Draw("drawing", asked()))
    assert (engine.state().load_s, clock) == (5, [125])


@pytest.mark.parametrize("call_s", [{256: (0.02, 0.02), 384: (0.02, 0.04)}, {256: (0.02, 0.04)}])
def test_fewer_share_calls_at_a_size_where_that_is_not_faster(monkeypatch, tmp_path, stand_in_folder, call_s):
    """What is larger than a size where a lone drawing is fastest is not even measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ways, "_calls", lambda _, drawings, size: iter([call_s[size[0]][drawings - 1]]))
    engine = DiffusionEngine(Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=2))
    drawings = [engine.start(Draw("drawing", asked(width=384, seed=seed))) for seed in range(2)]
    assert engine.state().at_once == 1
    engine.step(drawings)
    assert [drawing.most_together for drawing in drawings] == [1, 1]


def test_two_workers_measure_each_size_once(monkeypatch, tmp_path, stand_in_folder):
    """They keep what they find in one file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = []
    monkeypatch.setattr(ways, "_calls", lambda _, drawings, size: measured.append(size[0]) or iter([0.02]))
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=2)
    engines = [DiffusionEngine(settings) for _ in range(2)]
    for width in (64, 128):
        for engine in engines:
            engine.start(Draw("drawing", asked(width=width)))
    assert measured == [256, 256, 64, 64, 128, 128]


def test_a_size_whose_measuring_ended_the_process_is_not_measured_again(monkeypatch, tmp_path, stand_in_folder):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def calls(_: Model, drawings: int, size: tuple[int, int]) -> Iterator[float]:
        if size != (256, 256):
            raise SystemExit
        yield 0.02

    monkeypatch.setattr(ways, "_calls", calls)
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=2)
    with pytest.raises(SystemExit):
        DiffusionEngine(settings).start(Draw("drawing", asked(width=64)))
    engine = DiffusionEngine(settings)
    engine.start(Draw("drawing", asked(width=64)))
    assert engine.state().at_once == 1


def test_a_model_that_returns_from_ram_gets_the_ways_that_were_found(monkeypatch, model):
    """It returns with its old kernels, even if other ways have been found since."""
    take(model, Ways(fused=True))
    take(model, Ways(fused=False))
    assert not modules.is_fused(model.unet) and not modules.is_fused(model.vae)

    take(model, Ways(fused=True))
    timed(monkeypatch, plain=1.0, fused=0.5, recorded=1.0)
    assert find(model, may_fuse=True, may_record=False, most=1).fused


def test_the_answer_depends_on_machine_versions_and_model(model):
    key = key_of(model, may_record=True, most=8)
    assert torch.__version__ in key
    assert "ssd-1b rev torch.float32" in key


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": 1}', '{"key": {"fused": true, "unknown": 1}}'])
def test_unreadable_ways_are_measured_again(tmp_path, text):
    file = tmp_path / "ways.json"
    file.write_text(text)
    assert Remembered(file).get("key") is None
    Remembered(file).put("key", Ways(at_once=2))
    assert Remembered(file).get("key") == Ways(at_once=2)


def test_a_cache_that_cannot_be_written_is_only_logged(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text(json.dumps({}))
    Remembered(blocked / "ways.json").put("key", Ways())
    assert "cannot be written" in caplog.text
