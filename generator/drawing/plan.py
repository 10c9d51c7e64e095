"""How this machine draws: device, dtypes, tiling. Each choice comes with its reason, for the log and the facts."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import torch

from generator.drawing.torch_build import card_problem
from generator.errors import DrawingFailed

# Measured on SSD-1B's VAE, decoding in fp32 without tiles: 1.7 GiB at 768 x 768, and it grows with the area.
DECODE_BYTES_PER_PIXEL = 3200

# The width of SSD-1B's VAE, for which that was measured; activations grow with it.
_MEASURED_VAE_WIDTH = 128

# Left for the context and the convolution workspace.
_SPARE_BYTES = 400 * 1024**2


@dataclass(frozen=True)
class Plan:
    """What holds for every picture of this process. The VAE stays in fp32: in fp16 it overflows to black."""

    device: torch.device
    device_name: str
    dtype: torch.dtype
    vae_tiling: Literal["auto", "always", "never"]

    def facts(self, *, tiled: bool, together: int, enlarge: int = 1) -> dict[str, str | int | float | bool | None]:
        """What the recipe file records: under the same facts the same recipe gives the same pixels."""
        return {
            "device": self.device_name,
            "dtype": _dtype_name(self.dtype),
            "vae_dtype": "float32",
            "vae_tiling": tiled,
            # Rows of others in the same call may change the last bits.
            "drawn_together": together,
            **({"enlarged": enlarge} if enlarge > 1 else {}),
            # Not a plain str: to unpickle it, the server's process would import torch.
            "torch": str(torch.__version__),
            **{package: version(package) for package in ("diffusers", "transformers", "compel")},
        }


def make_plan(device: Literal["auto", "cpu", "cuda"], vae_tiling: Literal["auto", "always", "never"]) -> Plan:
    """Choose the device and the dtypes. Raises DrawingFailed for a card that torch cannot use."""
    if device != "cpu" and (problem := card_problem()):
        raise DrawingFailed("unusable_card", problem)
    if device == "cuda" and not torch.cuda.is_available():
        raise DrawingFailed("no_card", "The settings say device: cuda, and there is no NVIDIA card on this machine.")
    if device == "cpu" or not torch.cuda.is_available():
        return Plan(torch.device("cpu"), f"cpu, {platform.machine()}", torch.float32, vae_tiling)
    return Plan(torch.device("cuda"), torch.cuda.get_device_name(), torch.float16, vae_tiling)


def must_tile(plan: Plan, *, pixels: int, vae_width: int) -> bool:
    """Whether decoding ``pixels`` in one piece would not fit into the card's free memory.

    diffusers tiles only above the VAE's own sample size, 1024 for SDXL, so the engine sets the tile itself.
    """
    if plan.vae_tiling != "auto":
        return plan.vae_tiling == "always"
    if plan.device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(plan.device)
    unused = torch.cuda.memory_reserved(plan.device) - torch.cuda.memory_allocated(plan.device)
    return decode_bytes(pixels, vae_width) + _SPARE_BYTES > free + unused


def decode_bytes(pixels: int, vae_width: int) -> int:
    """Memory for decoding in one piece, in bytes."""
    return DECODE_BYTES_PER_PIXEL * pixels * vae_width // _MEASURED_VAE_WIDTH


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
