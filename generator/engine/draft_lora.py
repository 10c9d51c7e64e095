"""The LoRA that a model draws drafts with (Luo et al., LCM-LoRA, arXiv 2311.05556): in the UNet beside the model's own
weights, which stay as they are, and in its calls for drafts only.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import nn

from generator.engine.upcast import as_stored
from generator.errors import WeightsBroken
from generator.models.cards import CardSettings
from generator.models.weights import locate_lora

log = logging.getLogger(__name__)

_ADAPTER = "draft"


@dataclass(frozen=True)
class _Layer:
    """A place in the UNet, with peft's layer for it: the model's own one and the LoRA's."""

    parent: nn.Module
    name: str
    # Both a torch module and a BaseTunerLayer.
    with_lora: Any


class DraftLora:
    """``pipeline`` is the diffusers class that loads it. Until the first draft the UNet has nothing of it."""

    def __init__(
        self, name: str, card: CardSettings, pipeline: Any, unet: UNet2DConditionModel, *, dtype: torch.dtype
    ) -> None:
        self._name, self._card, self._pipeline, self._unet, self._dtype = name, card, pipeline, unet, dtype
        self._revision: str | None = None
        self._layers: list[_Layer] = []
        self._is_on = False

    def ready(self) -> str | None:
        """Its revision once it can be switched on; None of a model that drafts without one.

        Raises DrawingFailed where it is not on this machine or not a LoRA of this UNet.
        """
        if self._revision is None and self._card.draft is not None:
            file, revision = locate_lora(self._name, self._card.draft.lora)
            try:
                self._load(file)
            # There may be room for the next one.
            except torch.OutOfMemoryError:
                raise
            except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
                log.error("the LoRA of the drafts of %s cannot be loaded from %s: %s", self._name, file, error)
                raise WeightsBroken(self._name) from error
            self._revision = revision
            log.info("%s can draw drafts with the LoRA of revision %s", self._name, revision)
        return self._revision

    def switch(self, on: bool) -> None:
        """Whether the next calls of the UNet are with it. Off, the UNet is bit for bit the model's own."""
        if on is not self._is_on:
            self._put(self._layers, on=on)
            self._is_on = on

    @staticmethod
    def _put(layers: Iterable[_Layer], *, on: bool) -> None:
        """In and out of the UNet: peft could leave its layers there, off, but each call would ask each of them."""
        for layer in layers:
            setattr(layer.parent, layer.name, layer.with_lora if on else layer.with_lora.get_base_layer())

    def _load(self, file: Path) -> None:
        tensors, alphas, metadata = self._pipeline.lora_state_dict(
            str(file.parent),
            weight_name=file.name,
            local_files_only=True,
            use_safetensors=True,
            unet_config=self._unet.config,
            return_lora_metadata=True,
        )
        # peft makes its layers in the image of those that it finds.
        with as_stored(self._unet, self._dtype):
            try:
                self._pipeline.load_lora_into_unet(
                    tensors, alphas, self._unet, adapter_name=_ADAPTER, metadata=metadata, low_cpu_mem_usage=True
                )
                # diffusers would draw with what it could place of another model's LoRA.
                placed = sum(f".{_ADAPTER}." in name for name, _ in self._unet.named_parameters())
                if not placed or placed != len(tensors):
                    raise ValueError(f"{placed} of its {len(tensors)} tensors have a place in the UNet")
            finally:
                adapted = self._adapted()
                self._put(adapted, on=False)
                vars(self._unet).pop("peft_config", None)
            # Here it goes where the UNet goes.
            self._unet.draft_lora = nn.ModuleList(layer.with_lora for layer in adapted).requires_grad_(False)
            self._layers = adapted

    def _adapted(self) -> list[_Layer]:
        return [
            _Layer(self._unet.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], layer)
            for name, layer in self._unet.named_modules()
            if isinstance(layer, BaseTunerLayer)
        ]
