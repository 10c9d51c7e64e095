"""What a model needs of a device's memory, counted before anything is loaded, and what of it is where."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import prod

import torch
from safetensors import SafetensorError, safe_open

from generator.errors import CardBusy, DrawingFailed, WeightsBroken
from generator.models.cards import CardSettings
from generator.models.weights import Located, lora_bytes, weight_files

log = logging.getLogger(__name__)

GIB = 1024**3

# For the context and the convolution workspace.
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
    """What is on the card while a model draws; each needs less of it than the one before, and takes longer."""

    RESIDENT = "resident"
    # The text encoders stay in RAM and compute there; embeddings are kept for the next drawing.
    LEAN = "lean"
    # UNet and VAE take turns as well.
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
    """Bytes on the device: of the weights as they are stored there, and of a step and a decode."""

    unet: int
    text: int
    vae: int
    bytes_per_number: int
    # Relative to SSD-1B's.
    unet_width: float = 1.0
    vae_width: float = 1.0

    def weights(self, arrangement: Arrangement) -> int:
        """What stays on the device between two pictures."""
        match arrangement:
            case Arrangement.RESIDENT:
                return self.unet + self.text + self.vae
            case Arrangement.LEAN:
                return self.unet + self.vae
            case Arrangement.OFFLOADED:
                return 0

    def step(self, pixels: int) -> int:
        """One step of one drawing with its two rows."""
        latents = pixels // _PIXELS_PER_LATENT
        return int(2 * latents * _STEP_NUMBERS_PER_LATENT * self.bytes_per_number * self.unet_width)

    def decode(self, pixels: int, *, tiled: bool) -> int:
        whole = int(DECODE_BYTES_PER_PIXEL * pixels * self.vae_width)
        return min(whole, int(TILED_DECODE_BYTES * self.vae_width)) if tiled else whole

    def peak(self, arrangement: Arrangement, pixels: int) -> int:
        """The most at any moment of drawing a picture, decoded in tiles; SPARE_BYTES come on top, once a process."""
        step, decode = self.step(pixels), self.decode(pixels, tiled=True)
        if arrangement is Arrangement.OFFLOADED:
            return max(self.unet + step, self.vae + decode)
        return self.weights(arrangement) + max(step, decode)


# How the parts' tensors begin where one file has them all, in the original layout of SD and SDXL.
_IN_ONE_FILE = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_": "text",
    "conditioner.": "text",
}


def count(name: str, card: CardSettings, located: Located, *, stored: torch.dtype, computed: torch.dtype) -> Needs:
    """From the heads of the safetensors files: no weights are read. Raises DrawingFailed for broken files."""
    numbers: Counter[str] = Counter()
    try:
        for part, file in weight_files(located, card):
            with safe_open(file, framework="numpy") as tensors:
                for tensor in tensors.keys():  # noqa: SIM118 - it is no dictionary
                    numbers[_part(part, tensor)] += prod(tensors.get_slice(tensor).get_shape())
        unet, vae = (
            json.loads((located.folder / part / "config.json").read_text(encoding="utf-8")) for part in ("unet", "vae")
        )
        return Needs(
            # From the first draft on its LoRA is there as well.
            unet=numbers["unet"] * stored.itemsize + lora_bytes(card),
            text=numbers["text"] * stored.itemsize,
            # In fp32 always: in fp16 it overflows to black.
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
    """The most comfortable of the ``possible`` arrangements that fits into ``free`` bytes.

    Raises DrawingFailed with the numbers where nothing fits the whole device, CardBusy where other programs hold it.
    """
    for arrangement in possible:
        if needs.peak(arrangement, pixels) + SPARE_BYTES <= free:
            return arrangement
    least = needs.peak(possible[-1], pixels) + SPARE_BYTES
    told = f"{name} needs {least / GIB:.1f} GiB of memory for {pixels:,} pixels"
    if least > total:
        raise DrawingFailed(
            "does_not_fit",
            f"{told}; the drawing machine has {total / GIB:.1f} GiB.",
            field="width",
            value=least,
            limit=total,
        )
    raise CardBusy(
        f"{told}. Other programs hold {(total - free) / GIB:.1f} of {total / GIB:.1f} GiB: "
        "this is drawn when there is room."
    )
