"""Choose between fp16 and fp32 for a card: by its capability, or by trying both. Knows no model."""

import logging
from collections.abc import Callable

import torch
from torch.nn import functional

from generator.engine.timing import timed

log = logging.getLogger(__name__)

# Cards from here on have tensor cores, or twice as fast arithmetic in fp16. Of Pascal cards sources disagree.
FAST_IN_FP16 = (7, 0)

# Large enough to keep an old card busy with arithmetic.
_SIDE = 2048
_ROUNDS = 4

Figures = dict[torch.dtype, dict[str, float]]


def computed_on(capability: tuple[int, int], measure: Callable[[], Figures]) -> torch.dtype:
    """Return the faster dtype for a card of this capability, and log why; ``measure`` is called only if need be."""
    version = ".".join(map(str, capability))
    if capability >= FAST_IN_FP16:
        log.info("computing in fp16: the card has compute capability %s", version)
        return torch.float16
    figures = measure()
    totals = {dtype: sum(seconds.values()) for dtype, seconds in figures.items()}
    fastest = min(totals, key=totals.__getitem__)
    log.info(
        "computing in %s: the card has compute capability %s; %s",
        str(fastest).removeprefix("torch."),
        version,
        "; ".join(
            f"{work} {1000 * figures[torch.float16][work]:.1f} ms in fp16, {1000 * seconds:.1f} ms in fp32"
            for work, seconds in figures[torch.float32].items()
        ),
    )
    return fastest


def measured_on(device: torch.device, *, side: int = _SIDE, rounds: int = _ROUNDS) -> Figures:
    """Time what a UNet consists of, in seconds. The dtypes take turns, and the first round only warms up."""
    figures: Figures = {torch.float16: {}, torch.float32: {}}
    for turn in range(rounds + 1):
        for dtype, fastest in figures.items():
            for name, work in _works(device, dtype, side).items():
                seconds = timed(device, work)[0]
                if turn:
                    fastest[name] = min(seconds, fastest.get(name, seconds))
    return figures


def _works(device: torch.device, dtype: torch.dtype, side: int) -> dict[str, Callable[[], torch.Tensor]]:
    square = torch.ones(side, side, dtype=dtype, device=device)
    # 320 channels of 96 x 96 latents, and their attention: SSD-1B at its own size.
    latents = torch.ones(2, 320, side // 21, side // 21, dtype=dtype, device=device)
    kernel = torch.ones(320, 320, 3, 3, dtype=dtype, device=device)
    heads = torch.ones(2, 10, side, 64, dtype=dtype, device=device)
    return {
        "matrix product": lambda: square @ square,
        "convolution": lambda: functional.conv2d(latents, kernel, padding=1),
        "attention": lambda: functional.scaled_dot_product_attention(heads, heads, heads),
    }
