"""A lone guided picture on two equal cards: each computes a row of the guidance, where that is measured to be faster.

Both rows go through the same UNet and meet only in the guidance. One row and its prediction travel between the cards,
less than a megabyte a step. Source: Fang et al., xDiT, arXiv 2411.01738, there called CFG parallel.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from generator.engine.deep_cache import UNetInput
from generator.engine.model import Model
from generator.engine.timing import finish
from generator.workers.assistance import PATIENCE_S, Assistant

log = logging.getLogger(__name__)

# Steps to measure of each way. The first calls of a shape are slower, so the best one counts.
TRIES = 3

# Less may be noise, and is not worth another card's work.
_LEAST_GAIN = 0.05

# A row's own tensors, and what SDXL adds. NumPy arrays, since torch would send tensors by shared memory, which outlives
# a process that is killed.
Packed = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


@dataclass
class _Trial:
    """The seconds of a step by each way, for one model and size."""

    together_s: list[float] = field(default_factory=list)
    apart_s: list[float] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return len(self.together_s) >= TRIES and len(self.apart_s) >= TRIES

    @property
    def is_apart_next(self) -> bool:
        """Whether the next step should be apart, to measure it or because it is faster."""
        if self.is_over:
            return min(self.apart_s) < (1 - _LEAST_GAIN) * min(self.together_s)
        return len(self.together_s) >= TRIES


class RowsApart:
    """Predicts the two rows of a guided step, on two cards where that is faster."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._assistants: dict[str, Assistant] = {}
        self._trials: defaultdict[tuple[str, torch.Size], _Trial] = defaultdict(_Trial)
        self._clock = clock

    def add(self, name: str, assistant: Assistant) -> None:
        """Note another worker, in place of an earlier process of that name."""
        if name in self._assistants:
            self._assistants[name].leave()
        self._assistants[name] = assistant

    def predict(self, model: Model, rows: UNetInput) -> tuple[torch.Tensor, int]:
        """Return the whole UNet's prediction for two rows, and how many cards have computed it."""
        trial = self._trials[model.name, rows.latents.shape]
        assistants = () if trial.is_over and not trial.is_apart_next else self._assistants.values()
        assistant = next((one for one in assistants if one.is_willing(weights_of(model))), None)
        if assistant is None:
            return model.predict(rows)[0], 1
        if trial.is_over:
            return _apart(model, rows, assistant)
        finish(rows.latents.device)
        began = self._clock()
        predicted, cards = _apart(model, rows, assistant) if trial.is_apart_next else (model.predict(rows)[0], 1)
        finish(rows.latents.device)
        (trial.apart_s if cards > 1 else trial.together_s).append(self._clock() - began)
        if trial.is_over:
            both = min(trial.together_s), min(trial.apart_s)
            log.info("%s: a step takes %.3f s on this card, %.3f s with an equal one", model.name, *both)
        return predicted, cards


def weights_of(model: Model) -> str:
    """Name what both cards must have."""
    return f"{model.name} {model.revision}"


def predict_packed(model: Model, packed: Packed) -> np.ndarray:
    """Return the prediction for a row of another worker, (1, channels, height, width)."""
    device = model.unet.device
    own, added = ({name: torch.from_numpy(array).to(device) for name, array in part.items()} for part in packed)
    prediction: np.ndarray = model.predict(UNetInput(**own, added=added))[0].cpu().numpy()
    return prediction


def _apart(model: Model, rows: UNetInput, assistant: Assistant) -> tuple[torch.Tensor, int]:
    began = time.monotonic()
    assistant.begin(_packed(rows.each(lambda tensor: tensor[:1])))
    try:
        second = model.predict(rows.each(lambda tensor: tensor[1:]))[0]
        finish(second.device)
    finally:
        # Even after an error here: a result that nobody takes would keep the other worker from its own work.
        first = assistant.end(PATIENCE_S + time.monotonic() - began)
    if first is None:
        return model.predict(rows)[0], 1
    return torch.cat([torch.from_numpy(first).to(second.device), second]), 2


def _packed(rows: UNetInput) -> Packed:
    own = {name: getattr(rows, name).cpu().numpy() for name in ("latents", "timesteps", "embeds")}
    return own, {name: tensor.cpu().numpy() for name, tensor in rows.added.items()}
