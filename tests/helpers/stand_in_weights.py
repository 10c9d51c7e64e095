"""The stand-in's weights: SSD-1B's architecture in miniature with random numbers, in diffusers' layout."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

_TEXT_WIDTH = 32
_TIME_WIDTH = 8


def save_stand_in(folder: Path) -> None:
    """Write the pipeline. One version of torch gives the same weights on every machine."""
    _pipeline().save_pretrained(folder, safe_serialization=True)


def _pipeline() -> StableDiffusionXLPipeline:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StableDiffusionXLPipeline(
            unet=_unet(),
            vae=_vae(),
            text_encoder=CLIPTextModel(text_config(tokenizer("<|endoftext|>"))),
            text_encoder_2=CLIPTextModelWithProjection(text_config(tokenizer("!"))),
            tokenizer=tokenizer("<|endoftext|>"),
            tokenizer_2=tokenizer("!"),
            # SSD-1B's own scheduler and schedule.
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                timestep_spacing="leading",
            ),
            add_watermarker=False,
        )


def _unet() -> UNet2DConditionModel:
    """SSD-1B's block pattern: no attention in the middle, and different counts of transformer layers up and down.

    There are fewer of them than SSD-1B has: each makes all tests slower, and all are alike.
    """
    return UNet2DConditionModel(
        block_out_channels=(16, 32, 32),
        norm_num_groups=8,
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[0, [1, 1], [1, 1]],
        reverse_transformer_layers_per_block=[[1, 1, 2], [2, 1, 1], 1],
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        cross_attention_dim=2 * _TEXT_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=_TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * _TIME_WIDTH + _TEXT_WIDTH,
        sample_size=32,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        # As in SSD-1B. Below this size diffusers does not tile a decode.
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=True,
    )


def text_config(words: CLIPTokenizer, width: int = _TEXT_WIDTH, hidden_act: str = "quick_gelu") -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        hidden_act=hidden_act,
        num_hidden_layers=3,
        num_attention_heads=4,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )


def tokenizer(pad_token: str) -> CLIPTokenizer:
    """CLIP's tokenizer without merges: one token per byte encodes any text. SDXL's second tokenizer pads with ``!``."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: n for n, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=[], pad_token=pad_token, model_max_length=77)
