"""Store weights in fp16 and compute in fp32, for cards that are slower in fp16, such as Pascal ones.

diffusers' own layerwise casting casts there and back at every step, and needs the weights in fp32 first. Here a layer's
weights are cast at the moment it reads them; nothing is cast back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrize


class _Cast(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def forward(self, stored: torch.Tensor) -> torch.Tensor:
        return stored.to(self._dtype)


def compute_in(module: nn.Module, dtype: torch.dtype) -> None:
    """Make every layer read its weights in ``dtype``, whatever they are stored in. Inputs must be in ``dtype``."""
    for layer in list(module.modules()):
        for name, _ in list(layer.named_parameters(recurse=False)):
            # torch calls a change of the dtype unsafe.
            parametrize.register_parametrization(layer, name, _Cast(dtype), unsafe=True)


@contextmanager
def as_stored(module: nn.Module, dtype: torch.dtype) -> Iterator[bool]:
    """Remove the cast to ``dtype`` from all layers for the block's duration; yield whether they have one."""
    casting = [layer for layer in module.modules() if parametrize.is_parametrized(layer)]
    for layer in casting:
        casts = layer.parametrizations
        assert isinstance(casts, nn.ModuleDict)
        for name in list(casts):
            parametrize.remove_parametrizations(layer, name, leave_parametrized=False)
    try:
        yield bool(casting)
    finally:
        if casting:
            compute_in(module, dtype)
