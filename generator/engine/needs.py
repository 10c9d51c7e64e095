"""Count the memory a model needs before anything is loaded, and choose which parts are on the card. Loads nothing."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, prod

import torch
from safetensors import SafetensorError, safe_open

from generator.errors import DOES_NOT_FIT, CardBusy, DrawingFailed, WeightsBroken, WeightsIncomplete
from generator.models.cards import CardSettings
from generator.models.weights import Located, lora_bytes, weight_files

log = logging.getLogger(__name__)

GIB = 1024**3

# Left for the CUDA context and the convolution workspace.
SPARE_BYTES = 400 * 1024**2

# Measured on SSD-1B's VAE, decoding in fp32: 1.7 GiB for 768 x 768 in one piece, and it grows with the area; 0.75 GiB
# in tiles of 512 x 512.
DECODE_BYTES_PER_PIXEL = 3200
TILED_DECODE_BYTES = 768 * 1024**2

# Measured on SSD-1B's UNet with two rows: 0.5 GiB in fp32 for 96 x 96 latents.
_STEP_NUMBERS_PER_LATENT = 7 * 1024
_MEASURED_WIDTH = 320
_MEASURED_VAE_WIDTH = 128

# Each latent of SD's and SDXL's VAE stands for 8 x 8 pixels; pocket's smaller ones do not matter here.
_PIXELS_PER_LATENT = 64


class Arrangement(StrEnum):
    """Which parts of a model are on the card while it draws. Each takes less memory than the last, and more time."""

    RESIDENT = "resident"
    # The text encoders stay in RAM and compute there; embeddings are cached for the next drawing.
    LEAN = "lean"
    # The text encoders stay in RAM, and UNet and VAE take turns on the card.
    OFFLOADED = "offloaded"

    @property
    def meaning(self) -> str:
        return {
            "resident": "all of it in the memory of what draws",
            "lean": "with its text encoders in RAM",
            "offloaded": "its parts taking turns on the card, which is slow",
        }[self]


@dataclass(frozen=True)
class Needs:
    """The bytes that a model needs on the device: its weights as stored there, a step, and a decode."""

    unet: int
    text: int
    vae: int
    bytes_per_number: int
    # Relative to the widths of SSD-1B.
    unet_width: float = 1.0
    vae_width: float = 1.0

    def weights(self, arrangement: Arrangement) -> int:
        """The bytes that stay on the device between two pictures."""
        match arrangement:
            case Arrangement.RESIDENT:
                return self.unet + self.text + self.vae
            case Arrangement.LEAN:
                return self.unet + self.vae
            case Arrangement.OFFLOADED:
                return 0

    def step(self, pixels: int) -> int:
        """The bytes of one step of one drawing with its two rows."""
        latents = pixels // _PIXELS_PER_LATENT
        return int(2 * latents * _STEP_NUMBERS_PER_LATENT * self.bytes_per_number * self.unet_width)

    def decode(self, pixels: int, *, tiled: bool) -> int:
        whole = int(DECODE_BYTES_PER_PIXEL * pixels * self.vae_width)
        return min(whole, int(TILED_DECODE_BYTES * self.vae_width)) if tiled else whole

    def peak(self, arrangement: Arrangement, pixels: int) -> int:
        """The peak of drawing a picture, decoded in tiles. SPARE_BYTES come on top, once per process."""
        step, decode = self.step(pixels), self.decode(pixels, tiled=True)
        if arrangement is Arrangement.OFFLOADED:
            return max(self.unet + step, self.vae + decode)
        return self.weights(arrangement) + max(step, decode)

    def peak_gib(self, arrangement: Arrangement, pixels: int) -> float:
        """The peak for people, rounded up: the smallest models need less than a tenth."""
        return ceil(self.peak(arrangement, pixels) / GIB * 10) / 10


# The prefixes of tensor names, by part, in a file in the original layout of SD and SDXL.
_IN_ONE_FILE = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_": "text",
    "conditioner.": "text",
}


def count(name: str, card: CardSettings, located: Located, *, stored: torch.dtype, computed: torch.dtype) -> Needs:
    """Count from the heads of the safetensors files, without reading weights. Raises DrawingFailed for broken files."""
    numbers: Counter[str] = Counter()
    try:
        for part, file in weight_files(located, card):
            with safe_open(file, framework="numpy") as tensors:
                for tensor in tensors.keys():  # noqa: SIM118 - tensors is not a dictionary
                    own = _part(part, tensor)
                    # A file with the VAE alone takes the place of the one among all parts.
                    if not (part == "" and own == "vae" and located.vae):
                        numbers[own] += prod(tensors.get_slice(tensor).get_shape())
        if located.file and numbers["unet"] and not numbers["vae"]:
            raise WeightsIncomplete(name, "VAE", key="vae")
        unet, vae = (
            json.loads((located.folder / part / "config.json").read_text(encoding="utf-8")) for part in ("unet", "vae")
        )
        return Needs(
            # From the first draft on the LoRA is in memory as well.
            unet=numbers["unet"] * stored.itemsize + lora_bytes(card),
            text=numbers["text"] * stored.itemsize,
            # Always in fp32: in fp16 the VAE overflows to black.
            vae=numbers["vae"] * torch.float32.itemsize,
            bytes_per_number=computed.itemsize,
            unet_width=unet["block_out_channels"][0] / _MEASURED_WIDTH,
            vae_width=vae["block_out_channels"][0] / _MEASURED_VAE_WIDTH,
        )
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        log.error("the weights of %s in %s cannot be counted: %s", name, located.file or located.folder, error)
        raise WeightsBroken(name) from error


def _part(part: str, tensor: str) -> str:
    if part.startswith("text_encoder"):
        return "text"
    return part or next((part for start, part in _IN_ONE_FILE.items() if tensor.startswith(start)), "other")


def arrange(
    name: str,
    needs: Needs,
    *,
    free: int,
    total: int,
    pixels: int,
    possible: tuple[Arrangement, ...] = tuple(Arrangement),
) -> Arrangement:
    """Return the first of the ``possible`` arrangements that fits into ``free`` bytes.

    Raises DrawingFailed if none fits even into ``total``, and CardBusy if other programs hold the memory.
    """
    for arrangement in possible:
        if needs.peak(arrangement, pixels) + SPARE_BYTES <= free:
            return arrangement
    least = needs.peak(possible[-1], pixels) + SPARE_BYTES
    needed = f"{name} needs {least / GIB:.1f} GiB of memory for {pixels:,} pixels"
    if least > total:
        raise DrawingFailed(
            DOES_NOT_FIT,
            f"{needed}; the drawing computer has {total / GIB:.1f} GiB.",
            field="width",
            value=least,
            limit=total,
        )
    raise CardBusy(
        f"{needed}. Other programs hold {(total - free) / GIB:.1f} of {total / GIB:.1f} GiB: "
        "this is drawn when there is room."
    )
