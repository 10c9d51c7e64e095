"""A UNet that stores its weights in fp16 and computes in fp32, and one with the same numbers in fp32."""

from typing import Any

import torch
from diffusers import UNet2DConditionModel

from generator.engine.model import load_model
from generator.engine.plan import make_plan
from generator.engine.upcast import compute_in
from generator.models.cards import CardSettings
from generator.models.weights import Located


def full_and_stored(name: str, card: CardSettings, located: Located) -> tuple[UNet2DConditionModel, ...]:
    plan = make_plan("cpu", "auto")
    full, stored = (load_model(name, card, located, plan).unet.half() for _ in range(2))
    full.float()
    compute_in(stored, torch.float32)
    return full, stored


def unet_input() -> dict[str, Any]:
    """Two rows of noise for a miniature of the family SDXL."""
    return {
        "sample": torch.randn(2, 4, 12, 8),
        "timestep": torch.tensor([500.0, 20.0]),
        "encoder_hidden_states": torch.randn(2, 77, 64),
        "added_cond_kwargs": {"text_embeds": torch.randn(2, 32), "time_ids": torch.ones(2, 6)},
    }
