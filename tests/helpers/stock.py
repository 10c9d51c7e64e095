"""Draw one recipe with diffusers' stock pipelines, and with our engine without a worker."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UniPCMultistepScheduler,
)

from generator.api.types import Recipe
from generator.engine.diffusion import DiffusionEngine
from generator.engine.loop import Drawing
from generator.workers.messages import Draw

# Each sampler's scheduler, as a user of diffusers writes it.
SCHEDULERS = {
    "unipc": lambda config: UniPCMultistepScheduler.from_config(config),
    "euler_a": lambda config: EulerAncestralDiscreteScheduler.from_config(config),
    "pndm": lambda config: PNDMScheduler.from_config(config, skip_prk_steps=True),
    "euler": lambda config: EulerDiscreteScheduler.from_config(config),
    "dpmpp_2m": lambda config: DPMSolverMultistepScheduler.from_config(config),
    "dpmpp_2m_sde": lambda config: DPMSolverMultistepScheduler.from_config(config, algorithm_type="sde-dpmsolver++"),
    "lcm": lambda config: LCMScheduler.from_config(config),
}


def stock_pipeline(folder: Path, *, family: str = "sdxl") -> Any:
    """The pipeline with its own scheduler, as a user of diffusers loads it."""
    kind, options = (
        (StableDiffusionXLPipeline, {"add_watermarker": False})
        if family == "sdxl"
        else (StableDiffusionPipeline, {"safety_checker": None})
    )
    pipeline = kind.from_pretrained(folder, use_safetensors=True, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_latents(pipeline: Any, asked: Recipe, negative: str | None, *, rescale: float = 0.0) -> torch.Tensor:
    """The pipeline's final latents for the recipe and the negative prompt, with its current scheduler."""
    latents: torch.Tensor = pipeline(
        prompt=asked.prompt,
        negative_prompt=negative,
        width=asked.width,
        height=asked.height,
        num_inference_steps=asked.steps,
        guidance_scale=asked.guidance_scale,
        guidance_rescale=rescale,
        generator=torch.Generator().manual_seed(asked.seed),
        output_type="latent",
    ).images
    return latents


def denoised(engine: DiffusionEngine, asked: Recipe) -> Drawing:
    """The drawing after its last step, before decoding."""
    drawing = engine.start(Draw("drawing", asked))
    while drawing.step < drawing.steps:
        engine.step([drawing])
    return drawing
