"""What makes drawings faster on this device, measured with noise as input: calls that are recorded, and calls that are
shared."""

import logging
import time
from functools import partial

import torch

from generator.drawing.deep_cache import UNetInput, whole
from generator.drawing.model import Model

log = logging.getLogger(__name__)

# Every drawing's first picture comes later the more are drawn together: that must be worth it.
_LEAST_GAIN = 0.15

# A call that takes longer than this is busy with arithmetic, which twice as many drawings have twice as much of.
_BUSY_S = 0.3

# A recording takes memory: that must be worth it.
_LEAST_GAIN_OF_GRAPHS = 0.05

_REPEATS = 3
_TOKENS = 77


@torch.inference_mode()
def try_graphs(model: Model) -> None:
    """Switch the model's recordings on where they make a drawing alone faster."""
    model.recordings.is_on = False
    plain_s = _seconds(model, 1)
    model.recordings.is_on = True
    try:
        recorded_s = _seconds(model, 1)
    # Not every card and driver can; nor is there always room.
    except RuntimeError as error:
        log.warning("the steps of %s cannot be recorded: %s", model.name, error)
        recorded_s = plain_s
    model.recordings.is_on = recorded_s < (1 - _LEAST_GAIN_OF_GRAPHS) * plain_s
    model.recordings.forget()
    told = "recorded" if model.recordings.is_on else "launched one after the other"
    log.info(
        "the operations of a step of %s are %s: it takes %.1f ms if recorded, else %.1f ms",
        model.name,
        told,
        1000 * recorded_s,
        1000 * plain_s,
    )


@torch.inference_mode()
def measured_at_once(model: Model, *, most: int) -> int:
    """The power of two, up to ``most``, with the least time for each; 1 if that is not a sixth below a lone one's time.

    On an H200 two gain nearly nothing and eight a third, so all are tried, as long as a call is short.
    """
    if most == 1:
        return 1
    per_drawing_s = {1: _seconds(model, 1)}
    together = 2
    while together <= most and max(count * each for count, each in per_drawing_s.items()) < _BUSY_S:
        per_drawing_s[together] = _seconds(model, together) / together
        together *= 2
    model.recordings.forget()
    best = min(per_drawing_s, key=lambda count: per_drawing_s[count])
    if per_drawing_s[best] > (1 - _LEAST_GAIN) * per_drawing_s[1]:
        best = 1
    log.info("%s draws up to %d at once: %.1f ms a step for each", model.name, best, 1000 * per_drawing_s[best])
    return best


def _seconds(model: Model, drawings: int) -> float:
    """One call with two rows a drawing, at the model's native size; the fastest of a few.

    The first one chooses its algorithms and may be recorded; after a slow one there is no other.
    """
    rows = _noise(model, 2 * drawings)
    times = []
    for _ in range(1 + _REPEATS):
        began = time.perf_counter()
        model.recordings.run("measured", partial(whole, model.unet, keep=False), rows)
        if rows.latents.is_cuda:
            torch.cuda.synchronize(rows.latents.device)
        times.append(time.perf_counter() - began)
        if times[-1] > _BUSY_S and (len(times) > 1 or not rows.latents.is_cuda):
            break
    return min(times[1:] or times)


def _noise(model: Model, rows: int) -> UNetInput:
    config, kind = model.unet.config, {"device": model.unet.device, "dtype": model.dtype}
    width, height = (side // model.pixels_per_latent for side in model.card.sizes["square"])
    pooled = 0
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return UNetInput(
        latents=torch.randn(rows, config.in_channels, height, width, **kind),
        timesteps=torch.full((rows,), 500.0, device=model.unet.device),
        embeds=torch.randn(rows, _TOKENS, config.cross_attention_dim, **kind),
        added={"text_embeds": torch.randn(rows, pooled, **kind), "time_ids": torch.ones(rows, 6, **kind)},
    )
