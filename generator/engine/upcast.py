"""Weights stored in fp16, arithmetic in fp32: for cards that compute in fp16 more slowly, as Pascal ones do.

diffusers' own layerwise casting casts there and back at every step, and needs the weights in fp32 first. Here each
layer sees its weights cast at the moment it reads them; nothing is cast back.
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
    """Have every layer read its weights in ``dtype``; they stay stored as they are. Inputs must be in ``dtype``."""
    for layer in list(module.modules()):
        for name, _ in list(layer.named_parameters(recurse=False)):
            # Unsafe is what it calls a change of the dtype.
            parametrize.register_parametrization(layer, name, _Cast(dtype), unsafe=True)


@contextmanager
def as_stored(module: nn.Module, dtype: torch.dtype) -> Iterator[bool]:
    """The layers without their cast to ``dtype`` for a while; whether they have one."""
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
