"""How a drawing's latents go from step to step: diffusers' schedulers, with as little to wait for as can be.

A scheduler's step is sixty small operations on the device, and some of them make the processor wait for a card: 2.4 ms
beside a UNet's 13 on an H100. But all that a deterministic sampler does to latents is to add up: after any step they
are a weighted sum of the first noise and of what the UNet predicted at each step. So the scheduler itself finds the
weights, on the processor, from unit vectors in place of latents, while the card computes; and the card adds up, in one
product.
"""

from collections.abc import Mapping
from typing import Any

import torch

from generator.engine.samplers import is_deterministic, make_scheduler, step_options


class Sampling:
    """One drawing's way through the schedule, by the scheduler's own arithmetic on the device: any sampler."""

    def __init__(self, scheduler: Any, device: torch.device, noise: torch.Generator) -> None:
        self.scheduler, self._device = scheduler, device
        self._options = step_options(scheduler, noise)
        self._timesteps: torch.Tensor = scheduler.timesteps

    @property
    def steps(self) -> int:
        return self._timesteps.shape[0]

    def begin_at(self, first: int) -> None:
        """Leave out the steps before ``first``, as a drawing from an image does."""
        self._timesteps = self.scheduler.timesteps[first:]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(first)

    def start(self, noise: torch.Tensor, clean: torch.Tensor | None) -> torch.Tensor:
        """The first latents: noise, or a clean image's with noise added."""
        if clean is None:
            scaled: torch.Tensor = noise * self.scheduler.init_noise_sigma
            return scaled
        noisy: torch.Tensor = self.scheduler.add_noise(clean, noise, self._timesteps[:1])
        return noisy

    def timestep(self, step: int) -> torch.Tensor:
        """What the UNet is told: (1,), in fp32, on the device."""
        return self._timesteps[step].float().view(1)

    def model_input(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        scaled: torch.Tensor = self.scheduler.scale_model_input(latents, self._timesteps[step])
        return scaled

    def step(self, predicted: torch.Tensor, latents: torch.Tensor, step: int) -> torch.Tensor:
        """The latents after ``step``, from what the UNet predicted of them; both are fp32."""
        stepped: torch.Tensor = self.scheduler.step(
            predicted, self._timesteps[step], latents, return_dict=False, **self._options
        )[0]
        return stepped

    def clean(self, latents: torch.Tensor) -> torch.Tensor:
        """What the latents will be by the last prediction, where the scheduler keeps that; else ``latents``."""
        kept = self._kept()
        return latents if kept is None else kept

    def _kept(self) -> torch.Tensor | None:
        kept = getattr(self.scheduler, "model_outputs", None)
        return kept[-1] if kept else None


class LinearSampling(Sampling):
    """The steps of a deterministic sampler as weighted sums. The scheduler and its timesteps are on the processor."""

    def start(self, noise: torch.Tensor, clean: torch.Tensor | None) -> torch.Tensor:
        # On the processor, too: a scheduler that adds noise may move its tensors to where the noise is.
        latents = super().start(noise.cpu(), None if clean is None else clean.cpu()).to(self._device)
        count = 1 + self.steps
        # Row 0: the first latents; row n: what was predicted at step n - 1.
        self._known = latents.new_empty((count, latents.numel()))
        self._known[0] = latents.flatten()
        self._units = torch.eye(count, dtype=torch.float64).view(count, 1, count, 1, 1)
        # The latents before each step as a sum of those rows.
        self._weights = [self._units[0]]
        self._float_timesteps = self._timesteps.float().to(self._device)
        return latents

    def timestep(self, step: int) -> torch.Tensor:
        return self._float_timesteps[step : step + 1]

    def model_input(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        # A sampler that scales does so to everything alike.
        return latents * super().model_input(torch.ones(()), step)

    def step(self, predicted: torch.Tensor, latents: torch.Tensor, step: int) -> torch.Tensor:
        self._known[step + 1] = predicted.flatten()
        # A step that is taken again, since memory ran out behind this line, must not be the scheduler's next one.
        if len(self._weights) == step + 1:
            self._weights.append(super().step(self._units[step + 1], self._weights[step], step))
        return self._sum(self._weights[step + 1]).view_as(latents)

    def clean(self, latents: torch.Tensor) -> torch.Tensor:
        kept = self._kept()
        return latents if kept is None else self._sum(kept).view_as(latents)

    def _sum(self, weights: torch.Tensor) -> torch.Tensor:
        # What is not predicted yet is not there, and 0 times that may be no number.
        known = self._known[: len(self._weights)]
        used = weights.flatten()[: len(known)].to(known.dtype)
        if self._device.type == "cuda":
            # What is not pinned is copied only when the card has caught up.
            used = used.pin_memory().to(self._device, non_blocking=True)
        return used @ known


def make_sampling(
    sampler: str, config: Mapping[str, Any], *, steps: int, device: torch.device, noise: torch.Generator
) -> Sampling:
    """A new one for each drawing, since schedulers keep the outputs of earlier steps."""
    scheduler = make_scheduler(sampler, config)
    linear = is_deterministic(sampler) and not scheduler.config.get("thresholding")
    scheduler.set_timesteps(steps, device="cpu" if linear else device)
    return (LinearSampling if linear else Sampling)(scheduler, device, noise)
