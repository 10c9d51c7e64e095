"""What is drawn: one model at its sizes, with a new text and seed for every turn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.api.types import Recipe, Slots
from generator.models.cards import TIERS, CardSettings, model_card
from generator.models.weights import Located, locate, lora_bytes
from generator.settings import Settings

Size = tuple[int, int]

# As many as a model's schedule has: a small model takes many for a drawing that is long.
MAX_STEPS = 1000


@dataclass(frozen=True)
class Subject:
    """A model under the name that its settings give it. ``label`` says where its weights are random."""

    name: str
    card: CardSettings
    label: str

    @property
    def located(self) -> Located:
        return locate(self.name, self.card)

    @property
    def native(self) -> Size:
        return self.card.sizes["square"]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The card's own; of a model with only one also twice and four times its side: the same layers on more latents,
        whatever the picture shows."""
        width, height = self.native
        if len(self.card.sizes) > 1:
            return tuple(self.card.sizes.values())
        return tuple((times * width, times * height) for times in (1, 2, 4))

    @property
    def tiers(self) -> tuple[str, ...]:
        """All, but ``draft`` without the LoRA that it is drawn with."""
        can_draft = self.card.draft is None or lora_bytes(self.card) > 0
        return tuple(tier for tier in TIERS if tier != "draft" or can_draft)

    def recipe(self, turn: int, size: Size, *, tier: str = "exact", steps: int | None = None) -> Recipe:
        """No text comes twice, as that would be read from the cache; the negative prompt is the model's own."""
        defaults = self.card.defaults
        draft = model_card(self.name, self.card, available=True).draft
        as_drawn = draft if tier == "draft" else defaults
        return Recipe(
            slots=Slots(subject=("otter", f"cowboy hat {turn}")),
            negative_prompt=defaults.negative_prompt,
            theme="bench",
            model=self.name,
            seed=turn + 100,
            width=size[0],
            height=size[1],
            steps=steps or as_drawn.steps,
            guidance_scale=as_drawn.guidance_scale,
            sampler=draft.sampler if tier == "draft" else "unipc",
            tier=tier,
        )

    def settings(self, settings: Settings, folder: Path) -> Settings:
        """The user's own with this model for as many steps as one likes; all that is written is below ``folder``."""
        limits = {**self.card.limits.model_dump(), "max_steps": MAX_STEPS}
        card: dict[str, Any] = {**self.card.model_dump(mode="json", exclude_none=True), "limits": limits}
        return Settings.model_validate(
            {
                **settings.model_dump(mode="json", exclude_unset=True),
                "models": {**settings.model_dump(mode="json")["models"], self.name: card},
                "default_model": self.name,
                "socket": str(folder / "generator.sock"),
                "pictures": str(folder / "pictures"),
                "tcp_host": None,
            }
        )


def told(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
