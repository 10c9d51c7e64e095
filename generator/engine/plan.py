"""The plan, how this machine draws: device, dtypes, tiling. Chosen once, logged, and recorded in a picture's facts."""

import logging
import platform
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from generator.engine.memory import memory_of
from generator.engine.needs import SPARE_BYTES, Arrangement, Needs
from generator.engine.precision import computed_on, measured_on
from generator.engine.torch_build import card_problem, index_of
from generator.engine.versions import version
from generator.errors import CardLost, CardUnusable
from generator.models.cards import CardSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The choices for every picture of this process: the UNet is ``stored`` in one dtype, and ``computed`` in one.

    The VAE stays in fp32: in fp16 it overflows to black, unless decoded by `generator.engine.half_decoder`.
    """

    device: torch.device
    device_name: str
    stored: torch.dtype
    computed: torch.dtype
    vae_tiling: Literal["auto", "always", "never"]

    @property
    def arrangements(self) -> tuple[Arrangement, ...]:
        """The arrangements that this plan allows, the fastest first."""
        if self.device.type == "cpu":
            return (Arrangement.RESIDENT,)
        if self.stored != self.computed:
            # Text encoders compute in the dtype they are stored in: here fp32, in RAM.
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
        cards: int,
    ) -> dict[str, str | int | float | bool | None]:
        """The facts for the recipe file: with the same ones, on one card and alone, a recipe gives the same pixels."""
        return {
            "device": self.device_name,
            "dtype": _dtype_name(self.computed),
            **({"stored": _dtype_name(self.stored)} if self.stored != self.computed else {}),
            "arrangement": str(arrangement),
            # Fused kernels round less often.
            "kernels": "fused" if fused else "torch",
            "vae_dtype": _dtype_name(vae_dtype),
            "vae_tiling": tiled,
            # Other drawings in the same call may change the last bits.
            "drawn_together": together,
            # So may another card that computes a row of the guidance.
            "cards": cards,
            **({"guidance_rescale": card.guidance_rescale} if card.guidance_rescale else {}),
            **({"enlarged": card.enlarge} if card.enlarge > 1 else {}),
            **{package: version(package) for package in ("torch", "diffusers", "transformers", "compel")},
            **({"triton": version("triton")} if fused else {}),
        }


def lora_facts(revision: str | None) -> dict[str, str | int | float | bool | None]:
    """The further facts of a draft: the revision of its LoRA, None without one."""
    return {"lora": revision, **({"peft": version("peft")} if revision else {})}


def make_plan(device: str, vae_tiling: Literal["auto", "always", "never"]) -> Plan:
    """Choose the device and the dtypes, and log them. What follows in this process is for that card.

    Raises CardUnusable for a card that torch cannot use, and CardLost for one that may come back.
    """
    if device != "cpu" and (problem := card_problem(device)):
        raise CardLost(str(problem)) if problem.may_pass else CardUnusable(str(problem))
    if device not in ("auto", "cpu") and not torch.cuda.is_available():
        raise CardUnusable(f"The settings say device: {device}, and there is no NVIDIA card on this machine.")
    if device == "cpu" or not torch.cuda.is_available():
        plan = Plan(torch.device("cpu"), f"cpu, {platform.machine()}", torch.float32, torch.float32, vae_tiling)
    else:
        card = torch.device("cuda" if device == "auto" else device)
        torch.cuda.set_device(index_of(device))
        computed = computed_on(torch.cuda.get_device_capability(card), partial(measured_on, card))
        plan = Plan(card, torch.cuda.get_device_name(), torch.float16, computed, vae_tiling)
    log.info("drawing on %s: stored in %s, computed in %s", plan.device_name, plan.stored, plan.computed)
    return plan


def free_bytes(device: torch.device) -> int:
    """The bytes that this process could still use: free ones, and those that torch has reserved but does not use."""
    memory = memory_of(device)
    free = memory.total_bytes - memory.used_bytes
    if device.type == "cuda":
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free


def must_tile(plan: Plan, needs: Needs, *, pixels: int) -> bool:
    """Whether to decode ``pixels`` in tiles: if the settings say so, or one piece would not fit into free memory.

    diffusers tiles only above the VAE's own sample size, 1024 for SDXL, so the engine sets the tile size itself.
    """
    if plan.vae_tiling != "auto":
        return plan.vae_tiling == "always"
    return plan.device.type == "cuda" and needs.decode(pixels, tiled=False) + SPARE_BYTES > free_bytes(plan.device)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
