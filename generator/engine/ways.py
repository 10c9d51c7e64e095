"""Find the fastest ways of calling a model on this very device, by trying them with noise as input.

The ways are fused kernels (`engine.fused`), captured graphs (`engine.captured_graphs`), decoding in fp16
(`engine.half_decoder`), and several drawings in the same calls. `engine.remembered_ways` keeps the results.
"""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest

import torch

from generator.engine.deep_cache import UNetInput, whole
from generator.engine.half_decoder import HalfDecoder
from generator.engine.model import Model
from generator.engine.remembered_ways import Ways
from generator.engine.timing import timed
from generator.settings import cache_dir

log = logging.getLogger(__name__)

# The more drawings share calls, the later each first picture comes: that must be worth it.
_LEAST_GAIN = 0.15

# A longer call is busy with arithmetic, and twice as many drawings double that.
_BUSY_S = 0.3

# A captured graph takes memory, and fused kernels are one more source of errors: that must be worth it.
_LEAST_GAIN_OF_A_WAY = 0.05

# Fused kernels differ from torch's by rounding: in fp16, on an H100, by 0.0014 of the UNet's largest value.
_MOST_APART = 0.01

# The oldest compute capability that Triton compiles for, according to PyTorch.
_OLDEST_FOR_TRITON = (7, 0)

# Width and height in pixels.
Size = tuple[int, int]

_REPEATS = 3
_TOKENS = 77


@torch.inference_mode()
def find(model: Model, *, may_fuse: bool, may_record: bool, most: int) -> Ways:
    """Try the ways one after the other, and leave the model in the fastest.

    ``most`` is the number of drawings that memory allows at once.
    """
    _use_fused(model, False)
    plain = best = _alone(model, may_record=may_record)
    trouble = may_fuse and not _try_to_fuse(model)
    if may_fuse and not trouble:
        fused = replace(_alone(model, may_record=may_record), fused=True)
        if fused.step_ms < (1 - _LEAST_GAIN_OF_A_WAY) * plain.step_ms:
            best = fused
        else:
            _use_fused(model, False)
    model.graphs.is_on = best.recorded
    half = _half_is_better(model) if may_fuse else False
    best = replace(
        best,
        half_decoder=bool(half),
        at_once=measured_at_once(model, model.card.sizes["square"], most=most),
        trouble=trouble or half is None,
    )
    log.info("%s: %s; torch's kernels take %.1f ms", model.name, best, plain.step_ms)
    return best


@torch.inference_mode()
def take(model: Model, ways: Ways) -> bool:
    """Apply ways that were found before; return False if fused kernels do not work any more."""
    _use_fused(model, False)
    if ways.fused and not _try_to_fuse(model):
        return False
    model.graphs.is_on = ways.recorded
    log.info("%s: %s, as it was found before", model.name, ways)
    return True


def can_fuse(model: Model) -> bool:
    """Whether fused kernels may work on this device. They need the weights in the dtype of the computation."""
    device = model.unet.device
    if device.type != "cuda" or model.unet.dtype != model.dtype:
        return False
    return torch.cuda.get_device_capability(device) >= _OLDEST_FOR_TRITON


def _use_fused(model: Model, on: bool) -> None:
    """Switch to fused kernels or back to torch's. A model that comes back from RAM may still be fused."""
    if on is _is_fused(model):
        return
    # Imported only here: without a recent card there is no Triton. A service may have no home for compiled kernels.
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache_dir() / "triton"))
    from generator.engine.fused.modules import fuse, unfuse

    for part in (*model.unets, model.vae):
        (fuse if on else unfuse)(part)


def _is_fused(model: Model) -> bool:
    modules = sys.modules.get("generator.engine.fused.modules")
    return modules is not None and bool(modules.is_fused(model.unet))


def _try_to_fuse(model: Model) -> bool:
    """Switch to fused kernels, and back if they fail or compute something else. Returns whether they work."""
    rows, latents = _noise(model, 2, model.card.sizes["square"]), _latents(model)
    works: dict[str, Callable[[], torch.Tensor]] = {
        "UNet": lambda: whole(model.unet, rows, keep=False)[0],
        "VAE": lambda: model.vae.decode(latents, return_dict=False)[0],
    }
    expected = {name: work() for name, work in works.items()}
    try:
        _use_fused(model, True)
        for name, work in works.items():
            apart = float((work() - expected[name]).norm() / expected[name].norm())
            # Negated, so that NaN counts as different, too.
            if not apart <= _MOST_APART:
                raise RuntimeError(f"the {name} differs by {apart:.2g}")
    # No Triton, no C compiler for it, an unknown card, no memory: in any case torch's kernels draw.
    except Exception as error:
        log.warning("%s draws with torch's own kernels, since fused ones do not work here: %s", model.name, error)
        _use_fused(model, False)
        return False
    return True


@torch.inference_mode()
def _half_is_better(model: Model) -> bool | None:
    """Whether decoding in fp16 gives the same pixels and is faster; None if it does not work."""
    latents = _latents(model)
    try:
        half = HalfDecoder(model.vae)
        whole_s, expected = _decoded(latents.device, lambda: model.vae.decode(latents, return_dict=False)[0])
        half_s, decoded = _decoded(latents.device, lambda: half.decode(latents))
    # No memory for both, or no kernels: in any case fp32 decodes.
    except Exception as error:
        log.warning("%s decodes in fp32, since fp16 does not work here: %s", model.name, error)
        return None
    apart = float((decoded - expected).norm() / expected.norm())
    return apart <= _MOST_APART and half_s < (1 - _LEAST_GAIN_OF_A_WAY) * whole_s


def _decoded(device: torch.device, decode: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Decode a few times; return the least seconds, and the pixels."""
    times = []
    for _ in range(_REPEATS):
        seconds, decoded = timed(device, decode)
        times.append(seconds)
    return min(times), decoded


def _alone(model: Model, *, may_record: bool) -> Ways:
    """Measure one drawing's step, launched and captured, and choose the faster."""
    model.graphs.forget()
    model.graphs.is_on = False
    size = model.card.sizes["square"]
    launched_s = recorded_s = min(_calls(model, 1, size))
    if may_record:
        model.graphs.is_on = True
        try:
            recorded_s = min(_calls(model, 1, size))
        # Some cards and drivers cannot capture graphs, or there is no room.
        except RuntimeError as error:
            log.warning("the steps of %s cannot be captured: %s", model.name, error)
        model.graphs.forget()
    is_faster = recorded_s < (1 - _LEAST_GAIN_OF_A_WAY) * launched_s
    return Ways(recorded=is_faster, step_ms=1000 * (recorded_s if is_faster else launched_s))


@torch.inference_mode()
def measured_at_once(model: Model, size: Size, *, most: int) -> int:
    """Find the power of two, up to ``most``, with the least time per drawing; 1 unless that saves at least 15 %.

    On an H200 two gain nearly nothing and eight a third, so all are tried, as long as a call is short.
    """
    if most == 1:
        return 1
    calls = {1: _calls(model, 1, size)}
    least_s = {1: next(calls[1])}
    while (together := 2 * max(calls)) <= most and max(least_s.values()) < _BUSY_S:
        calls[together] = _calls(model, together, size)
        least_s[together] = next(calls[together], math.inf)
    # In turns: what else the machine does for a moment slows down no number alone.
    for turn in zip_longest(*calls.values(), fillvalue=math.inf):
        least_s = {number: min(least_s[number], seconds) for number, seconds in zip(calls, turn, strict=True)}
    model.graphs.forget()
    best = min(least_s, key=lambda number: least_s[number] / number)
    return best if least_s[best] / best <= (1 - _LEAST_GAIN) * least_s[1] else 1


def _calls(model: Model, drawings: int, size: Size) -> Iterator[float]:
    """Call the model a few times with two rows per drawing of that size, and yield the seconds of each call.

    The first call chooses its algorithms and may be captured, so it does not count; a slow call is the last one, and
    so is one for several drawings that fails.
    """
    try:
        rows = _noise(model, 2 * drawings, size)
        for repeat in range(1 + _REPEATS):
            seconds = timed(rows.latents.device, lambda: model.predict(rows))[0]
            is_last = seconds > _BUSY_S and (repeat > 0 or not rows.latents.is_cuda)
            if repeat > 0 or is_last:
                yield seconds
            if is_last:
                return
    # No memory, or no kernel for so many: fewer draw.
    except Exception as error:
        if drawings == 1:
            raise
        log.warning("%s does not draw %d at once here: %s", model.name, drawings, error)


def _noise(model: Model, rows: int, size: Size) -> UNetInput:
    config, kind = model.unet.config, {"device": model.unet.device, "dtype": model.dtype}
    width, height = (side // model.pixels_per_latent for side in size)
    pooled = 0
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return UNetInput(
        latents=torch.randn(rows, config.in_channels, height, width, **kind),
        timesteps=torch.full((rows,), 500.0, device=model.unet.device),
        embeds=torch.randn(rows, _TOKENS, config.cross_attention_dim, **kind),
        added={"text_embeds": torch.randn(rows, pooled, **kind), "time_ids": torch.ones(rows, 6, **kind)},
    )


def _latents(model: Model) -> torch.Tensor:
    """Make latents for the VAE, of a quarter of a picture, since there may not be more room."""
    width, height = (side // model.pixels_per_latent // 2 for side in model.card.sizes["square"])
    latents = torch.randn(1, model.vae.config.latent_channels, height, width, device=model.vae.device)
    return latents / float(model.vae.config.scaling_factor)
