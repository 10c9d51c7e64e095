"""The denoising loop: a step for every drawing, with as few calls of the UNet as possible.

A drawing owns everything that a step reads or changes, so that drawings at different steps, with different schedules,
samplers and guidance, go through the UNet together, and each may join, leave or be cancelled between two steps. Loads
nothing and decodes nothing; knows neither jobs nor who asks. Source of the arithmetic: diffusers'
``StableDiffusionPipeline`` and ``StableDiffusionXLPipeline``.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from generator.api.types import EarlierFacts, Recipe
from generator.engine.deep_cache import UNetInput
from generator.engine.model import Model
from generator.engine.rows_apart import RowsApart
from generator.engine.sampling import Sampling
from generator.engine.text import Conditioning
from generator.engine.tiers import DRAFT_WITH_LORA, TIERS, Tier


@dataclass(eq=False)
class Drawing:
    """A picture that is being drawn. ``conditioning`` and ``time_ids`` have two rows: negative prompt, prompt."""

    recipe: Recipe
    earlier: EarlierFacts | None
    model: Model
    conditioning: Conditioning
    time_ids: torch.Tensor
    sampling: Sampling
    latents: torch.Tensor
    # Time on the card; a shared call counts by its share.
    seconds: float
    # The revision of the LoRA, for a draft that uses one.
    lora: str | None = None
    step: int = 0
    # The most drawings that shared a call with this one, itself included.
    most_together: int = 1
    # The most cards that computed a step of it.
    cards: int = 1
    # The inner layers' features from the last whole step, if the tier needs them.
    kept: torch.Tensor | None = None

    @property
    def steps(self) -> int:
        return self.sampling.steps

    @property
    def tier(self) -> Tier:
        return DRAFT_WITH_LORA if self.lora else TIERS[self.recipe.tier]

    @property
    def rows(self) -> int:
        """The rows of this step: 2 if the negative prompt guides it, else 1."""
        guided_steps = max(1, int(self.tier.guided * self.steps))
        return 2 if self.recipe.guidance_scale > 1 and self.step < guided_steps else 1

    @property
    def is_whole(self) -> bool:
        """Whether this step goes through the whole UNet."""
        return self.step % self.tier.whole_every == 0


class RunAhead:
    """Keeps the processor exactly one call ahead: the card stays busy, and a cancelled drawing ends soon."""

    def __init__(self) -> None:
        self._last: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Wait until the card has done the call before the last one. Call it after each call."""
        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return
        before, self._last = self._last, torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._last.record()
        if before is not None:
            before.synchronize()


def step_all(drawings: Sequence[Drawing], *, at_once: Mapping[int, int], ahead: RunAhead, apart: RowsApart) -> None:
    """Denoise each drawing by one step. Several share a call, and a lone one may go ``apart``.

    ``at_once`` is how many may share one, by the pixels of each. The card may still be busy with the last call when
    this returns.
    """
    for together in _shared(drawings, at_once):
        began = time.perf_counter()

        # 1. The rows of all drawings in one batch, each at its own timestep.
        rows = _stacked([_input(drawing) for drawing in together])

        # 2. The UNet predicts the noise in each, or its outermost layers do with the kept features.
        predicted = _predict(together, rows, apart if len(drawings) == 1 else None)

        # 3. Each drawing removes its noise from its own latents.
        for drawing, own in zip(together, torch.split(predicted, [drawing.rows for drawing in together]), strict=True):
            _advance(drawing, own)
            drawing.most_together = max(drawing.most_together, len(together))

        # 4. The processor prepares the next call while the card is busy with this one.
        ahead.wait()
        for drawing in together:
            drawing.seconds += (time.perf_counter() - began) / len(together)


def _shared(drawings: Sequence[Drawing], at_once: Mapping[int, int]) -> Iterator[list[Drawing]]:
    """Group drawings, in order, that can share a call: same shapes, same layers, same weights."""
    groups: dict[Any, list[Drawing]] = {}
    for drawing in drawings:
        shape = (drawing.latents.shape, drawing.conditioning.embeds.shape, drawing.is_whole)
        groups.setdefault((id(drawing.model), drawing.lora, *shape), []).append(drawing)
    for group in groups.values():
        most = at_once[group[0].recipe.pixels]
        for first in range(0, len(group), most):
            yield group[first : first + most]


def _input(drawing: Drawing) -> UNetInput:
    latents = drawing.sampling.model_input(drawing.latents, drawing.step).to(drawing.model.dtype)
    # The prompt's row is the last: without guidance only that one is used, of kept features, too.
    own = slice(-drawing.rows, None)
    return UNetInput(
        latents=latents.expand(drawing.rows, -1, -1, -1),
        timesteps=drawing.sampling.timestep(drawing.step).expand(drawing.rows),
        embeds=drawing.conditioning.embeds[own],
        # A UNet of the family SD ignores these.
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


def _predict(together: Sequence[Drawing], rows: UNetInput, apart: RowsApart | None) -> torch.Tensor:
    first = together[0]
    keep = any(drawing.tier.whole_every > 1 for drawing in together)
    # Kept features are too large to travel, and a second card has no LoRA ready.
    if apart is not None and first.rows == 2 and not keep and first.lora is None:
        predicted, cards = apart.predict(first.model, rows)
        first.cards = max(first.cards, cards)
        return predicted
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
