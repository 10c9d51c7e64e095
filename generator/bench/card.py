"""R1 to R4, R8 and R13: the measurements that need a card."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from generator.api.types import Recipe
from generator.bench.drawing import made_of
from generator.bench.figures import Report, figure
from generator.bench.operations import operations
from generator.bench.ours import Ours
from generator.bench.stock import Stock
from generator.bench.subject import Subject, size_label
from generator.bench.timing import in_turns, measured, ratios
from generator.engine.needs import GIB
from generator.settings import Settings

LEAST_OF_STOCK = 1.8
LEAST_OF_COMPILED = 1.0
MOST_OF_FLOOR = {"alone": 2.7, "eight together": 2.0}
LEAST_TOGETHER = 1.4

# SDXL base's architecture as MLPerf Inference v5.1 draws with it. Its best results, with TensorRT in FP8 at batches of
# 64: 2.26 pictures a second on an H100, 2.40 on an H200.
SDXL = "proteus-v0.2"
SDXL_STEPS, SDXL_GUIDANCE, SDXL_SAMPLER = 20, 8.0, "euler"
LEAST_A_SECOND = 1.2

# The card that Easel is made for.
CAP_GIB = 8.0


@dataclass(frozen=True)
class SmallCard:
    """How much memory a ballast leaves free, and the most that a drawing may take of it."""

    left_gib: float
    most_gib: float


# Too little for all parts at once: the engine keeps the text encoders in RAM.
LEAN = SmallCard(left_gib=5.0, most_gib=4.0)
# For models whose UNet alone is larger than that; a screen takes the rest of such a card.
LARGE = {name: SmallCard(left_gib=7.6, most_gib=CAP_GIB) for name in ("sdxl-turbo", "proteus-v0.2")}

_TOGETHER = 8
_MATMUL_SIDE = 8192
_REPEATS = 10
_STEPS_COMPARED = 4


def measure_card(report: Report, subject: Subject, ours: Ours, stock: Stock, *, repeats: int) -> None:
    """R1, R3 and R4, speed at the native size: against the stock pipeline, against the card's peak, and batched."""
    size = subject.native

    def company(turn: int) -> None:
        ours.pictures([subject.recipe(_TOGETHER * turn + n, size) for n in range(_TOGETHER)])

    ways = {
        "stock": lambda turn: stock.picture(subject.recipe(turn, size)),
        "alone": lambda turn: ours.picture(subject.recipe(turn, size)),
        "together": company,
    }
    taken = in_turns(ways, repeats=repeats, what="R1, R3, R4")
    seconds = {name: one.seconds for name, one in taken.items()}
    together = [turn / _TOGETHER for turn in seconds["together"]]
    floor_s = operations(ours, subject.recipe(0, size)) / peak_flops(ours)
    report.rows["R1"] = {
        size_label(size): figure(ratios(seconds["stock"], seconds["alone"]), LEAST_OF_STOCK, at_least=True)
    }
    report.rows["R3"] = {
        name: figure([one / floor_s for one in values], MOST_OF_FLOOR[name])
        for name, values in (("alone", seconds["alone"]), ("eight together", together))
    }
    report.rows["R4"] = {size_label(size): figure(ratios(seconds["alone"], together), LEAST_TOGETHER, at_least=True)}
    report.details["card"] = {
        "peak TFLOP/s": round(peak_flops(ours) / 1e12, 1),
        "seconds": {name: round(median(values), 3) for name, values in seconds.items()},
        "at once": ours.engine.models.at_once,
        **_ways(ours, subject.recipe(0, size)),
    }


def measure_compiled(report: Report, subject: Subject, ours: Ours, stock: Stock, *, repeats: int) -> None:
    """R2: against the stock pipeline in diffusers' fastest documented form. Takes minutes to compile."""
    size = subject.native
    first_s = measured(lambda: stock.compile().picture(subject.recipe(0, size)))
    ways = {
        "compiled": lambda turn: stock.picture(subject.recipe(turn, size)),
        "ours": lambda turn: ours.picture(subject.recipe(turn, size)),
    }
    taken = in_turns(ways, repeats=repeats, what="R2")
    by_turn = ratios(taken["compiled"].seconds, taken["ours"].seconds)
    report.rows["R2"] = {size_label(size): figure(by_turn, LEAST_OF_COMPILED, at_least=True)}
    report.details["compiled"] = {
        "seconds": {name: round(median(one.seconds), 3) for name, one in taken.items()},
        "first picture, s": round(first_s, 1),
    }


def measure_sdxl(report: Report, subject: Subject, settings: Settings, *, repeats: int) -> None:
    """R13: pictures per second, eight at once, from their prompts to the bytes of their PNGs."""
    ours = Ours(settings)
    changes = {"guidance_scale": SDXL_GUIDANCE, "sampler": SDXL_SAMPLER}

    def recipe(n: int) -> Recipe:
        return subject.recipe(n, subject.native, steps=SDXL_STEPS).model_copy(update=changes)

    def eight(turn: int) -> None:
        ours.pictures([recipe(_TOGETHER * turn + n) for n in range(_TOGETHER)])

    taken = in_turns({"eight": eight}, repeats=repeats, what="R13")
    a_second = [_TOGETHER / spent for spent in taken["eight"].seconds]
    report.rows["R13"] = {size_label(subject.native): figure(a_second, LEAST_A_SECOND, unit="/s", at_least=True)}
    report.details["SDXL"] = {"at once": ours.engine.models.at_once, **_exactness(ours, recipe(0))}


def _ways(ours: Ours, recipe: Recipe) -> dict[str, Any]:
    """How a picture's time is spent, and what captured graphs and fused kernels change in the picture."""
    graphs = ours.start(recipe).model.graphs
    if not graphs.is_on:
        return {"made of": made_of(ours, recipe), "recorded": "no, since that is not faster here"}
    recorded, there = made_of(ours, recipe), ours.latents(recipe, steps=_STEPS_COMPARED)
    graphs.is_on = False
    launched, without = made_of(ours, recipe), ours.latents(recipe, steps=_STEPS_COMPARED)
    graphs.is_on = True
    return {
        "recorded": recorded,
        "launched": launched,
        "the same latents": torch.equal(there, without),
        **_exactness(ours, recipe),
    }


def _exactness(ours: Ours, recipe: Recipe) -> dict[str, Any]:
    """How far a picture is from the one that torch's kernels draw and decode in fp32, in levels of 255."""
    cached = ours.engine.models.get(recipe.model)
    if not cached.ways.fused:
        return {"kernels": "torch's, since fused ones are not faster here"}
    from generator.engine.fused.modules import fuse, unfuse

    fused = ours.pixels(recipe)
    cached.model.graphs.forget()
    for part in (cached.model.unet, cached.model.vae):
        unfuse(part)
    half, cached.half_decoder = cached.half_decoder, None
    plain = ours.pixels(recipe)
    cached.model.graphs.forget()
    for part in (cached.model.unet, cached.model.vae):
        fuse(part)
    cached.half_decoder = half
    apart = (fused - plain).abs()
    return {
        "kernels": "fused",
        "decoded in": "fp16" if half else "fp32",
        "levels apart from torch's kernels": {"mean": round(apart.mean().item(), 4), "most": apart.max().item()},
        "the same again": torch.equal(fused, ours.pixels(recipe)),
    }


def measure_memory(report: Report, subject: Subject, settings: Settings) -> None:
    """R8: the peak of drawing one picture, as torch counts it, on a card cut down to ``CAP_GIB``."""
    card = LARGE.get(subject.name, LEAN)
    with _ballast(card.left_gib) as ballast_bytes:
        ours = Ours(settings.model_copy(update={"max_at_once": 1}))
        torch.cuda.reset_peak_memory_stats()
        ours.picture(subject.recipe(0, subject.native))
        peak = (torch.cuda.max_memory_allocated() - ballast_bytes) / GIB
        arrangement = ours.engine.models.get(subject.name).model.arrangement
    report.rows["R8"] = {f"{size_label(subject.native)}, {arrangement}": figure([peak], card.most_gib, unit="GiB")}


def copy_seconds(subject: Subject) -> float:
    """The seconds of copying as many bytes as the weights have to the card; 0 without a card."""
    if not torch.cuda.is_available():
        return 0.0
    size = sum(file.stat().st_size for file in subject.located.folder.rglob("*.safetensors"))
    weights = torch.empty(size, dtype=torch.uint8)
    return min(measured(lambda: weights.to("cuda")) for _ in range(3))


def peak_flops(ours: Ours) -> float:
    """The card's peak operations per second: a product of two large matrices in the UNet's dtype."""
    side = _MATMUL_SIDE
    a = torch.randn(side, side, device=ours.device, dtype=ours.dtype)
    return 2 * side**3 / min(measured(lambda: torch.mm(a, a)) for _ in range(_REPEATS))


@contextmanager
def _ballast(left_gib: float) -> Iterator[int]:
    """Fill the card up to ``left_gib`` free, and limit torch to ``CAP_GIB`` beside it; yields the ballast's bytes."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    size = max(0, free - int(left_gib * GIB))
    ballast = torch.empty(size, dtype=torch.uint8, device="cuda")
    torch.cuda.set_per_process_memory_fraction(min(1.0, (size + CAP_GIB * GIB) / total))
    try:
        yield size
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        del ballast
        torch.cuda.empty_cache()
