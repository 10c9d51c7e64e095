"""The LoRA that a model draws drafts with (Luo et al., LCM-LoRA, arXiv 2311.05556), in a UNet of its own modules around
the model's own weights: both UNets share them, and the model's own is never changed.
"""

import copy
import logging
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors import SafetensorError

from generator.engine.upcast import as_stored, compute_in
from generator.errors import WeightsBroken
from generator.models.cards import CardSettings
from generator.models.weights import locate_lora

log = logging.getLogger(__name__)

_ADAPTER = "draft"


class DraftLora:
    """``pipeline`` is the diffusers class that loads it. Until the first draft there is no second UNet."""

    def __init__(
        self, name: str, card: CardSettings, pipeline: Any, unet: UNet2DConditionModel, *, dtype: torch.dtype
    ) -> None:
        self._name, self._card, self._pipeline, self._own_unet, self._dtype = name, card, pipeline, unet, dtype
        self._revision: str | None = None
        # The UNet with the LoRA, once it is loaded.
        self.unet: UNet2DConditionModel | None = None

    def ready(self) -> str | None:
        """Its revision once ``unet`` is there; None for a model that drafts without a LoRA.

        Raises DrawingFailed where it is not on this machine or not a LoRA of this UNet.
        """
        if self._revision is None and self._card.draft is not None:
            file, revision = locate_lora(self._name, self._card.draft.lora)
            try:
                self.unet = self._load(file)
            # There may be room for the next one.
            except torch.OutOfMemoryError:
                raise
            except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
                log.error("the LoRA of the drafts of %s cannot be loaded from %s: %s", self._name, file, error)
                raise WeightsBroken(self._name) from error
            self._revision = revision
            log.info("%s can draw drafts with the LoRA of revision %s", self._name, revision)
        return self._revision

    def _load(self, file: Path) -> UNet2DConditionModel:
        tensors, alphas, metadata = self._pipeline.lora_state_dict(
            str(file.parent),
            weight_name=file.name,
            local_files_only=True,
            use_safetensors=True,
            unet_config=self._own_unet.config,
            return_lora_metadata=True,
        )
        # peft makes its layers in the image of those that it finds.
        with as_stored(self._own_unet, self._dtype) as is_cast:
            unet = _around_the_same_weights(self._own_unet)
            self._pipeline.load_lora_into_unet(
                tensors, alphas, unet, adapter_name=_ADAPTER, metadata=metadata, low_cpu_mem_usage=True
            )
        # diffusers would draw with what it could place of another model's LoRA.
        placed = sum(f".{_ADAPTER}." in name for name, _ in unet.named_parameters())
        if not placed or placed != len(tensors):
            raise ValueError(f"{placed} of its {len(tensors)} tensors have a place in the UNet")
        if is_cast:
            compute_in(unet, self._dtype)
        return unet.requires_grad_(False)


def _around_the_same_weights(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy of every module, but not of their tensors."""
    return copy.deepcopy(unet, {id(tensor): tensor for tensor in chain(unet.parameters(), unet.buffers())})
