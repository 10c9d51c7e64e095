"""What each tier leaves out of a drawing. ``exact`` leaves out nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """How the steps of a drawing are taken.

    ``guided`` is the share of the steps, from the first, that may look at the negative prompt as well: what it keeps
    out is kept out early (Castillo et al., Adaptive guidance, arXiv 2312.12487). Every ``whole_every``-th step goes
    through the whole UNet, the others only through its outermost layers (Ma et al., DeepCache, arXiv 2312.00858).
    """

    guided: float = 1.0
    whole_every: int = 1


TIERS = {
    "exact": Tier(),
    "balanced": Tier(guided=0.6),
    "fast": Tier(guided=0.6, whole_every=3),
    # Of fewer steps, too.
    "draft": Tier(guided=0.6, whole_every=3),
}

# With a LoRA that makes a few steps enough, none of them has anything to leave out.
DRAFT_WITH_LORA = Tier()
