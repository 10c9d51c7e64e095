"""The samplers by name: each a scheduler of diffusers, made from the model's own schedule. Knows no drawing."""

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
    # Without the Runge-Kutta steps that PNDM starts with, as Stable Diffusion itself has it: one step more than asked.
    "pndm": (PNDMScheduler, {"skip_prk_steps": True}),
    "euler": (EulerDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "lcm": (LCMScheduler, {}),
}
assert tuple(_SCHEDULERS) == SAMPLERS


def make_scheduler(sampler: str, scheduler_config: Mapping[str, Any]) -> Any:
    """A new scheduler, since it keeps the outputs of earlier steps; betas and prediction type are the model's own."""
    scheduler, options = _SCHEDULERS[sampler]
    return scheduler.from_config(scheduler_config, **options)


# Those that draw no noise of their own.
_DETERMINISTIC = frozenset({"unipc", "pndm", "euler", "dpmpp_2m"})


def is_deterministic(sampler: str) -> bool:
    """Whether latents are the same sum of noise and predictions whatever their values are."""
    return sampler in _DETERMINISTIC


def step_options(scheduler: Any, noise: torch.Generator) -> dict[str, Any]:
    """What the scheduler's ``step`` takes besides: a sampler that adds noise takes it from the drawing's own."""
    return {"generator": noise} if "generator" in signature(scheduler.step).parameters else {}
