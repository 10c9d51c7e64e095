"""A pipeline of diffusers as one .safetensors file in the original layout, as models are shared for other programs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Weights = dict[str, torch.Tensor]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]

# Every down block has two layers, every up block three. The original numbers them consecutively.
_UNET: tuple[Rule, ...] = (
    (r"^down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.0"),
    (r"^down_blocks\.(\d)\.attentions\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.1"),
    (r"^down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op"),
    (r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.0"),
    (r"^up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.1"),
    (r"(put_blocks\.\d+\.0|middle_block\.[02])\.norm1", r"\1.in_layers.0"),
    (r"(put_blocks\.\d+\.0|middle_block\.[02])\.conv1", r"\1.in_layers.2"),
    (r"(put_blocks\.\d+\.0|middle_block\.[02])\.norm2", r"\1.out_layers.0"),
    (r"(put_blocks\.\d+\.0|middle_block\.[02])\.conv2", r"\1.out_layers.3"),
    (r"\.time_emb_proj", ".emb_layers.1"),
    (r"\.conv_shortcut", ".skip_connection"),
    (r"^time_embedding\.linear_([12])", lambda m: f"time_embed.{2 * int(m[1]) - 2}"),
    (r"^add_embedding\.linear_([12])", lambda m: f"label_emb.0.{2 * int(m[1]) - 2}"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
)
_VAE: tuple[Rule, ...] = (
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
)
_OPEN_CLIP: tuple[Rule, ...] = (
    (r"^(text_model\.)?encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm([12])", r".ln_\1"),
    (r"\.mlp\.fc1", ".mlp.c_fc"),
    (r"\.mlp\.fc2", ".mlp.c_proj"),
    (r"\.self_attn", ".attn"),
    (r"^(text_model\.)?embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"^(text_model\.)?embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^(text_model\.)?final_layer_norm", "ln_final"),
)


def save_in_original_layout(pipeline: Any, file: Path) -> None:
    """Write UNet, VAE and text encoders of SD 1.5's or SDXL's shape: the same numbers under the original names."""
    weights = {
        **_renamed(_with_up_samplers(pipeline.unet.state_dict(), pipeline.unet), _UNET, "model.diffusion_model."),
        **_renamed(pipeline.vae.state_dict(), _VAE, "first_stage_model."),
    }
    # SD 1.5 and SDXL have OpenAI's CLIP, whose weights have the names that transformers uses.
    is_sdxl = hasattr(pipeline, "text_encoder_2")
    prefix = "conditioner.embedders.0.transformer." if is_sdxl else "cond_stage_model.transformer."
    weights |= {
        f"{prefix}text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in pipeline.text_encoder.state_dict().items()
    }
    if is_sdxl:
        weights |= _renamed(
            _open_clip(pipeline.text_encoder_2.state_dict()), _OPEN_CLIP, "conditioner.embedders.1.model."
        )
    # The original's VAE uses convolutions for attention.
    attention = {name for name in weights if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name)}
    weights |= {name: weights[name][:, :, None, None] for name in attention}
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, file)


def _renamed(weights: Weights, rules: tuple[Rule, ...], prefix: str) -> Weights:
    renamed = {}
    for name, tensor in weights.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[prefix + name] = tensor
    return renamed


def _with_up_samplers(weights: Weights, unet: Any) -> Weights:
    """Rename upsamplers: they come third in blocks with attention, else second."""
    named = {}
    for name, tensor in weights.items():
        if up := re.match(r"up_blocks\.(\d)\.upsamplers\.0\.(conv.*)", name):
            place = 2 if "CrossAttn" in unet.config.up_block_types[int(up[1])] else 1
            name = f"output_blocks.{3 * int(up[1]) + 2}.{place}.{up[2]}"
        named[name] = tensor
    return named


def _open_clip(weights: Weights) -> Weights:
    """Rename OpenCLIP's weights: it has query, key and value in one matrix, and transposes its projection."""
    merged = {}
    for name, tensor in weights.items():
        if ".q_proj." in name:
            parts = [weights[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            merged[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
        elif name == "text_projection.weight":
            merged["text_projection"] = tensor.T
        elif not re.search(r"\.[kv]_proj\.", name):
            merged[name] = tensor
    return merged
