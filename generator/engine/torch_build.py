"""Check whether this build of torch can use this machine's card, and advise if not. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

# The last builds with code for Pascal and older cards.
OLD_CARDS_BUILD = "cu126"


@dataclass(frozen=True)
class Problem:
    """Why the card cannot be used, and what to do. ``str()`` has both.

    ``may_pass``: another process may find the card usable later, and jobs wait for that.
    """

    message: str
    advice: str
    may_pass: bool = False

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


def card_problem(device: str) -> Problem | None:
    """Return why the card that the setting ``device`` names cannot be used; None if it can, or if there is no card."""
    if not Path("/proc/driver/nvidia/version").exists():
        return None
    if not torch.cuda.is_available():
        is_for_cards, has_uvm = torch.version.cuda is not None, Path("/dev/nvidia-uvm").exists()
        return unusable(_reason(), version=str(torch.__version__), is_for_cards=is_for_cards, has_uvm=has_uvm)
    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    index = index_of(device)
    if index >= len(names):
        return Problem(f"The settings say device: {device}; there is {listed(names)}.", "Set device to one of them.")
    return mismatch(names[index], torch.cuda.get_device_capability(index), torch.cuda.get_arch_list())


def index_of(device: str) -> int:
    """Return the number of the card that the setting ``device`` names: the first, unless it names another."""
    return int(device.partition(":")[2] or 0)


def listed(names: Sequence[str]) -> str:
    """List a machine's cards under the names that the setting ``device`` has for them."""
    return ", ".join(f"cuda:{n} ({name})" for n, name in enumerate(names))


def _reason() -> str:
    """Return what torch says when it is made to use the card."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # as torch has it
    except (RuntimeError, AssertionError) as error:
        return str(error)
    return ""


def unusable(reason: str, *, version: str, is_for_cards: bool, has_uvm: bool = True) -> Problem:
    """Return why torch cannot use the card, and what helps for what it says is the reason.

    ``has_uvm``: the kernel module nvidia-uvm is loaded.
    """
    message = f"This machine has an NVIDIA card, but torch {version} cannot use it."
    if not is_for_cards:
        return Problem(message, "That build is for processors. Install one for the card: make setup TORCH=auto.")
    for sign, advice in _LASTING:
        if sign in reason.lower():
            return Problem(message, advice)
    if not has_uvm:
        advice = "The module nvidia-uvm is not loaded: nvidia-modprobe -u -c 0, as root. The unit does so at its start."
        return Problem(message, advice, may_pass=True)
    for sign, advice in _PASSING:
        if sign in reason.lower():
            return Problem(message, advice, may_pass=True)
    said = f" It says: {reason.splitlines()[0][:200]}." if reason else ""
    advice = "See whether nvidia-smi finds the card. If it does, restart the machine."
    return Problem(f"{message}{said}", advice, may_pass=True)


# What CUDA and torch say, and what to do: first what waiting does not mend.
_LASTING = (
    ("driver on your system is too old", "Its driver is too old for this build: update it, or make setup TORCH=cu126."),
    ("operation not permitted", "This user may not use the card: see the rights of /dev/nvidia*."),
)
_PASSING = (
    (
        "unsupported display driver",
        "Its driver was updated while the old one runs (CUDA error 803). Restart the machine.",
    ),
    ("version mismatch", "Its driver was updated while the old one runs. Restart the machine."),
    (
        "unknown error",
        "The driver lost the card, as after a suspend: sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm. "
        "If that does not help, restart the machine.",
    ),
    ("no cuda gpus", "Its driver shows no card to this user. See what nvidia-smi says, and CUDA_VISIBLE_DEVICES."),
    ("no cuda-capable device", "Its driver shows no card to this user. See what nvidia-smi says."),
)


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
