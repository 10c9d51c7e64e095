"""A model in memory: the parts of a diffusers pipeline, loaded from a folder in diffusers' own layout."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from generator.cards import CardSettings
from generator.drawing.plan import Plan
from generator.errors import DrawingFailed
from generator.weights import Located

log = logging.getLogger(__name__)

# Their bars and their advice about other models are noise in a service's log.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()


@dataclass(frozen=True)
class Model:
    """The parts that draw. None of them keeps state of a drawing; schedulers are made anew for each."""

    name: str
    card: CardSettings
    revision: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer
    tokenizer_2: CLIPTokenizer
    scheduler_config: dict[str, Any]
    empty_negative_is_zeros: bool
    # Of a model that was taught few words, all of them; None of one that reads anything.
    known_words: frozenset[str] | None

    @property
    def pixels_per_latent(self) -> int:
        """The side of the square that one latent becomes: every block of the VAE but one doubles it."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def load_model(name: str, card: CardSettings, located: Located, plan: Plan) -> Model:
    """Load from local files, safetensors only, without remote code. Raises DrawingFailed for broken files."""
    try:
        pipeline = StableDiffusionXLPipeline.from_pretrained(
            located.folder,
            dtype={"default": plan.dtype, "vae": torch.float32},
            variant=card.variant,
            use_safetensors=True,
            local_files_only=True,
            add_watermarker=False,
        ).to(plan.device)
        known_words = _known_words(located.folder)
    except (OSError, ValueError, SafetensorError) as error:
        log.error("%s cannot be loaded from %s: %s", name, located.folder, error)
        raise DrawingFailed(
            "weights_broken", f"The weights of {name} on the drawing machine are broken; its log says where."
        ) from error
    return Model(
        name=name,
        card=card,
        revision=located.revision,
        unet=pipeline.unet.eval(),
        vae=pipeline.vae.eval(),
        text_encoder=pipeline.text_encoder.eval(),
        text_encoder_2=pipeline.text_encoder_2.eval(),
        tokenizer=pipeline.tokenizer,
        tokenizer_2=pipeline.tokenizer_2,
        scheduler_config=dict(pipeline.scheduler.config),
        empty_negative_is_zeros=bool(pipeline.config.force_zeros_for_empty_prompt),
        known_words=known_words,
    )


def _known_words(folder: Path) -> frozenset[str] | None:
    file = folder / "words.txt"
    return frozenset(file.read_text(encoding="utf-8").split()) if file.exists() else None
