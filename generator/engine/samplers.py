"""The samplers by name: each is a diffusers scheduler with the model's own schedule. Knows no drawing."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from generator.models.cards import SAMPLERS

_SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "unipc": (UniPCMultistepScheduler, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    # Without PNDM's first Runge-Kutta steps, as in Stable Diffusion itself: takes one step more than asked.
    "pndm": (PNDMScheduler, {"skip_prk_steps": True}),
    "euler": (EulerDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "lcm": (LCMScheduler, {}),
}
assert tuple(_SCHEDULERS) == SAMPLERS


def make_scheduler(sampler: str, scheduler_config: Mapping[str, Any]) -> Any:
    """Make a scheduler with the model's own betas and prediction type. It keeps the state of one drawing."""
    scheduler, options = _SCHEDULERS[sampler]
    return scheduler.from_config(scheduler_config, **options)


# Samplers that add no noise.
_DETERMINISTIC = frozenset({"unipc", "pndm", "euler", "dpmpp_2m"})


def is_deterministic(sampler: str) -> bool:
    """Whether latents are weighted sums of noise and predictions, with weights that do not depend on their values."""
    return sampler in _DETERMINISTIC


def step_options(scheduler: Any, noise: torch.Generator) -> dict[str, Any]:
    """Return further arguments for the scheduler's ``step``: a sampler that adds noise uses the drawing's generator."""
    return {"generator": noise} if "generator" in signature(scheduler.step).parameters else {}
