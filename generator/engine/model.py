"""A model in memory: a diffusers pipeline's parts, from a folder in diffusers' layout or a single file. No drawings."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from generator.engine.captured_graphs import CapturedGraphs
from generator.engine.deep_cache import UNetInput, UNetOutput, outermost, whole
from generator.engine.draft_lora import DraftLora
from generator.engine.needs import Arrangement
from generator.engine.plan import Plan
from generator.engine.upcast import compute_in
from generator.errors import DrawingFailed, WeightsBroken
from generator.models.cards import CardSettings
from generator.models.weights import Located

log = logging.getLogger(__name__)

# Progress bars, and advice about other models, are noise in a service's log.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()


# Explicit options, since diffusers would guess them: no safety checker, no watermark if a package happens to be there.
_PIPELINES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sd": (
        StableDiffusionPipeline,
        {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
    ),
    "sdxl": (StableDiffusionXLPipeline, {"add_watermarker": False}),
}


@dataclass(frozen=True)
class Model:
    """The parts of a model that draw. They keep no state of a drawing; each drawing has a scheduler of its own."""

    name: str
    card: CardSettings
    revision: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    # SDXL's second pair; None in the family SD.
    text_encoder_2: CLIPTextModelWithProjection | None
    tokenizer_2: CLIPTokenizer | None
    draft_lora: DraftLora
    graphs: CapturedGraphs
    # The UNet computes in this; its weights may be stored in another dtype.
    dtype: torch.dtype
    arrangement: Arrangement
    scheduler_config: dict[str, Any]
    # SDXL models choose this (force_zeros_for_empty_prompt); SD always encodes the empty text.
    empty_negative_is_zeros: bool
    # All words of a model that was taught only few; None for a model that reads any text.
    known_words: frozenset[str] | None

    @property
    def pixels_per_latent(self) -> int:
        """The side, in pixels, of the square that one latent becomes: every block of the VAE but one doubles it."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def text_encoders(self) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]:
        """Two in the family SDXL, one in SD."""
        return tuple(encoder for encoder in (self.text_encoder, self.text_encoder_2) if encoder is not None)

    @property
    def tokenizers(self) -> tuple[CLIPTokenizer, ...]:
        """Each text encoder's own."""
        return tuple(tokenizer for tokenizer in (self.tokenizer, self.tokenizer_2) if tokenizer is not None)

    @property
    def unets(self) -> tuple[UNet2DConditionModel, ...]:
        """The model's own UNet, and after the first draft the one with the LoRA."""
        return tuple(unet for unet in (self.unet, self.draft_lora.unet) if unet is not None)

    def predict(
        self, rows: UNetInput, *, is_whole: bool = True, keep: bool = False, is_draft: bool = False
    ) -> UNetOutput:
        """Call the whole UNet, or only its outermost layers if not ``is_whole``.

        With ``keep`` also return the features of its inner layers. ``is_draft`` calls the UNet with the LoRA.
        """
        unet = self.draft_lora.unet if is_draft else self.unet
        assert unet is not None, "no drawing is a draft before its LoRA is ready"
        call = partial(whole, unet, keep=keep) if is_whole else partial(outermost, unet)
        return self.graphs.run((is_whole, keep, is_draft), unet, call, rows)

    def bring(self, device: torch.device) -> None:
        """Move to the device what the arrangement keeps there between two pictures."""
        if device.type == "cpu":
            # With channels_last the VAE takes 13 to 21 % less processor time, the UNet up to 8 % less.
            for part in (*self.unets, self.vae):
                part.to(memory_format=torch.channels_last)
        if self.arrangement is not Arrangement.OFFLOADED:
            self.put_unets(device)
            self.vae.to(device)
        if self.arrangement is Arrangement.RESIDENT:
            for encoder in self.text_encoders:
                encoder.to(device)

    def rest(self) -> None:
        """Leave on the device what stays there between two pictures: a drawing that ended early has left its UNet."""
        if self.arrangement is Arrangement.OFFLOADED:
            self.put_unets(torch.device("cpu"))

    def put_unets(self, device: torch.device) -> None:
        for unet in self.unets:
            unet.to(device)

    def put_away(self) -> None:
        """Move the whole model to RAM."""
        self.graphs.forget()
        self.put_unets(torch.device("cpu"))
        for part in (self.vae, *self.text_encoders):
            part.to("cpu")


def load_model(
    name: str, card: CardSettings, located: Located, plan: Plan, arrangement: Arrangement = Arrangement.RESIDENT
) -> Model:
    """Load a model from local safetensors files, without remote code. Raises DrawingFailed for broken ones.

    UNet and VAE go to the device before the text encoders are loaded, so that RAM never holds all of them.
    """
    text_dtype = plan.stored if arrangement is Arrangement.RESIDENT else torch.float32
    try:
        own: dict[str, Any] = {}
        for part, kind, dtype in _large_parts(card, located, plan.stored, text_dtype):
            own[part] = _part(part, kind, card, located, dtype)
            if arrangement is Arrangement.RESIDENT or (arrangement is Arrangement.LEAN and part in ("unet", "vae")):
                own[part].to(plan.device)
        pipeline = (_from_file if located.file else _from_folder)(card, located, text_dtype, own)
        known_words = _known_words(located.folder)
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    # Missing or misshapen weights raise any of these.
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError, SingleFileComponentError) as error:
        log.error("%s cannot be loaded from %s: %s", name, located.file or located.folder, error)
        raise WeightsBroken(name) from error
    is_sdxl = pipeline.unet.config.addition_embed_type == "text_time"
    if is_sdxl != (card.family == "sdxl"):
        found = "sdxl" if is_sdxl else "sd"
        raise DrawingFailed(
            "wrong_family", f"The settings say that {name} is of the family {card.family}; it is {found}."
        )
    if plan.stored != plan.computed:
        compute_in(pipeline.unet, plan.computed)
    return Model(
        name=name,
        card=card,
        revision=located.revision,
        unet=pipeline.unet.eval().requires_grad_(False),
        vae=pipeline.vae.eval(),
        text_encoder=pipeline.text_encoder.eval(),
        tokenizer=pipeline.tokenizer,
        text_encoder_2=pipeline.text_encoder_2.eval() if is_sdxl else None,
        tokenizer_2=pipeline.tokenizer_2 if is_sdxl else None,
        draft_lora=DraftLora(name, card, type(pipeline), pipeline.unet, dtype=plan.computed),
        graphs=CapturedGraphs(),
        dtype=plan.computed,
        arrangement=arrangement,
        scheduler_config=_scheduler_config(pipeline.scheduler, card),
        empty_negative_is_zeros=is_sdxl and bool(pipeline.config.force_zeros_for_empty_prompt),
        known_words=known_words,
    )


def _large_parts(
    card: CardSettings, located: Located, stored: torch.dtype, text_dtype: torch.dtype
) -> Iterator[tuple[str, Any, torch.dtype]]:
    """Yield the parts to load one by one: name, class and dtype. What follows them in the pipeline is small."""
    yield "unet", UNet2DConditionModel, stored
    yield "vae", AutoencoderKL, torch.float32
    # The larger encoder first: while it is converted, both its file and its copy are in RAM.
    if card.family == "sdxl" and not located.file:
        yield "text_encoder_2", CLIPTextModelWithProjection, text_dtype


def _part(part: str, kind: Any, card: CardSettings, located: Located, dtype: torch.dtype) -> Any:
    """Load a part from one file in the original layout, or from its own folder."""
    file = located.vae if part == "vae" and located.vae else located.file
    if file:
        config = str(located.folder)
        return kind.from_single_file(str(file), config=config, subfolder=part, dtype=dtype, local_files_only=True)
    return kind.from_pretrained(
        located.folder,
        subfolder=part,
        dtype=dtype,
        variant=card.variant,
        use_safetensors=True,
        local_files_only=True,
    )


def _from_folder(card: CardSettings, located: Located, text_dtype: torch.dtype, own: dict[str, Any]) -> Any:
    pipeline, options = _PIPELINES[card.family]
    return pipeline.from_pretrained(
        located.folder,
        dtype=text_dtype,
        variant=card.variant,
        use_safetensors=True,
        local_files_only=True,
        **own,
        **options,
    )


def _from_file(card: CardSettings, located: Located, text_dtype: torch.dtype, own: dict[str, Any]) -> Any:
    """Load the text encoders from one file in the original layout, and the rest from the folder instead of a hub."""
    pipeline, options = _PIPELINES[card.family]
    return pipeline.from_single_file(
        str(located.file), config=str(located.folder), local_files_only=True, dtype=text_dtype, **own, **options
    )


def _scheduler_config(scheduler: Any, card: CardSettings) -> dict[str, Any]:
    """Return the model's own schedule with its card's replacements, for any sampler.

    Leaves out values that are only the scheduler's defaults: each sampler has its own, as in diffusers.
    """
    config = scheduler.config
    own = {key: value for key, value in config.items() if key not in config.get("_use_default_values", ())}
    return {**own, **card.scheduler.model_dump(exclude_none=True)}


def _known_words(folder: Path) -> frozenset[str] | None:
    file = folder / "words.txt"
    return frozenset(file.read_text(encoding="utf-8").split()) if file.exists() else None
