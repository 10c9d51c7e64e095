"""Count the operations of a drawing's UNet calls, with torch's counter. A multiply-add counts as two."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from generator.api.types import Recipe
from generator.bench.ours import Ours


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Count the products of each query with all keys, then with all values; shapes are (rows, heads, tokens, width)."""
    rows, heads, queries, width = query
    return int(2 * rows * heads * queries * key[-2] * (width + value[-1]))


# torch's counter knows the attention of cards only.
_OF_THE_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def operations(ours: Ours, recipe: Recipe) -> int:
    """Count the operations of all steps. Leaves out the text encoders and the VAE, which every tier runs alike."""
    drawing = ours.start(recipe)
    # The counter does not see the operations of a replay.
    graphs = drawing.model.graphs
    was_on, graphs.is_on = graphs.is_on, False
    with FlopCounterMode(display=False, custom_mapping=_OF_THE_CPU) as counter:
        while drawing.step < drawing.steps:
            ours.engine.step([drawing])
    graphs.is_on = was_on
    return int(counter.get_total_flops())
