"""How much work the recipes of a job are. What they leave open comes from the model's card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..generator.types import Capabilities

PIXELS_PER_MEGAPIXEL = 1_000_000


@dataclass(frozen=True)
class Work:
    """One picture to draw."""

    width: int
    height: int
    steps: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / PIXELS_PER_MEGAPIXEL

    @property
    def megapixel_steps(self) -> float:
        return self.steps * self.megapixels


def work_of(body: Mapping[str, Any], capabilities: Capabilities) -> tuple[Work, ...]:
    """The work of each recipe in a job's body, 0 for what an unknown model leaves open: the generator refuses it."""
    return tuple(_work(recipe, capabilities) for recipe in body["recipes"])


def _work(recipe: Mapping[str, Any], capabilities: Capabilities) -> Work:
    default, card = Work(0, 0, 0), capabilities.card(recipe.get("model"))
    if card:
        default = Work(card.defaults.width, card.defaults.height, card.usual(recipe.get("tier")).steps)
    return Work(**{name: recipe.get(name, value) for name, value in vars(default).items()})
