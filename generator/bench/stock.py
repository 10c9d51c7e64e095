"""The baseline: diffusers' own pipeline from the same files, used as its documentation shows."""

import io
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UniPCMultistepScheduler

from generator.api.types import Recipe
from generator.bench.subject import Subject


class Stock:
    """The stock pipeline: draws one recipe per call, up to the bytes of a PNG."""

    def __init__(self, subject: Subject, *, device: torch.device, dtype: torch.dtype) -> None:
        card, located = subject.card, subject.located
        kind: Any = StableDiffusionXLPipeline if card.family == "sdxl" else StableDiffusionPipeline
        options: dict[str, Any] = {"add_watermarker": False} if card.family == "sdxl" else {"safety_checker": None}
        if located.file:
            pipeline = kind.from_single_file(str(located.file), config=str(located.folder), dtype=dtype, **options)
        else:
            pipeline = kind.from_pretrained(
                located.folder,
                variant=card.variant,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                **options,
            )
        schedule = card.scheduler.model_dump(exclude_none=True)
        pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config, **schedule)
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline.to(device)

    def compile(self) -> "Stock":
        """Use diffusers' fastest documented form without loss: channels_last and autotuned compilation."""
        pipeline = self._pipeline
        for part in (pipeline.unet, pipeline.vae):
            part.to(memory_format=torch.channels_last)
        pipeline.unet = torch.compile(pipeline.unet, mode="max-autotune", fullgraph=True)
        return self

    def picture(self, recipe: Recipe) -> bytes:
        image = self._pipeline(
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt or None,
            width=recipe.width,
            height=recipe.height,
            num_inference_steps=recipe.steps,
            guidance_scale=recipe.guidance_scale,
            generator=torch.Generator().manual_seed(recipe.seed),
        ).images[0]
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()
