"""The LoRA that a model draws drafts with (Luo et al., LCM-LoRA, arXiv 2311.05556), in a second UNet.

The second UNet has modules of its own around the same weights as the model's UNet, which is never changed.
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
    """The LoRA of one model, loaded by ``pipeline``, a diffusers class, at the first draft."""

    def __init__(
        self, name: str, card: CardSettings, pipeline: Any, unet: UNet2DConditionModel, *, dtype: torch.dtype
    ) -> None:
        self._name, self._card, self._pipeline, self._own_unet, self._dtype = name, card, pipeline, unet, dtype
        self._revision: str | None = None
        # The UNet with the LoRA; None before the first draft.
        self.unet: UNet2DConditionModel | None = None

    def ready(self) -> str | None:
        """Load ``unet`` if necessary; return the LoRA's revision, None for a model that drafts without a LoRA.

        Raises DrawingFailed if the LoRA is not on this machine, or not made for this UNet.
        """
        if self._revision is None and self._card.draft is not None:
            file, revision = locate_lora(self._name, self._card.draft.lora)
            try:
                self.unet = self._load(file)
            # There may be room for the next draft.
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
        # peft copies the kind of the layers it finds, so they must be plain ones.
        with as_stored(self._own_unet, self._dtype) as is_cast:
            unet = _around_the_same_weights(self._own_unet)
            self._pipeline.load_lora_into_unet(
                tensors, alphas, unet, adapter_name=_ADAPTER, metadata=metadata, low_cpu_mem_usage=True
            )
        # diffusers would draw with the part of another model's LoRA that fits.
        placed = sum(f".{_ADAPTER}." in name for name, _ in unet.named_parameters())
        if not placed or placed != len(tensors):
            raise ValueError(f"{placed} of its {len(tensors)} tensors have a place in the UNet")
        if is_cast:
            compute_in(unet, self._dtype)
        return unet.requires_grad_(False)


def _around_the_same_weights(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Copy every module of the UNet, but share their tensors."""
    return copy.deepcopy(unet, {id(tensor): tensor for tensor in chain(unet.parameters(), unet.buffers())})
