"""The tiers: what each leaves out of a drawing. ``exact`` leaves out nothing. Knows no model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """Which work the steps of a drawing do.

    ``guided`` is the share of the steps, from the first, that the negative prompt may guide: it has its effect early
    (Castillo et al., Adaptive guidance, arXiv 2312.12487). Every ``whole_every``-th step runs the whole UNet, the
    others only its outermost layers (Ma et al., DeepCache, arXiv 2312.00858).
    """

    guided: float = 1.0
    whole_every: int = 1


TIERS = {
    "exact": Tier(),
    "balanced": Tier(guided=0.6),
    "fast": Tier(guided=0.6, whole_every=3),
    # A draft takes fewer steps, too.
    "draft": Tier(guided=0.6, whole_every=3),
}

# With a LoRA a draft has only a few steps, and none of them has work to spare.
DRAFT_WITH_LORA = Tier()
