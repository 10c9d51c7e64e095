"""How many operations a drawing's calls of the UNet are, counted by torch as they happen. One multiply-add is two."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from generator.api.types import Recipe
from generator.bench.ours import Ours


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """From three shapes (rows, heads, tokens, width): each query's product with all keys, then with all values."""
    rows, heads, queries, width = query
    return int(2 * rows * heads * queries * key[-2] * (width + value[-1]))


# The counter knows the attention of cards only.
_OF_THE_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def operations(ours: Ours, recipe: Recipe) -> int:
    """Of all steps; the text encoders and the VAE are the same in every tier."""
    drawing = ours.start(recipe)
    # A replay of a recorded call would be no operation at all.
    graphs = drawing.model.graphs
    was_on, graphs.is_on = graphs.is_on, False
    with FlopCounterMode(display=False, custom_mapping=_OF_THE_CPU) as counter:
        while drawing.step < drawing.steps:
            ours.engine.step([drawing])
    graphs.is_on = was_on
    return int(counter.get_total_flops())
