"""Model cards: what the generator knows of each model, as data. Knows nothing of how a model is loaded or run."""

import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from generator.api import CardDefaults, CardLimits, ModelCard, Size

SAMPLERS = ("unipc",)
TIERS = ("exact", "balanced", "fast", "draft")


# A path in a settings file; `~` is the home of the generator's user.
UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]  # noqa: PTH111 - never raises


# What a browser and a phone still show; every reader of pictures has a limit near it.
MAX_SIDE = 4096


# What a hub takes as a name: words with single dots and hyphens between them.
_WORDS = "[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DefaultSettings(_Data):
    steps: int = Field(30, ge=1)
    guidance_scale: float = 7.0
    sampler: Literal["unipc"] = "unipc"
    tier: Literal["exact", "balanced", "fast", "draft"] = "exact"
    negative_prompt: str = ""


class LimitSettings(_Data):
    min_side: int = Field(256, ge=64)
    max_side: int = Field(1536, le=MAX_SIDE)
    max_pixels: int = 1024 * 1024
    max_steps: int = Field(100, ge=1)
    max_guidance_scale: float = 30.0
    # Four of the text encoder's chunks of 75: attention grows with the text.
    max_tokens: int = Field(300, ge=75)


class CardSettings(_Data):
    """One model as ``cards.yml`` or a settings file describes it; exactly one source."""

    family: Literal["sdxl"]
    repository: str | None = Field(None, pattern=f"^({_WORDS}/)?{_WORDS}$", max_length=96)
    revision: str | None = None
    variant: str | None = None
    folder: UserPath | None = None
    built_in: Literal["pocket"] | None = None
    licence: str = "unknown"
    about: str = ""
    sizes: dict[Literal["square", "portrait", "landscape"], tuple[int, int]]
    # A small model's pictures are kept and shown this many times as large as they are drawn.
    enlarge: int = Field(1, ge=1)
    defaults: DefaultSettings = DefaultSettings()
    limits: LimitSettings = LimitSettings()

    @model_validator(mode="after")
    def _is_consistent(self) -> "CardSettings":
        if sum(source is not None for source in (self.repository, self.folder, self.built_in)) != 1:
            raise ValueError("a model has exactly one of repository, folder and built_in")
        if "square" not in self.sizes:
            raise ValueError("sizes needs at least square")
        low, high = self.limits.min_side, self.limits.max_side
        for name, (width, height) in self.sizes.items():
            if not low <= min(width, height) <= max(width, height) <= high or width * height > self.limits.max_pixels:
                raise ValueError(f"{name} is {width}x{height}, which is outside of the model's own limits")
        if high * self.enlarge > MAX_SIDE:
            raise ValueError(f"limits.max_side enlarged is {high * self.enlarge}; it can be {MAX_SIDE}")
        if self.defaults.steps > self.limits.max_steps:
            raise ValueError(f"defaults.steps is {self.defaults.steps}, limits.max_steps is {self.limits.max_steps}")
        return self

    @property
    def source(self) -> str:
        return self.repository or str(self.folder or "built in")


# What one latent of SDXL's VAE stands for; a VAE that halves less often divides it as well.
SIDE_MULTIPLE = 8


@cache
def built_in_cards() -> dict[str, CardSettings]:
    """The cards of ``cards.yml``, by name."""
    raw = yaml.safe_load((files("generator") / "cards.yml").read_text(encoding="utf-8"))
    return {name: CardSettings.model_validate(card) for name, card in raw.items()}


def model_card(name: str, card: CardSettings, *, available: bool) -> ModelCard:
    """The card as ``GET /v1/capabilities`` tells it."""
    width, height = card.sizes["square"]
    return ModelCard(
        name=name,
        family=card.family,
        source=card.source,
        revision=card.revision,
        licence=card.licence,
        about=card.about,
        available=available,
        enlarge=card.enlarge,
        sizes={key: Size(width=size[0], height=size[1]) for key, size in card.sizes.items()},
        defaults=CardDefaults(width=width, height=height, **card.defaults.model_dump()),
        limits=CardLimits(side_multiple=SIDE_MULTIPLE, min_guidance_scale=1.0, **card.limits.model_dump()),
    )
