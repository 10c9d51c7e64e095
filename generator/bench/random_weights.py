"""Random weights for a model that is not on this machine: its true architecture takes the true time on a card."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

# What differs from diffusers' defaults, which are Stable Diffusion 1's. Source: unet/config.json in each model's
# repository.
_SD_BLOCKS = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
_SDXL_BLOCKS = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "cross_attention_dim": 2048,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
}
_SDXL = {**_SDXL_BLOCKS, "transformer_layers_per_block": (1, 2, 10)}
_UNETS: dict[str, dict[str, Any]] = {
    "ssd-1b": {
        **_SDXL_BLOCKS,
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [0, [2, 2], [4, 4]],
        "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    },
    "sdxl-turbo": _SDXL,
    "proteus-v0.2": _SDXL,
    "sd-1.5": {**_SD_BLOCKS, "attention_head_dim": 8, "cross_attention_dim": 768, "sample_size": 64},
    "sd-2.1": {
        **_SD_BLOCKS,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
        "cross_attention_dim": 1024,
        "sample_size": 96,
    },
}
NAMES = tuple(_UNETS)

# Width, layers, heads and activation of each model's text encoders: CLIP ViT-L/14, OpenCLIP ViT-bigG/14 and ViT-H/14.
_VIT_L = (768, 12, 12, "quick_gelu")
_BIG_G = (1280, 32, 20, "gelu")
_VIT_H = (1024, 23, 16, "gelu")


def make_unet(name: str) -> UNet2DConditionModel:
    return UNet2DConditionModel(**_UNETS[name])


def save_random(name: str, folder: Path) -> None:
    """Write a random pipeline in diffusers' layout, in fp16. Makes it on the card, where random numbers are quick."""
    # Any tokenizer would do: pocket's are on every machine.
    pocket = str(files("generator.pocket") / "weights")
    words, more_words = (CLIPTokenizer.from_pretrained(pocket, subfolder=part) for part in ("tokenizer", "tokenizer_2"))
    with torch.device("cuda"):
        parts: dict[str, Any] = {"unet": make_unet(name), "vae": _vae(is_sdxl=_is_sdxl(name))}
        if _is_sdxl(name):
            parts |= {
                "text_encoder": CLIPTextModel(_text_config(words, *_VIT_L)),
                "text_encoder_2": CLIPTextModelWithProjection(_text_config(more_words, *_BIG_G)),
            }
        else:
            parts |= {"text_encoder": CLIPTextModel(_text_config(words, *(_VIT_H if name == "sd-2.1" else _VIT_L)))}
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    if _is_sdxl(name):
        more = {"tokenizer_2": more_words, "add_watermarker": False}
        pipeline = StableDiffusionXLPipeline(**parts, tokenizer=words, scheduler=scheduler, **more)
    else:
        more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = StableDiffusionPipeline(**parts, tokenizer=words, scheduler=scheduler, **more)
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)


def _is_sdxl(name: str) -> bool:
    return "addition_embed_type" in _UNETS[name]


def _vae(*, is_sdxl: bool) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=1024 if is_sdxl else 512,
        scaling_factor=0.13025 if is_sdxl else 0.18215,
        force_upcast=is_sdxl,
    )


def _text_config(words: Any, width: int, layers: int, heads: int, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
