"""How this machine draws: device, dtypes, tiling. Each choice comes with its reason, for the log and the facts."""

import logging
import platform
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Literal

import torch

from generator.engine.memory import memory_of
from generator.engine.needs import SPARE_BYTES, Arrangement, Needs
from generator.engine.torch_build import card_problem
from generator.errors import DrawingFailed
from generator.models.cards import CardSettings

log = logging.getLogger(__name__)

# Wide enough that the card is busy with arithmetic.
_MATMUL_SIDE = 2048

# It reads a file of the package's.
_version = cache(version)


@dataclass(frozen=True)
class Plan:
    """What holds for every picture of this process: weights are ``stored`` in one dtype and ``computed`` with in one.

    The VAE stays in fp32: in fp16 it overflows to black. (`generator.engine.half_decoder` is one that does not.)
    """

    device: torch.device
    device_name: str
    stored: torch.dtype
    computed: torch.dtype
    vae_tiling: Literal["auto", "always", "never"]

    @property
    def arrangements(self) -> tuple[Arrangement, ...]:
        """What can be where, the most comfortable first."""
        if self.device.type == "cpu":
            return (Arrangement.RESIDENT,)
        if self.stored != self.computed:
            # Text encoders compute as they are stored: here in RAM, in fp32.
            return (Arrangement.LEAN, Arrangement.OFFLOADED)
        return tuple(Arrangement)

    def facts(
        self,
        *,
        card: CardSettings,
        arrangement: Arrangement,
        fused: bool,
        vae_dtype: torch.dtype,
        tiled: bool,
        together: int,
    ) -> dict[str, str | int | float | bool | None]:
        """What the recipe file records: under the same facts the same recipe gives the same pixels."""
        return {
            "device": self.device_name,
            "dtype": _dtype_name(self.computed),
            **({"stored": _dtype_name(self.stored)} if self.stored != self.computed else {}),
            "arrangement": str(arrangement),
            # Our own round less often.
            "kernels": "fused" if fused else "torch",
            "vae_dtype": _dtype_name(vae_dtype),
            "vae_tiling": tiled,
            # Rows of others in the same call may change the last bits.
            "drawn_together": together,
            **({"guidance_rescale": card.guidance_rescale} if card.guidance_rescale else {}),
            **({"enlarged": card.enlarge} if card.enlarge > 1 else {}),
            # Not a plain str: to unpickle it, the server's process would import torch.
            "torch": str(torch.__version__),
            **{package: _version(package) for package in ("diffusers", "transformers", "compel")},
            **({"triton": _version("triton")} if fused else {}),
        }


def lora_facts(revision: str | None) -> dict[str, str | int | float | bool | None]:
    """The same of a draft: the revision of the LoRA that it was drawn with, if any."""
    return {"lora": revision, **({"peft": _version("peft")} if revision else {})}


def make_plan(device: Literal["auto", "cpu", "cuda"], vae_tiling: Literal["auto", "always", "never"]) -> Plan:
    """Choose the device and the dtypes, and log them. Raises DrawingFailed for a card that torch cannot use."""
    if device != "cpu" and (problem := card_problem()):
        raise DrawingFailed("unusable_card", str(problem))
    if device == "cuda" and not torch.cuda.is_available():
        raise DrawingFailed("no_card", "The settings say device: cuda, and there is no NVIDIA card on this machine.")
    if device == "cpu" or not torch.cuda.is_available():
        plan = Plan(torch.device("cpu"), f"cpu, {platform.machine()}", torch.float32, torch.float32, vae_tiling)
    else:
        card = torch.device("cuda")
        computed = torch.float16 if _seconds(card, torch.float16) < _seconds(card, torch.float32) else torch.float32
        plan = Plan(card, torch.cuda.get_device_name(), torch.float16, computed, vae_tiling)
    log.info("drawing on %s: stored in %s, computed in %s", plan.device_name, plan.stored, plan.computed)
    return plan


def free_bytes(device: torch.device) -> int:
    """What this process could still take: what is free, and what torch holds and does not use."""
    memory = memory_of(device)
    free = memory.total_bytes - memory.used_bytes
    if device.type == "cuda":
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free


def must_tile(plan: Plan, needs: Needs, *, pixels: int) -> bool:
    """Whether decoding ``pixels`` in one piece would not fit into the device's free memory.

    diffusers tiles only above the VAE's own sample size, 1024 for SDXL, so the engine sets the tile itself.
    """
    if plan.vae_tiling != "auto":
        return plan.vae_tiling == "always"
    return plan.device.type == "cuda" and needs.decode(pixels, tiled=False) + SPARE_BYTES > free_bytes(plan.device)


def _seconds(card: torch.device, dtype: torch.dtype) -> float:
    """A matrix product: whether Pascal cards compute in fp16 faster is told differently everywhere, so it is tried."""
    a = torch.ones(_MATMUL_SIDE, _MATMUL_SIDE, dtype=dtype, device=card)
    times = []
    for _ in range(3):
        torch.cuda.synchronize(card)
        began = time.perf_counter()
        torch.mm(a, a)
        torch.cuda.synchronize(card)
        times.append(time.perf_counter() - began)
    return min(times)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
