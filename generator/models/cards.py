"""Model cards: what the generator knows of each model, as data. Knows nothing of how a model is loaded or run."""

import os
from functools import cache
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from generator.api.capabilities import CardDefaults, CardDraft, CardLimits, ModelCard, Size

Sampler = Literal["unipc", "euler_a", "pndm", "euler", "dpmpp_2m", "dpmpp_2m_sde", "lcm"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

# The lcm sampler chooses its steps from a schedule of this many.
MAX_STEPS_OF_LCM = 50

# How many of a model's own steps a draft takes without a LoRA.
DRAFT_SHARE_OF_STEPS = 2 / 3

Tier = Literal["exact", "balanced", "fast", "draft"]
TIERS: tuple[str, ...] = get_args(Tier)


def _expanded(path: Path) -> Path:
    """Return the path with its variables, such as $XDG_RUNTIME_DIR, and `~`, the home of the generator's user."""
    text = os.path.expandvars(path)
    if "$" in text:
        raise ValueError(f"{path} has a variable that is not set")
    return Path(os.path.expanduser(text))  # noqa: PTH111 - never raises


# A path in a settings file.
UserPath = Annotated[Path, AfterValidator(_expanded)]

# Browsers and phones still show this; every reader of pictures has a limit near it.
MAX_SIDE = 4096

# How much longer than the model's own a side may be when drawing from an image, which gives the composition.
LARGER_FROM_IMAGE = 1.5

# A name on a hub: words with single dots and hyphens between them.
_WORDS = "[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*"
_REPOSITORY = Field(
    None, pattern=f"^({_WORDS}/)?{_WORDS}$", max_length=96, description="a name on the hub, such as segmind/SSD-1B"
)
_SAFETENSORS = r"^[A-Za-z0-9_.-]+\.safetensors$"
_A_SAFETENSORS_FILE = "the name of a .safetensors file"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DefaultSettings(_Data):
    steps: StrictInt = Field(30, ge=1)
    guidance_scale: StrictFloat = 7.0
    sampler: Sampler = "unipc"
    tier: Tier = "exact"
    negative_prompt: str = ""


class LimitSettings(_Data):
    min_side: StrictInt = Field(256, ge=64)
    max_side: StrictInt = Field(1536, le=MAX_SIDE)
    max_pixels: StrictInt = 1024 * 1024
    max_steps: StrictInt = Field(100, ge=1)
    # 0 marks a model that was distilled to draw without guidance, and so takes no negative prompt.
    max_guidance_scale: StrictFloat = Field(30.0, ge=0)
    # Four of the text encoder's chunks of 75: attention grows with the text.
    max_tokens: StrictInt = Field(300, ge=75)

    @property
    def min_guidance_scale(self) -> float:
        """The scale that means no guidance: 0 for a model without guidance, else 1."""
        return 1.0 if self.max_guidance_scale else 0.0


class SchedulerSettings(_Data):
    """A card's replacements for values of the model's ``scheduler_config.json``, under diffusers' names."""

    timestep_spacing: Literal["leading", "linspace", "trailing"] | None = None
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    rescale_betas_zero_snr: bool | None = None


class LoraSettings(_Data):
    """Where a LoRA is: ``weight_name`` in a hub's ``repository``, or a ``file``."""

    repository: str | None = _REPOSITORY
    revision: str | None = None
    weight_name: str = Field("pytorch_lora_weights.safetensors", pattern=_SAFETENSORS, description=_A_SAFETENSORS_FILE)
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
    """How drafts are drawn with a LoRA that needs only a few steps. The defaults are from LCM-LoRA's documentation."""

    lora: LoraSettings
    steps: StrictInt = Field(8, ge=1)
    guidance_scale: StrictFloat = 1.0
    max_guidance_scale: StrictFloat = Field(2.0, ge=1)
    sampler: Sampler = "lcm"


class CardSettings(_Data):
    """One model as ``cards.yml`` or a settings file describes it.

    Exactly one of ``repository``, ``folder`` and ``built_in`` has the configuration and tokenizers, and the weights
    unless ``file`` has them. With ``weight_name`` the repository has the weights in that one file. ``vae`` is a file
    with a VAE for a model whose one file has none.
    """

    family: Literal["sdxl", "sd"]
    repository: str | None = _REPOSITORY
    revision: str | None = None
    variant: str | None = None
    weight_name: str | None = Field(None, pattern=_SAFETENSORS, description=_A_SAFETENSORS_FILE)
    folder: UserPath | None = None
    built_in: Literal["pocket"] | None = None
    file: UserPath | None = None
    vae: UserPath | None = None
    licence: str = "unknown"
    about: str = ""
    sizes: dict[Literal["square", "portrait", "landscape"], tuple[StrictInt, StrictInt]] = Field(
        description="a mapping of square, portrait, landscape to sides, such as square: [512, 512]"
    )
    # A small model's pictures are saved and shown this many times as large as they are drawn.
    enlarge: StrictInt = Field(1, ge=1)
    scheduler: SchedulerSettings = SchedulerSettings()
    # How much of the contrast that guidance adds is taken back, 0 to 1 (Lin et al., arXiv 2305.08891, section 3.4, who
    # propose 0.7 for models that are trained down to pure noise: zero terminal SNR).
    guidance_rescale: StrictFloat = Field(0.0, ge=0, le=1)
    defaults: DefaultSettings = DefaultSettings()
    limits: LimitSettings = LimitSettings()
    # Without it a draft takes fewer of the model's own steps, and leaves out what the tier fast does.
    draft: DraftSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_like_another(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "like" not in raw:
            return raw
        cards = _raw_cards()
        if raw["like"] not in list(cards):
            raise ValueError(f"like is {raw['like']}; it can be {', '.join(cards)}")
        return _merged(raw, cards[raw["like"]])

    @model_validator(mode="after")
    def _is_consistent(self) -> "CardSettings":
        if sum(source is not None for source in (self.repository, self.folder, self.built_in)) != 1:
            raise ValueError("a model has exactly one of repository, folder and built_in, or is like another")
        if self.weight_name and (self.file or not self.repository):
            raise ValueError("weight_name is a file of the repository, and there is no other file beside it")
        if self.vae and not self.is_one_file:
            raise ValueError("vae is for a model in one file, which may have none")
        _check_safetensors(self.file)
        _check_safetensors(self.vae, key="vae")
        if "square" not in self.sizes:
            raise ValueError("sizes needs at least square")
        low, high = self.limits.min_side, self.limits.max_side
        for name, (width, height) in self.sizes.items():
            if not low <= min(width, height) <= max(width, height) <= high or width * height > self.limits.max_pixels:
                raise ValueError(f"{name} is {width}x{height}, which is outside of the model's own limits")
        if high * self.enlarge > MAX_SIDE:
            raise ValueError(f"limits.max_side enlarged is {high * self.enlarge}; it can be {MAX_SIDE}")
        low_scale, high_scale = self.limits.min_guidance_scale, self.limits.max_guidance_scale
        for part, values in (("defaults", self.defaults), ("draft", self.draft)):
            if values is None:
                continue
            if values.steps > self.limits.max_steps:
                raise ValueError(f"{part}.steps is {values.steps}, limits.max_steps is {self.limits.max_steps}")
            if not low_scale <= values.guidance_scale <= high_scale:
                raise ValueError(
                    f"{part}.guidance_scale is {values.guidance_scale:g}; "
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

    @property
    def is_one_file(self) -> bool:
        """Whether one file in the original layout has the weights."""
        return bool(self.file or self.weight_name)


def _check_safetensors(file: Path | None, *, key: str = "file") -> None:
    if file is not None and file.suffix != ".safetensors":
        raise ValueError(f"{key} is {file.name}; it can be a .safetensors file only")


def _merged(card: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Fill in from ``like`` everything that the card leaves out.

    A card with its own weights does not inherit the licence. One with a ``file`` still inherits the source of the
    configuration and tokenizers.
    """
    taken = dict(like)
    sources = {"repository", "folder", "built_in"} & card.keys()
    for key in ("repository", "revision", "variant", "folder", "built_in") if sources else ():
        taken.pop(key, None)
    for key in ("weight_name", "vae") if sources or "file" in card else ():
        taken.pop(key, None)
    for key in ("licence", "about") if sources or "file" in card else ():
        taken.pop(key, None)
    merged = {**taken, **card}
    del merged["like"]
    for part in ("scheduler", "defaults", "limits", "draft"):
        if isinstance(card.get(part), dict):
            merged[part] = {**taken.get(part, {}), **card[part]}
    return merged


# The side of one latent of SDXL's VAE, in pixels; it is a multiple of the side of smaller VAEs, too.
SIDE_MULTIPLE = 8


@cache
def _raw_cards() -> dict[str, Any]:
    return dict(yaml.safe_load((files("generator.models") / "cards.yml").read_text(encoding="utf-8")))


@cache
def built_in_cards() -> dict[str, CardSettings]:
    """Read the cards of ``cards.yml``, by name."""
    return {name: CardSettings.model_validate(card) for name, card in _raw_cards().items()}


def model_card(name: str, card: CardSettings, *, available: bool) -> ModelCard:
    """Convert the card to the form of ``GET /v1/capabilities``."""
    width, height = card.sizes["square"]
    own = card.limits
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
            min_guidance_scale=own.min_guidance_scale,
            max_side_from_image=max(own.max_side, int(LARGER_FROM_IMAGE * longest)),
            max_pixels_from_image=max(own.max_pixels, int(LARGER_FROM_IMAGE**2 * most)),
            **own.model_dump(),
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
