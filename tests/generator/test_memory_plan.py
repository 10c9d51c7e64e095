"""A model's memory is counted before loading and decides its arrangement. A model that cannot fit is refused."""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

from generator.api.types import Memory
from generator.engine import model as model_module
from generator.engine import model_cache
from generator.engine.diffusion import DiffusionEngine
from generator.engine.model import Model, load_model
from generator.engine.needs import GIB, SPARE_BYTES, Arrangement, Needs, arrange, count
from generator.engine.plan import Plan, make_plan
from generator.engine.remembered_ways import Remembered
from generator.errors import CardBusy, DrawingFailed
from generator.models.weights import Located
from generator.settings import Settings
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.half_weights import full_and_stored, unet_input
from tests.helpers.running_generator import recipe_of
from tests.helpers.stand_in import stand_in_card
from tests.helpers.stock import denoised

# SSD-1B's numbers, in millions: UNet and text encoders in fp16, the VAE in fp32.
SSD_1B = Needs(unet=1331 * 2_000_000, text=818 * 2_000_000, vae=84 * 4_000_000, bytes_per_number=2)
NATIVE = 768 * 768


@pytest.mark.parametrize(
    ("free_gib", "arrangement"),
    [(8, "resident"), (5.6, "resident"), (5, "lean"), (4.0, "lean"), (3.6, "offloaded"), (3.2, "offloaded")],
)
def test_the_fastest_arrangement_that_fits_is_chosen(free_gib, arrangement):
    free = int(free_gib * GIB)
    assert arrange("ssd-1b", SSD_1B, free=free, total=8 * GIB, pixels=NATIVE) == arrangement


def test_memory_held_by_other_programs_is_waited_for_with_the_numbers():
    with pytest.raises(CardBusy) as busy:
        arrange("ssd-1b", SSD_1B, free=2 * GIB, total=8 * GIB, pixels=NATIVE)
    assert str(busy.value) == (
        "ssd-1b needs 3.1 GiB of memory for 589,824 pixels. Other programs hold 6.0 of 8.0 GiB: "
        "this is drawn when there is room."
    )


def test_a_model_that_fits_no_arrangement_is_refused_with_the_numbers():
    with pytest.raises(DrawingFailed) as refused:
        arrange("ssd-1b", SSD_1B, free=2 * GIB, total=2 * GIB, pixels=NATIVE)
    assert str(refused.value) == (
        "ssd-1b needs 3.1 GiB of memory for 589,824 pixels; the drawing computer has 2.0 GiB."
    )
    assert not isinstance(refused.value, CardBusy)


def test_the_lean_peak_matches_the_measurement():
    """The measurement is 3.5 GiB at 768 x 768 on a card, without the context."""
    assert SSD_1B.peak(Arrangement.LEAN, NATIVE) / GIB == pytest.approx(3.5, abs=0.1)


def test_counted_needs_match_the_loaded_model(stand_in_folder):
    located, card, plan = Located(stand_in_folder, "1"), stand_in_card(stand_in_folder), make_plan("cpu", "auto")
    needs = count("stand-in", card, located, stored=torch.float16, computed=torch.float32)
    model = load_model("stand-in", card, located, plan)

    def numbers(*parts):
        return sum(weight.numel() for part in parts for weight in part.parameters())

    assert needs.unet == 2 * numbers(model.unet)
    assert needs.text == 2 * numbers(model.text_encoder, model.text_encoder_2)
    assert needs.vae == 4 * numbers(model.vae)
    assert needs.step(NATIVE) < needs.decode(NATIVE, tiled=False)


@pytest.mark.parametrize("arrangement", [Arrangement.RESIDENT, Arrangement.LEAN])
def test_ram_never_holds_all_parts_while_a_model_is_loaded(stand_in_folder, monkeypatch, arrangement):
    """The device is one that keeps no data: what is there is not in RAM."""
    on_the_device = []

    class Pipeline(StableDiffusionXLPipeline):
        @classmethod
        def from_pretrained(cls, *arguments, unet, vae, **more):
            on_the_device.extend(part.device.type for part in (unet, vae))
            return super().from_pretrained(*arguments, unet=unet, vae=vae, **more)

    monkeypatch.setitem(model_module._PIPELINES, "sdxl", (Pipeline, {"add_watermarker": False}))
    plan = replace(make_plan("cpu", "auto"), device=torch.device("meta"), stored=torch.float16, computed=torch.float16)
    loaded = load_model("stand-in", stand_in_card(stand_in_folder), Located(stand_in_folder, "1"), plan, arrangement)
    assert on_the_device == ["meta", "meta"]
    # In RAM the encoders are in the dtype in which they compute there.
    kept = torch.float16 if arrangement is Arrangement.RESIDENT else torch.float32
    assert loaded.text_encoder.dtype == loaded.text_encoder_2.dtype == kept


def test_a_card_without_room_while_loading_is_no_broken_file(stand_in_folder, monkeypatch):
    def to(self, *_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(UNet2DConditionModel, "to", to)
    with pytest.raises(torch.OutOfMemoryError):
        load_model("stand-in", stand_in_card(stand_in_folder), Located(stand_in_folder, "1"), make_plan("cpu", "auto"))


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(stand_in_folder, tmp_path):
    """The weights are a sparse file of forty gigabytes, which would take long to read."""
    folder = tmp_path / "giant"
    shutil.copytree(stand_in_folder, folder)
    side = 100_000
    head = json.dumps({"giant": {"dtype": "F32", "shape": [side, side], "data_offsets": [0, 4 * side * side]}}).encode()
    with (folder / "unet/diffusion_pytorch_model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + 4 * side * side)
    engine = DiffusionEngine(Settings(device="cpu", models={"giant": stand_in_card(folder)}))
    with pytest.raises(DrawingFailed, match=r"giant needs 3\d\.\d GiB of memory for 6,144 pixels; the dr"):
        engine.start(Draw("one", recipe_of(subject=("otter",)).model_copy(update={"model": "giant"})))
    assert engine.state().models == ()


def test_a_picture_too_large_for_the_memory_is_refused_before_it_begins(stand_in_folder):
    engine = DiffusionEngine(Settings(device="cpu", models={"stand-in": stand_in_card(stand_in_folder)}))
    cached = engine.models.get("stand-in")
    cached.needs = replace(cached.needs, unet_width=1e6)
    with pytest.raises(DrawingFailed, match="stand-in needs"):
        engine.start(Draw("one", recipe_of(subject=("otter",))))


def test_the_log_says_of_the_smallest_model_that_it_takes_some_memory(stand_in_folder, caplog):
    caplog.set_level("INFO")
    engine_of({"stand-in": stand_in_card(stand_in_folder)}).models.get("stand-in")
    assert "it takes up to 0.1 GiB, and " in caplog.text


# A second name for the processor: parts move there and back, and compute as before.
CARD = torch.device("cpu", 0)


class Moves:
    """Tracks a model's parts: which are on the card now, and which were there at each call."""

    def __init__(self, model: Model) -> None:
        self.on_card: set[str] = set()
        self.calls: list[tuple[str, set[str]]] = []
        for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
            part = getattr(model, name)
            part.to = partial(self._to, name, part.to)
            (part.decoder if name == "vae" else part).register_forward_pre_hook(partial(self._called, name))

    def _to(self, name: str, move: Callable[..., object], *where: object, **more: object) -> object:
        if where:
            (self.on_card.add if where[0] == CARD else self.on_card.discard)(name)
        return move(*where, **more)

    def _called(self, name: str, *_: object) -> None:
        self.calls.append((name, set(self.on_card)))


@pytest.mark.parametrize(
    ("arrangement", "at_rest"),
    [
        (Arrangement.RESIDENT, {"unet", "vae", "text_encoder", "text_encoder_2"}),
        (Arrangement.LEAN, {"unet", "vae"}),
        (Arrangement.OFFLOADED, set()),
    ],
)
def test_every_arrangement_moves_computing_parts_to_the_card_and_draws_the_same(
    stand_in_folder, monkeypatch, arrangement, at_rest
):
    recipe = recipe_of(subject=("otter",))
    settings = Settings(device="cpu", models={"stand-in": stand_in_card(stand_in_folder)}, previews=False)
    engine = DiffusionEngine(settings)
    expected = engine.finish(denoised(engine, recipe)).image

    engine = DiffusionEngine(settings)
    cached = engine.models.get("stand-in")
    engine.models.plan = replace(engine.models.plan, device=CARD)
    monkeypatch.setattr(Plan, "arrangements", (arrangement,))
    cached.model = replace(cached.model, arrangement=arrangement)
    moves = Moves(cached.model)
    cached.model.bring(CARD)
    assert moves.on_card == at_rest
    drawn = engine.finish(denoised(engine, recipe))

    assert {name for name, _ in moves.calls} == {"unet", "vae", "text_encoder", "text_encoder_2"}
    for name, on_card in moves.calls:
        assert (name in on_card) is (name in ("unet", "vae") or arrangement is Arrangement.RESIDENT)
        assert arrangement is not Arrangement.OFFLOADED or len(on_card) <= 1
    assert drawn.image.tobytes() == expected.tobytes()
    assert drawn.plan["arrangement"] == arrangement


@pytest.mark.skipif(torch.cuda.is_available(), reason="the card would be found")
def test_an_engine_without_the_card_that_it_needs_does_not_start():
    """The process ends with it, so that the next job asks anew."""
    with pytest.raises(DrawingFailed, match="there is no NVIDIA card on this machine"):
        DiffusionEngine(Settings(device="cuda")).hello()


def test_weights_stored_in_fp16_compute_like_the_same_weights_in_fp32(stand_in_folder):
    full, stored = full_and_stored("stand-in", stand_in_card(stand_in_folder), Located(stand_in_folder, "1"))
    inputs = unet_input()
    with torch.inference_mode():
        assert torch.equal(stored(**inputs).sample, full(**inputs).sample)
    assert all(weight.dtype == torch.float16 for weight in stored.parameters())


def test_an_idle_model_makes_room_for_a_picture(stand_in_folder, v_prediction_folder, monkeypatch):
    models = {"stand-in": stand_in_card(stand_in_folder), "small": stand_in_card(v_prediction_folder)}
    engine = engine_of(models)
    engine.models.get("small")
    engine.models.get("stand-in")
    free = model_cache.free_bytes
    monkeypatch.setattr(
        model_cache, "free_bytes", lambda device: 0 if "small" in engine.state().models else free(device)
    )
    engine.start(Draw("one", recipe_of(subject=("otter",))))
    assert engine.state().models == ("stand-in",)
    monkeypatch.setattr(model_cache, "free_bytes", lambda device: 0)
    with pytest.raises(CardBusy):
        engine.start(Draw("two", recipe_of(subject=("otter",))))
    assert engine.state().models == ("stand-in",)


def test_several_models_stay_in_memory_while_they_fit(stand_in_folder, v_prediction_folder):
    models = {
        "stand-in": stand_in_card(stand_in_folder),
        "small": stand_in_card(v_prediction_folder),
    }
    engine = engine_of(models)
    first, second = engine.models.get("stand-in"), engine.models.get("small")
    assert engine.state().models == ("small", "stand-in")
    assert engine.models.get("stand-in") is first
    assert engine.state().models == ("stand-in", "small")
    assert engine.models.get("small") is second


# Proteus on a card that computes in fp32, but the stand-in's pictures stand for ones of four times its sides.
PROTEUS = Needs(unet=2567 * 2_000_000, text=818 * 2_000_000, vae=84 * 4_000_000, bytes_per_number=4, unet_width=16)


@pytest.mark.parametrize(
    ("free_gib", "sides", "arrangements"),
    [
        (8.0, (256, 384), ["lean", "lean"]),
        (7.3, (256, 384, 384, 256, 128), ["lean", "offloaded", "offloaded", "lean", "lean"]),
        (7.3, (384,), ["offloaded"]),
        (5.6, (128,), ["offloaded"]),
        # A smaller picture is not worth a load, since the next one of the model's own size would need another.
        (6.2, (256, 64, 256), ["offloaded", "offloaded", "offloaded"]),
    ],
)
def test_a_picture_that_fits_another_arrangement_than_the_models_own_size_is_drawn(
    stand_in_folder, monkeypatch, free_gib, sides, arrangements
):
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)

    def free_bytes(_: torch.device) -> int:
        loaded = engine.models.find("stand-in")
        return int(free_gib * GIB) - (PROTEUS.weights(loaded.model.arrangement) if loaded else 0)

    monkeypatch.setattr(Plan, "arrangements", (Arrangement.LEAN, Arrangement.OFFLOADED))
    monkeypatch.setattr(model_cache, "count", lambda *_, **__: PROTEUS)
    monkeypatch.setattr(model_cache, "free_bytes", free_bytes)
    drawn = []
    for side in sides:
        recipe = recipe_of(subject=("otter",)).model_copy(update={"width": side, "height": side, "steps": 1})
        drawn.append(engine.finish(denoised(engine, recipe)).plan["arrangement"])
    assert drawn == arrangements


def test_a_model_gets_out_of_the_way_of_a_game_and_comes_back_after_it(stand_in_folder, monkeypatch):
    """A game takes and gives back gigabytes, and the desktop a little at any time. All pictures are of one size."""
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)
    asked = recipe_of(subject=("otter",)).model_copy(update={"width": 256, "height": 256, "steps": 1})
    least = PROTEUS.peak(Arrangement.LEAN, 256 * 256) + SPARE_BYTES

    def held() -> int:
        loaded = engine.models.find("stand-in")
        return PROTEUS.weights(loaded.model.arrangement) if loaded else 0

    monkeypatch.setattr(Plan, "arrangements", (Arrangement.LEAN, Arrangement.OFFLOADED))
    monkeypatch.setattr(model_cache, "count", lambda *_, **__: PROTEUS)
    drawn = []
    for free in (8 * GIB, least - GIB // 8, least - 1, least + 1, 8 * GIB):
        monkeypatch.setattr(model_cache, "free_bytes", lambda _, free=free: free - held())
        drawn.append(engine.finish(denoised(engine, asked)).plan["arrangement"])
    assert drawn == ["lean", "offloaded", "offloaded", "offloaded", "lean"]


def test_another_model_makes_room_where_a_picture_fits_only_a_slower_arrangement(
    stand_in_folder, v_prediction_folder, monkeypatch
):
    """Not even an empty card has room for it in the arrangement that its model has."""
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder), "small": stand_in_card(v_prediction_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)
    small = replace(PROTEUS, unet=GIB // 4)
    total = PROTEUS.peak(Arrangement.OFFLOADED, 384 * 384) + SPARE_BYTES

    def free_bytes(_: torch.device) -> int:
        loaded = (engine.models.find(name) for name in engine.models.names)
        return total - sum(cached.needs.weights(cached.model.arrangement) for cached in loaded)

    monkeypatch.setattr(Plan, "arrangements", (Arrangement.LEAN, Arrangement.OFFLOADED))
    monkeypatch.setattr(model_cache, "count", lambda name, *_, **__: PROTEUS if name == "stand-in" else small)
    monkeypatch.setattr(model_cache, "free_bytes", free_bytes)
    monkeypatch.setattr(model_cache, "memory_of", lambda _: Memory(used_bytes=0, total_bytes=total))
    engine.models.get("small")
    assert engine.models.get("stand-in").model.arrangement is Arrangement.LEAN
    assert engine.models.names == ("stand-in", "small")
    large = recipe_of(subject=("otter",)).model_copy(update={"width": 384, "height": 384, "steps": 1})
    assert engine.start(Draw("one", large)).model.arrangement is Arrangement.OFFLOADED


@pytest.mark.parametrize(("free_gib", "is_measured"), [(5.6, False), (8.0, True)])
def test_a_model_is_not_measured_at_its_own_size_where_only_smaller_pictures_fit(
    stand_in_folder, tmp_path, monkeypatch, free_gib, is_measured
):
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)
    loaded, measured = [], []
    held = PROTEUS.weights(Arrangement.LEAN)
    monkeypatch.setattr(Plan, "arrangements", (Arrangement.LEAN,))
    monkeypatch.setattr(model_cache, "count", lambda *_, **__: PROTEUS)
    monkeypatch.setattr(model_cache, "load_model", lambda *given: loaded.append(given) or load_model(*given))
    monkeypatch.setattr(model_cache, "free_bytes", lambda _: int(free_gib * GIB) - (held if loaded else 0))
    monkeypatch.setattr(model_cache, "measured_at_once", lambda *_, **__: measured.append(1) or 1)
    monkeypatch.setattr(engine.models, "_remembered", Remembered(tmp_path / "ways.json"))
    small = recipe_of(subject=("otter",)).model_copy(update={"width": 64, "height": 64, "steps": 1})
    engine.start(Draw("one", small))
    assert bool(measured) == is_measured


def test_a_picture_joins_others_of_its_size_or_waits_but_never_moves_their_model(stand_in_folder, monkeypatch):
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)
    monkeypatch.setattr(Plan, "arrangements", (Arrangement.LEAN, Arrangement.OFFLOADED))
    asked = Draw("one", recipe_of(subject=("otter",)))
    drawing = engine.start(asked)
    needs = engine.models.get("stand-in").needs
    between = (needs.peak(Arrangement.OFFLOADED, asked.recipe.pixels) + SPARE_BYTES) - needs.weights(Arrangement.LEAN)
    monkeypatch.setattr(model_cache, "free_bytes", lambda _: between)
    with pytest.raises(CardBusy):
        engine.start(asked)
    engine.step([drawing])
    assert (drawing.step, engine.models.find("stand-in").model) == (1, drawing.model)


def test_a_drawing_that_ends_early_leaves_the_card_to_the_next_one(stand_in_folder, monkeypatch):
    """Where the parts take turns, the UNet stays on the card until a picture is decoded, which this one never is."""
    engine = engine_of({"stand-in": stand_in_card(stand_in_folder)})
    engine.models.plan = replace(engine.models.plan, device=CARD)
    monkeypatch.setattr(Plan, "arrangements", (Arrangement.OFFLOADED,))
    cached = engine.models.get("stand-in")
    moves, needs, asked = Moves(cached.model), cached.needs, Draw("one", recipe_of(subject=("otter",)))
    enough = needs.peak(Arrangement.OFFLOADED, asked.recipe.pixels) + SPARE_BYTES
    monkeypatch.setattr(model_cache, "free_bytes", lambda _: enough - needs.unet * ("unet" in moves.on_card))
    engine.step([engine.start(asked)])
    assert moves.on_card == {"unet"}
    engine.step([engine.start(asked)])
