"""What a generator can draw, as it says at `/v1/capabilities`: its models, and the limits of each and of a request."""

from pydantic import Field

from generator.api import limits
from generator.api.types import ApiModel


class Size(ApiModel):
    width: int
    height: int


class CardDefaults(ApiModel):
    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    tier: str
    negative_prompt: str


class CardLimits(ApiModel):
    min_side: int
    max_side: int
    max_pixels: int
    max_side_from_image: int = Field(description="For drawing from an image, which gives the composition")
    max_pixels_from_image: int
    side_multiple: int
    max_steps: int
    min_guidance_scale: float
    max_guidance_scale: float = Field(description="0: the model draws without guidance, and takes no negative prompt")
    max_tokens: int = Field(description="Tokens of the prompt that reach the model; the rest is left out, with a note")


class CardDraft(ApiModel):
    """The defaults and limits of the tier draft, in place of the model's own."""

    steps: int
    guidance_scale: float
    max_guidance_scale: float
    sampler: str
    lora: str | None = Field(description="The source of the LoRA that drafts are drawn with; null: drafts use no LoRA")


class ModelCard(ApiModel):
    """A model and its limits. ``available`` is false while its weights are not on this machine."""

    name: str
    family: str
    source: str
    revision: str | None
    licence: str
    about: str
    available: bool
    enlarge: int = Field(description="A picture's sides are this many times those of its recipe")
    sizes: dict[str, Size] = Field(description="square, portrait and landscape")
    defaults: CardDefaults
    limits: CardLimits
    draft: CardDraft


class RequestLimits(ApiModel):
    max_recipes_per_job: int = limits.MAX_RECIPES_PER_JOB
    max_prompt_chars: int = limits.MAX_PROMPT_CHARS
    max_nesting: int = limits.MAX_NESTING
    max_weakened: int = limits.MAX_WEAKENED
    min_weight: float = limits.MIN_WEIGHT
    max_weight: float = limits.MAX_WEIGHT
    max_seed: int = limits.MAX_SEED
    max_theme_chars: int = limits.MAX_THEME_CHARS
    max_queued_jobs: int


class Capabilities(ApiModel):
    version: str
    default_model: str
    models: tuple[ModelCard, ...]
    samplers: tuple[str, ...]
    tiers: tuple[str, ...]
    limits: RequestLimits
