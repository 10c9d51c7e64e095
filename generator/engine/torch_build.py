"""Check whether this build of torch can use this machine's card, and advise if not. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

# The last builds with code for Pascal and older cards.
OLD_CARDS_BUILD = "cu126"


@dataclass(frozen=True)
class Problem:
    """Why the card cannot be used, and what to do. ``str()`` has both."""

    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


def card_problem() -> Problem | None:
    """Return why this machine's card cannot be used; None if it can, or if there is no card."""
    if not Path("/proc/driver/nvidia/version").exists():
        return None
    if not torch.cuda.is_available():
        return Problem(
            f"This machine has an NVIDIA card, but torch {torch.__version__} cannot use it.",
            "Install a build for the card: make setup TORCH=auto.",
        )
    return mismatch(torch.cuda.get_device_name(), torch.cuda.get_device_capability(), torch.cuda.get_arch_list())


def mismatch(card: str, capability: tuple[int, int], architectures: Sequence[str]) -> Problem | None:
    """Return why a build with code for ``architectures`` cannot run on a card of this capability; None if it can.

    Machine code (``sm_61``) runs on the same major version from its minor version on, PTX (``compute_90``) on
    everything newer (CUDA C++ Programming Guide, "Compatibility").
    """
    for architecture in architectures:
        kind, _, digits = architecture.rstrip("af").partition("_")
        built = (int(digits[:-1]), int(digits[-1]))
        if kind == "compute" and built <= capability:
            return None
        if kind == "sm" and built[0] == capability[0] and built <= capability:
            return None
    return Problem(
        f"{card} has compute capability {capability[0]}.{capability[1]}, for which this build of torch has no code "
        f"({', '.join(architectures) or 'none'}).",
        f"Install one that has: make setup TORCH={OLD_CARDS_BUILD}.",
    )
