"""The models of ``cards.yml`` in miniature: each model's blocks, heads and schedule with few, random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from generator.models.cards import CardSettings
from tests.helpers.stand_in_weights import save_stand_in, text_config, tokenizer

NAMES = ("ssd-1b", "sdxl-turbo", "proteus-v0.2", "sd-1.5", "sd-2.1")

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}

_LORA_RANK = 4

# From each model's scheduler_config.json.
_SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sdxl-turbo": (EulerAncestralDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "proteus-v0.2": (EulerDiscreteScheduler, {"timestep_spacing": "leading"}),
    "sd-1.5": (PNDMScheduler, {"set_alpha_to_one": False, "skip_prk_steps": True}),
    "sd-2.1": (DDIMScheduler, {"set_alpha_to_one": False, "clip_sample": False, "prediction_type": "v_prediction"}),
}


def save_miniature(name: str, folder: Path, *, layers_per_block: int = 1) -> None:
    """Write the pipeline in diffusers' layout. One version of torch gives the same weights on every machine.

    The models have two layers in each block, which only their original layout needs: all tests are faster with one.
    """
    if name == "ssd-1b":
        save_stand_in(folder)
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NAMES.index(name))
        pipeline = (_sd if name.startswith("sd-") else _sdxl)(name, layers_per_block)
    pipeline.save_pretrained(folder, safe_serialization=True)


def save_lora(folder: Path, file: Path) -> None:
    """Write a LoRA for the miniature in ``folder``. It adapts the layers that LCM-LoRA adapts, under the same names:
    every linear layer and convolution of the blocks."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True)
    noise = torch.Generator().manual_seed(0)
    tensors = {}
    for name, layer in unet.named_modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d) and "blocks." in name:
            out, *rest = layer.weight.shape
            down, up = (_LORA_RANK, *rest), (out, _LORA_RANK, *[1] * len(rest[1:]))
            key = f"lora_unet_{name.replace('.', '_')}"
            tensors[f"{key}.lora_down.weight"] = 0.1 * torch.randn(down, generator=noise)
            tensors[f"{key}.lora_up.weight"] = 0.1 * torch.randn(up, generator=noise)
            tensors[f"{key}.alpha"] = torch.tensor(_LORA_RANK / 2)
    save_file({key: tensor.half() for key, tensor in tensors.items()}, file)


def miniature_card(name: str, folder: Path) -> CardSettings:
    """The model's card for its miniature, which draws small pictures."""
    return CardSettings.model_validate(miniature_settings(name, folder))


def miniature_settings(name: str, folder: Path) -> dict[str, Any]:
    """The miniature's card as an entry of a settings file."""
    return {"like": name, "folder": str(folder), "sizes": {"square": [64, 64]}, "limits": {"min_side": 64}}


def _sdxl(name: str, layers_per_block: int) -> StableDiffusionXLPipeline:
    """SDXL as in Turbo and Proteus: attention in the middle block, more transformer layers below, but fewer of them."""
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32, 32),
        norm_num_groups=8,
        layers_per_block=layers_per_block,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        cross_attention_dim=32 + 48,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 48,
        sample_size=16,
    )
    first, second = tokenizer("<|endoftext|>"), tokenizer("!")
    return StableDiffusionXLPipeline(
        unet=unet,
        vae=_vae(scaling_factor=0.13025, sample_size=1024),
        text_encoder=CLIPTextModel(text_config(first)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(second, width=48, hidden_act="gelu")),
        tokenizer=first,
        tokenizer_2=second,
        scheduler=_scheduler(name),
        add_watermarker=False,
    )


def _sd(name: str, layers_per_block: int) -> StableDiffusionPipeline:
    """SD 1.5 has equal heads at every level and convolutions around attention; SD 2.1 more heads below and linear."""
    is_1 = name == "sd-1.5"
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32, 32, 32),
        norm_num_groups=8,
        layers_per_block=layers_per_block,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        attention_head_dim=4 if is_1 else (2, 4, 8, 8),
        use_linear_projection=not is_1,
        cross_attention_dim=32,
        # Below 64, diffusers warns of an outdated configuration.
        sample_size=64 if is_1 else 96,
    )
    words = tokenizer("<|endoftext|>" if is_1 else "!")
    return StableDiffusionPipeline(
        unet=unet,
        vae=_vae(scaling_factor=0.18215, sample_size=512 if is_1 else 768),
        text_encoder=CLIPTextModel(text_config(words, hidden_act="quick_gelu" if is_1 else "gelu")),
        tokenizer=words,
        scheduler=_scheduler(name),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _scheduler(name: str) -> Any:
    scheduler, options = _SCHEDULERS[name]
    return scheduler(**_BETAS, **options)


def _vae(*, scaling_factor: float, sample_size: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=scaling_factor,
        sample_size=sample_size,
    )
