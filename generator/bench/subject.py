"""What a benchmark draws: one model at its sizes, with a new prompt and seed for every turn. Measures nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.api.types import Recipe, Slots
from generator.models.cards import TIERS, CardSettings, model_card
from generator.models.weights import Located, locate, lora_bytes
from generator.settings import Settings

Size = tuple[int, int]

# All steps of a model's schedule: a small model needs many of them for a long drawing.
MAX_STEPS = 1000


@dataclass(frozen=True)
class Subject:
    """A model with its name in the settings. ``label`` is for people, and mentions random weights."""

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
        """The sizes of the model's card; if it has only one, also twice and four times its sides.

        Those run the same layers on more latents, whatever the picture shows.
        """
        width, height = self.native
        if len(self.card.sizes) > 1:
            return tuple(self.card.sizes.values())
        return tuple((times * width, times * height) for times in (1, 2, 4))

    @property
    def tiers(self) -> tuple[str, ...]:
        """All tiers; without ``draft`` if its LoRA is not on this machine."""
        can_draft = self.card.draft is None or lora_bytes(self.card) > 0
        return tuple(tier for tier in TIERS if tier != "draft" or can_draft)

    def recipe(self, turn: int, size: Size, *, tier: str = "exact", steps: int | None = None) -> Recipe:
        """Make the recipe of a turn. Each turn has another prompt, since a repeated one comes from the cache."""
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
        """The user's settings with this model as the default, up to MAX_STEPS steps, and all files below ``folder``."""
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


def size_label(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
