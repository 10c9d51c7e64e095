"""Make pocket's networks: SDXL's and SSD-1B's architecture at a small size. Trains nothing."""

import re
from collections import Counter
from itertools import pairwise

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from training.pocket.canvas import SIDE
from training.pocket.captions import known_words

LATENT_CHANNELS = 8
LATENT_SIDE = SIDE // 4
TEXT_WIDTH = 64
_TIME_WIDTH = 8


def make_vae() -> AutoencoderKL:
    """Make the VAE: one latent for 4 x 4 pixels."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        mid_block_add_attention=False,
        norm_num_groups=8,
        sample_size=SIDE,
    )


def make_unet() -> UNet2DConditionModel:
    """Make the UNet in SSD-1B's pattern: no attention in the middle, other transformer layers up than down."""
    return UNet2DConditionModel(
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(32, 64, 96),
        norm_num_groups=8,
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[0, [1, 1], [1, 1]],
        reverse_transformer_layers_per_block=[[1, 1, 2], [1, 1, 1], 1],
        attention_head_dim=(2, 4, 6),
        use_linear_projection=True,
        cross_attention_dim=2 * TEXT_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=_TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * _TIME_WIDTH + TEXT_WIDTH,
        sample_size=LATENT_SIDE,
    )


def make_text_encoders(
    tokenizer: CLIPTokenizer, tokenizer_2: CLIPTokenizer
) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    return CLIPTextModel(_text_config(tokenizer)), CLIPTextModelWithProjection(_text_config(tokenizer_2))


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """Configure three layers, of which SDXL reads the last but one."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        bos_token_id=tokenizer.bos_token_id,
        # The pooled embedding is read at this token.
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def make_tokenizers() -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """Make SDXL's two tokenizers, which are alike, but the second pads with ``!``."""
    return _make_tokenizer("<|endoftext|>"), _make_tokenizer("!")


def _make_tokenizer(pad_token: str) -> CLIPTokenizer:
    """Make a byte pair encoding (Sennrich et al., arXiv 1508.07909): a token per known word, other text as bytes."""
    merges = _merges(known_words())
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    vocabulary = {token: n for n, token in enumerate([*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad_token, model_max_length=77)


def _merges(words: list[str]) -> list[tuple[str, str]]:
    """List the pairs to join until every word is one token, the most frequent first.

    The alphabet breaks ties; the trainer of ``tokenizers`` breaks them in another order on every run.
    """
    split = [[*piece[:-1], piece[-1] + "</w>"] for word in words for piece in re.findall("[a-z]+", word)]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for word in split for pair in pairwise(word)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in split:
            for n in range(len(word) - 2, -1, -1):
                if tuple(word[n : n + 2]) == best:
                    word[n : n + 2] = ["".join(best)]
    return merges


def make_scheduler() -> DDIMScheduler:
    """Make SDXL's noise schedule, rescaled to end in pure noise, for a UNet that predicts velocity.

    Source: Lin et al., Common diffusion noise schedules and sample steps are flawed, arXiv 2305.08891.
    """
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
        clip_sample=False,
    )
