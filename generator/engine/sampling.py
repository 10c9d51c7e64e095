"""Move a drawing's latents from step to step with diffusers' schedulers, and let the card wait as little as possible.

A scheduler's step is sixty small operations on the device, and some make the processor wait for the card: 2.4 ms beside
a UNet's 13 on an H100. But a deterministic sampler only adds up: after any step the latents are a weighted sum of the
first noise and of the UNet's prediction at each step. So the scheduler runs on unit vectors in place of latents, on the
processor, while the card computes; that gives the weights, and the card sums up in one product.
"""

from collections.abc import Mapping
from typing import Any

import torch

from generator.engine.samplers import is_deterministic, make_scheduler, step_options


class Sampling:
    """One drawing's way through the schedule, for any sampler: the scheduler computes on the device."""

    def __init__(self, scheduler: Any, device: torch.device, noise: torch.Generator) -> None:
        self.scheduler, self._device = scheduler, device
        self._options = step_options(scheduler, noise)
        self._timesteps: torch.Tensor = scheduler.timesteps

    @property
    def steps(self) -> int:
        return self._timesteps.shape[0]

    def begin_at(self, first: int) -> None:
        """Skip the steps before ``first``, for drawing from an image."""
        self._timesteps = self.scheduler.timesteps[first:]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(first)

    def start(self, noise: torch.Tensor, clean: torch.Tensor | None) -> torch.Tensor:
        """Return the first latents: noise, or the ``clean`` latents of an image with noise added."""
        if clean is None:
            scaled: torch.Tensor = noise * self.scheduler.init_noise_sigma
            return scaled
        noisy: torch.Tensor = self.scheduler.add_noise(clean, noise, self._timesteps[:1])
        return noisy

    def timestep(self, step: int) -> torch.Tensor:
        """The timestep for the UNet: (1,), fp32, on the device."""
        return self._timesteps[step].float().view(1)

    def model_input(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        scaled: torch.Tensor = self.scheduler.scale_model_input(latents, self._timesteps[step])
        return scaled

    def step(self, predicted: torch.Tensor, latents: torch.Tensor, step: int) -> torch.Tensor:
        """Return the latents after ``step``, given the latents before it and the UNet's prediction; all are fp32."""
        stepped: torch.Tensor = self.scheduler.step(
            predicted, self._timesteps[step], latents, return_dict=False, **self._options
        )[0]
        return stepped

    def clean(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the final latents by the last prediction, if the scheduler keeps it, else ``latents``."""
        kept = self._kept()
        return latents if kept is None else kept

    def _kept(self) -> torch.Tensor | None:
        kept = getattr(self.scheduler, "model_outputs", None)
        return kept[-1] if kept else None


class LinearSampling(Sampling):
    """A deterministic sampler's steps as weighted sums. The scheduler and its timesteps stay on the processor."""

    def start(self, noise: torch.Tensor, clean: torch.Tensor | None) -> torch.Tensor:
        # On the processor, too: a scheduler that adds noise may move its tensors to where the noise is.
        latents = super().start(noise.cpu(), None if clean is None else clean.cpu()).to(self._device)
        count = 1 + self.steps
        # Row 0: the first latents; row n: the prediction at step n - 1.
        self._known = latents.new_empty((count, latents.numel()))
        self._known[0] = latents.flatten()
        self._units = torch.eye(count, dtype=torch.float64).view(count, 1, count, 1, 1)
        # The weights of those rows in the latents before each step.
        self._weights = [self._units[0]]
        self._float_timesteps = self._timesteps.float().to(self._device)
        return latents

    def timestep(self, step: int) -> torch.Tensor:
        return self._float_timesteps[step : step + 1]

    def model_input(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        # A sampler that scales its input scales everything alike.
        return latents * super().model_input(torch.ones(()), step)

    def step(self, predicted: torch.Tensor, latents: torch.Tensor, step: int) -> torch.Tensor:
        self._known[step + 1] = predicted.flatten()
        # If memory runs out below and the step is repeated, the scheduler must not take its next step.
        if len(self._weights) == step + 1:
            self._weights.append(super().step(self._units[step + 1], self._weights[step], step))
        return self._sum(self._weights[step + 1]).view_as(latents)

    def clean(self, latents: torch.Tensor) -> torch.Tensor:
        kept = self._kept()
        return latents if kept is None else self._sum(kept).view_as(latents)

    def _sum(self, weights: torch.Tensor) -> torch.Tensor:
        # Rows without a prediction yet are uninitialised, and 0 times such a value may be NaN.
        known = self._known[: len(self._weights)]
        used = weights.flatten()[: len(known)].to(known.dtype)
        if self._device.type == "cuda":
            # Without pinning, the copy waits until the card has caught up.
            used = used.pin_memory().to(self._device, non_blocking=True)
        return used @ known


def make_sampling(
    sampler: str, config: Mapping[str, Any], *, steps: int, device: torch.device, noise: torch.Generator
) -> Sampling:
    """Make the sampling of one drawing. Each has its own, since schedulers keep the outputs of earlier steps."""
    scheduler = make_scheduler(sampler, config)
    linear = is_deterministic(sampler) and not scheduler.config.get("thresholding")
    scheduler.set_timesteps(steps, device="cpu" if linear else device)
    return (LinearSampling if linear else Sampling)(scheduler, device, noise)
