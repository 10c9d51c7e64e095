"""Model cards: what the generator knows of each model, as data. Knows nothing of how a model is loaded or run."""

import os
from functools import cache
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from generator.api.types import CardDefaults, CardDraft, CardLimits, ModelCard, Size

Sampler = Literal["unipc", "euler_a", "pndm", "euler", "dpmpp_2m", "dpmpp_2m_sde", "lcm"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

# The lcm sampler takes its steps out of a schedule of so many.
MAX_STEPS_OF_LCM = 50

# Of a model's own steps, where it has no LoRA for drafts.
DRAFT_SHARE_OF_STEPS = 2 / 3

Tier = Literal["exact", "balanced", "fast", "draft"]
TIERS: tuple[str, ...] = get_args(Tier)


# A path in a settings file; `~` is the home of the generator's user.
UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]  # noqa: PTH111 - never raises


# What a browser and a phone still show; every reader of pictures has a limit near it.
MAX_SIDE = 4096


# What is drawn from an image may be so many times as long as the model's own sides: the image gives the composition.
LARGER_FROM_IMAGE = 1.5


# What a hub takes as a name: words with single dots and hyphens between them.
_WORDS = "[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DefaultSettings(_Data):
    steps: int = Field(30, ge=1)
    guidance_scale: float = 7.0
    sampler: Sampler = "unipc"
    tier: Tier = "exact"
    negative_prompt: str = ""


class LimitSettings(_Data):
    min_side: int = Field(256, ge=64)
    max_side: int = Field(1536, le=MAX_SIDE)
    max_pixels: int = 1024 * 1024
    max_steps: int = Field(100, ge=1)
    # 0 is a model that was distilled to draw without guidance, and so takes no negative prompt.
    max_guidance_scale: float = Field(30.0, ge=0)
    # Four of the text encoder's chunks of 75: attention grows with the text.
    max_tokens: int = Field(300, ge=75)

    @property
    def min_guidance_scale(self) -> float:
        """1 is no guidance, as 0 is: each model has one word for it."""
        return 1.0 if self.max_guidance_scale else 0.0


class SchedulerSettings(_Data):
    """What a card says of the schedule in place of the model's own ``scheduler_config.json``, in diffusers' words."""

    timestep_spacing: Literal["leading", "linspace", "trailing"] | None = None
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    rescale_betas_zero_snr: bool | None = None


class LoraSettings(_Data):
    """Where a LoRA is: ``weight_name`` in a hub's ``repository``, or a ``file``."""

    repository: str | None = Field(None, pattern=f"^({_WORDS}/)?{_WORDS}$", max_length=96)
    revision: str | None = None
    weight_name: str = Field("pytorch_lora_weights.safetensors", pattern=r"^[A-Za-z0-9_.-]+\.safetensors$")
    file: UserPath | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> "LoraSettings":
        if (self.repository is None) == (self.file is None):
            raise ValueError("a LoRA has exactly one of repository and file")
        _check_safetensors(self.file)
        return self

    @property
    def source(self) -> str:
        return str(self.file or self.repository)


class DraftSettings(_Data):
    """How drafts are drawn with a LoRA that makes a few steps enough; not said, it is as LCM-LoRA is documented."""

    lora: LoraSettings
    steps: int = Field(8, ge=1)
    guidance_scale: float = 1.0
    max_guidance_scale: float = Field(2.0, ge=1)
    sampler: Sampler = "lcm"


class CardSettings(_Data):
    """One model as ``cards.yml`` or a settings file describes it.

    Configuration and tokenizers, and the weights if ``file`` does not have them, come from exactly one of
    ``repository``, ``folder`` and ``built_in``.
    """

    family: Literal["sdxl", "sd"]
    repository: str | None = Field(None, pattern=f"^({_WORDS}/)?{_WORDS}$", max_length=96)
    revision: str | None = None
    variant: str | None = None
    folder: UserPath | None = None
    built_in: Literal["pocket"] | None = None
    file: UserPath | None = None
    licence: str = "unknown"
    about: str = ""
    sizes: dict[Literal["square", "portrait", "landscape"], tuple[int, int]]
    # A small model's pictures are kept and shown this many times as large as they are drawn.
    enlarge: int = Field(1, ge=1)
    scheduler: SchedulerSettings = SchedulerSettings()
    # How much of the contrast that guidance adds is taken back, 0 to 1, by section 3.4 of Lin et al., arXiv 2305.08891:
    # they propose 0.7 for models that are trained down to pure noise (zero terminal SNR).
    guidance_rescale: float = Field(0.0, ge=0, le=1)
    defaults: DefaultSettings = DefaultSettings()
    limits: LimitSettings = LimitSettings()
    # Without it a draft is fewer of the model's own steps, with what the tier fast leaves out.
    draft: DraftSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_like_another(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "like" not in raw:
            return raw
        cards = _raw_cards()
        if raw["like"] not in cards:
            raise ValueError(f"like is {raw['like']}; it can be {', '.join(cards)}")
        return _merged(raw, cards[raw["like"]])

    @model_validator(mode="after")
    def _is_consistent(self) -> "CardSettings":
        if sum(source is not None for source in (self.repository, self.folder, self.built_in)) != 1:
            raise ValueError("a model has exactly one of repository, folder and built_in, or is like another")
        _check_safetensors(self.file)
        if "square" not in self.sizes:
            raise ValueError("sizes needs at least square")
        low, high = self.limits.min_side, self.limits.max_side
        for name, (width, height) in self.sizes.items():
            if not low <= min(width, height) <= max(width, height) <= high or width * height > self.limits.max_pixels:
                raise ValueError(f"{name} is {width}x{height}, which is outside of the model's own limits")
        if high * self.enlarge > MAX_SIDE:
            raise ValueError(f"limits.max_side enlarged is {high * self.enlarge}; it can be {MAX_SIDE}")
        low_scale, high_scale = self.limits.min_guidance_scale, self.limits.max_guidance_scale
        for part, said in (("defaults", self.defaults), ("draft", self.draft)):
            if said is None:
                continue
            if said.steps > self.limits.max_steps:
                raise ValueError(f"{part}.steps is {said.steps}, limits.max_steps is {self.limits.max_steps}")
            if not low_scale <= said.guidance_scale <= high_scale:
                raise ValueError(
                    f"{part}.guidance_scale is {said.guidance_scale:g}; "
                    f"the model's own limits are {low_scale:g} to {high_scale:g}"
                )
        if self.draft and self.draft.guidance_scale > self.draft.max_guidance_scale:
            raise ValueError(
                f"draft.guidance_scale is {self.draft.guidance_scale:g}, "
                f"draft.max_guidance_scale is {self.draft.max_guidance_scale:g}"
            )
        if not high_scale and self.defaults.negative_prompt:
            raise ValueError("a model without guidance has no defaults.negative_prompt")
        return self

    @property
    def source(self) -> str:
        return str(self.file or self.repository or self.folder or "built in")


def _check_safetensors(file: Path | None) -> None:
    if file is not None and file.suffix != ".safetensors":
        raise ValueError(f"file is {file.name}; it can be a .safetensors file only")


def _merged(card: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """The card with all that it does not say from the card that it is ``like``.

    A card with weights of its own has its own licence, too. With a ``file`` the other's source goes on to say where
    configuration and tokenizers are.
    """
    taken = dict(like)
    sources = {"repository", "folder", "built_in"} & card.keys()
    for key in ("repository", "revision", "variant", "folder", "built_in") if sources else ():
        taken.pop(key, None)
    for key in ("licence", "about") if sources or "file" in card else ():
        taken.pop(key, None)
    merged = {**taken, **card}
    del merged["like"]
    for part in ("scheduler", "defaults", "limits", "draft"):
        if isinstance(card.get(part), dict):
            merged[part] = {**taken.get(part, {}), **card[part]}
    return merged


# What one latent of SDXL's VAE stands for; a VAE that halves less often divides it as well.
SIDE_MULTIPLE = 8


@cache
def _raw_cards() -> dict[str, Any]:
    return dict(yaml.safe_load((files("generator.models") / "cards.yml").read_text(encoding="utf-8")))


@cache
def built_in_cards() -> dict[str, CardSettings]:
    """The cards of ``cards.yml``, by name."""
    return {name: CardSettings.model_validate(card) for name, card in _raw_cards().items()}


def model_card(name: str, card: CardSettings, *, available: bool) -> ModelCard:
    """The card as ``GET /v1/capabilities`` tells it."""
    width, height = card.sizes["square"]
    said = card.limits
    longest, most = max(map(max, card.sizes.values())), max(map(prod, card.sizes.values()))
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
        limits=CardLimits(
            side_multiple=SIDE_MULTIPLE,
            min_guidance_scale=said.min_guidance_scale,
            max_side_from_image=max(said.max_side, int(LARGER_FROM_IMAGE * longest)),
            max_pixels_from_image=max(said.max_pixels, int(LARGER_FROM_IMAGE**2 * most)),
            **said.model_dump(),
        ),
        draft=_card_draft(card),
    )


def _card_draft(card: CardSettings) -> CardDraft:
    if card.draft:
        return CardDraft(lora=card.draft.lora.source, **card.draft.model_dump(exclude={"lora"}))
    return CardDraft(
        lora=None,
        steps=max(1, round(card.defaults.steps * DRAFT_SHARE_OF_STEPS)),
        guidance_scale=card.defaults.guidance_scale,
        max_guidance_scale=card.limits.max_guidance_scale,
        sampler=card.defaults.sampler,
    )
