"""The denoising loop: a step for every drawing, with as few calls of the UNet as can be.

A drawing keeps all that a step reads or changes to itself, so that drawings at different steps, with different
schedules, samplers and guidance, go through the UNet together, and each may join, leave or be cancelled between two
steps. Loads nothing and decodes nothing; knows neither jobs nor who asks. The arithmetic is that of diffusers'
``StableDiffusionPipeline`` and ``StableDiffusionXLPipeline``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from generator.api.types import EarlierFacts, Recipe
from generator.engine.deep_cache import UNetInput
from generator.engine.model import Model
from generator.engine.sampling import Sampling
from generator.engine.text import Conditioning
from generator.engine.tiers import DRAFT_WITH_LORA, TIERS, Tier


@dataclass(eq=False)
class Drawing:
    """One picture on its way. ``conditioning`` and ``time_ids`` have two rows: the negative prompt's, the prompt's."""

    recipe: Recipe
    earlier: EarlierFacts | None
    model: Model
    conditioning: Conditioning
    time_ids: torch.Tensor
    sampling: Sampling
    latents: torch.Tensor
    # Time on the card; of a call that is shared, its share.
    seconds: float
    # The revision of the LoRA that this is drawn with.
    lora: str | None = None
    step: int = 0
    # The most drawings that went through the UNet with this one.
    most_together: int = 1
    # What the inner layers said at the last whole step, where the tier wants it kept.
    kept: torch.Tensor | None = None

    @property
    def steps(self) -> int:
        return self.sampling.steps

    @property
    def tier(self) -> Tier:
        return DRAFT_WITH_LORA if self.lora else TIERS[self.recipe.tier]

    @property
    def rows(self) -> int:
        """2 where this step is guided by the negative prompt, else 1."""
        guided_steps = max(1, int(self.tier.guided * self.steps))
        return 2 if self.recipe.guidance_scale > 1 and self.step < guided_steps else 1

    @property
    def is_whole(self) -> bool:
        """Whether this step goes through the whole UNet."""
        return self.step % self.tier.whole_every == 0


class RunAhead:
    """Keeps a card busy: the processor is one call ahead of it, and no more, so that a cancelled drawing ends soon."""

    def __init__(self) -> None:
        self._last: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Called after a call was given to the card: wait until the one before it is done."""
        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return
        before, self._last = self._last, torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._last.record()
        if before is not None:
            before.synchronize()


def step_all(drawings: Sequence[Drawing], *, at_once: int, ahead: RunAhead) -> None:
    """One step of denoising for each; at most ``at_once`` drawings share a call.

    A card may still be busy with the last call when this returns.
    """
    for together in _shared(drawings, at_once):
        began = time.perf_counter()

        # 1. The rows of all, one under the other, each at its own timestep.
        rows = _stacked([_input(drawing) for drawing in together])

        # 2. The UNet predicts the noise in each, or with what was kept the outermost layers of it do.
        predicted = _predict(together, rows)

        # 3. Each drawing takes that much noise away from its own latents.
        for drawing, own in zip(together, torch.split(predicted, [drawing.rows for drawing in together]), strict=True):
            _advance(drawing, own)
            drawing.most_together = max(drawing.most_together, len(together))

        # 4. The next call is prepared while the card is busy with this one.
        ahead.wait()
        for drawing in together:
            drawing.seconds += (time.perf_counter() - began) / len(together)


def _shared(drawings: Sequence[Drawing], at_once: int) -> Iterator[list[Drawing]]:
    """Drawings whose tensors have the same shapes and take the same way through the same weights, in their order."""
    groups: dict[Any, list[Drawing]] = {}
    for drawing in drawings:
        shape = (drawing.latents.shape, drawing.conditioning.embeds.shape, drawing.is_whole)
        groups.setdefault((id(drawing.model), drawing.lora, *shape), []).append(drawing)
    for group in groups.values():
        for first in range(0, len(group), at_once):
            yield group[first : first + at_once]


def _input(drawing: Drawing) -> UNetInput:
    latents = drawing.sampling.model_input(drawing.latents, drawing.step).to(drawing.model.dtype)
    # The prompt's row is the last; where the guidance has ended since, only that one of what was kept.
    own = slice(-drawing.rows, None)
    return UNetInput(
        latents=latents.expand(drawing.rows, -1, -1, -1),
        timesteps=drawing.sampling.timestep(drawing.step).expand(drawing.rows),
        embeds=drawing.conditioning.embeds[own],
        # A UNet of the family SD leaves them alone.
        added={"text_embeds": drawing.conditioning.pooled[own], "time_ids": drawing.time_ids[own]},
        kept=None if drawing.kept is None or drawing.is_whole else drawing.kept[own],
    )


def _stacked(inputs: Sequence[UNetInput]) -> UNetInput:
    kept = [rows.kept for rows in inputs if rows.kept is not None]
    return UNetInput(
        latents=torch.cat([rows.latents for rows in inputs]),
        timesteps=torch.cat([rows.timesteps for rows in inputs]),
        embeds=torch.cat([rows.embeds for rows in inputs]),
        added={name: torch.cat([rows.added[name] for rows in inputs]) for name in inputs[0].added},
        kept=torch.cat(kept) if kept else None,
    )


def _predict(together: Sequence[Drawing], rows: UNetInput) -> torch.Tensor:
    first = together[0]
    keep = any(drawing.tier.whole_every > 1 for drawing in together)
    predicted, kept = first.model.predict(rows, is_whole=first.is_whole, keep=keep, is_draft=first.lora is not None)
    if kept is not None:
        for drawing, own in zip(together, torch.split(kept, [drawing.rows for drawing in together]), strict=True):
            drawing.kept = own
    return predicted


def _advance(drawing: Drawing, predicted: torch.Tensor) -> None:
    # Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): away from the negative prompt, towards the prompt.
    if len(predicted) == 2:
        negative, positive = predicted.chunk(2)
        predicted = negative + drawing.recipe.guidance_scale * (positive - negative)
        if rescale := drawing.model.card.guidance_rescale:
            predicted = rescale_noise_cfg(predicted, positive, guidance_rescale=rescale)
    drawing.latents = drawing.sampling.step(predicted.float(), drawing.latents, drawing.step)
    drawing.step += 1
