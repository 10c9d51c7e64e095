"""The words that cross the socket: requests, answers, events and errors of the HTTP API.

The server validates with these types and makes ``/openapi.json`` from them. This module knows neither aiohttp, nor the
queue, nor how a picture is drawn.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from generator.api import limits

SLOTS = ("subject", "outfit", "environment", "emotions", "style")

JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=limits.MAX_ID_CHARS)]
ShortText = Annotated[str, StringConstraints(max_length=limits.MAX_FACT_CHARS)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=limits.MAX_PROMPT_CHARS)]


class Words(BaseModel):
    """Base of all that crosses the socket: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Slots(Words):
    """A structured prompt: for each slot a list of terms, compel weights included."""

    subject: tuple[Term, ...] = ()
    outfit: tuple[Term, ...] = ()
    environment: tuple[Term, ...] = ()
    emotions: tuple[Term, ...] = ()
    style: tuple[Term, ...] = ()

    def joined(self) -> str:
        """The flat prompt: every term, in the order of the slots."""
        return ", ".join(term for slot in SLOTS for term in getattr(self, slot))


class EarlierFacts(BaseModel):
    """What a recipe file says of its first drawing; compared with this machine's plan, never obeyed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model_revision: ShortText | None = None
    plan: dict[ShortText, ShortText | int | float | bool | None] | None = Field(None, max_length=40)


class RecipeRequest(Words):
    """One picture to draw. Only ``slots`` is needed; what is absent comes from the model's card."""

    slots: Slots
    negative_prompt: str | None = Field(None, max_length=limits.MAX_PROMPT_CHARS)
    theme: str | None = Field(None, min_length=1, max_length=limits.MAX_THEME_CHARS)
    model: str | None = None
    seed: int | None = Field(None, ge=0, le=limits.MAX_SEED)
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = Field(None, allow_inf_nan=False)
    sampler: str | None = None
    tier: str | None = None
    image: Sha256 | None = Field(None, description="What to draw from: the SHA-256 of an image that was sent before")
    strength: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="How much of the image is drawn anew; only with one"
    )
    facts: EarlierFacts | None = None


Heading = Annotated[str, Field(max_length=limits.MAX_HEADING_CHARS)]
Headings = Annotated[tuple[Heading, ...], Field(max_length=limits.MAX_RECIPES_PER_JOB)]


class SheetRequest(Words):
    """What stands on a contact sheet of a job's pictures, which come row by row.

    Without ``rows``, ``columns`` are the headings of the pictures themselves.
    """

    columns: Headings = Field(min_length=1)
    rows: Headings = ()

    @property
    def pictures(self) -> int:
        return len(self.columns) * max(1, len(self.rows))


class JobRequest(Words):
    """``PUT /v1/jobs/{id}``: who asks (opaque, for fair turns) and what to draw, in order."""

    requester: str = Field(min_length=1, max_length=limits.MAX_REQUESTER_CHARS)
    recipes: tuple[RecipeRequest, ...] = Field(min_length=1, max_length=limits.MAX_RECIPES_PER_JOB)
    sheet: SheetRequest | None = None
    replaces: JobId | None = Field(
        None,
        description="A job of the same requester: if it is still queued it is cancelled, and this one takes its place; "
        "else it is left alone, and this one is queued behind",
    )


class Recipe(Words):
    """All that is needed to draw one picture again, every field filled."""

    slots: Slots
    negative_prompt: str
    theme: str
    model: str
    seed: int
    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    tier: str
    # Image to image: the SHA-256 of the picture's bytes, and how much of it is drawn anew; both or neither.
    image: str | None = None
    strength: float | None = None

    @property
    def prompt(self) -> str:
        return self.slots.joined()

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def steps_drawn(self) -> int:
        """Drawing from an image begins in the midst of the steps, as in diffusers."""
        return self.steps if self.strength is None else min(int(self.steps * self.strength), self.steps)


class Facts(Words):
    """How and when a picture was drawn. ``plan`` is what this machine chose: device, dtype, tiling, versions."""

    job: str
    drawn: str = Field(description="When, ISO 8601 with offset")
    seconds: float = Field(description="Time on the card, text encoding to decoded picture")
    model_revision: str
    plan: dict[str, str | int | float | bool | None]
    notes: tuple[str, ...] = Field((), description="Sentences for the person: what was left out, why pixels may differ")


class ImageFile(Words):
    """What is to be known of an image before its bytes are fetched, and of the small copy of it."""

    filename: str
    mimetype: str
    size: int = Field(description="Bytes")
    width: int
    height: int
    blurhash: str
    thumbnail_width: int
    thumbnail_height: int
    thumbnail_size: int
    thumbnail_mimetype: str


class Picture(ImageFile):
    """A result. The bytes are at ``/v1/jobs/{id}/pictures/{n}``, with ``/thumbnail`` and ``/recipe`` beside them.

    Width and height are those of the bytes; the recipe's are smaller where the card enlarges.
    """

    n: int
    prompt: str
    recipe: Recipe
    facts: Facts


class Sheet(ImageFile):
    """A job's pictures on one. The bytes are at ``/v1/jobs/{id}/sheet/image``, with ``/thumbnail`` and ``/recipes``."""


class SentImage(Words):
    """A picture to draw from, as ``PUT /v1/images/{sha256}`` keeps it: its sides as it is looked at."""

    sha256: str
    width: int
    height: int


class Error(Words):
    """Why something was refused or failed. ``message`` is a sentence that may be shown to the person who typed."""

    code: str
    message: str
    field: str | None = None
    value: Any = None
    limit: Any = None
    choices: tuple[str, ...] | None = None


class ErrorAnswer(Words):
    error: Error


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobStatus(Words):
    """Where a job is. ``position`` counts from 1 while queued, ``eta_s`` is until its last picture, in seconds;
    ``waiting_for`` is a sentence when nothing moves."""

    id: str
    state: JobState
    position: int | None = None
    eta_s: float | None = None
    waiting_for: str | None = None
    pictures: tuple[Picture, ...] = ()
    error: Error | None = None


class StateEvent(Words):
    """The first line of every events stream."""

    event: Literal["state"] = "state"
    job: JobStatus


class PositionEvent(Words):
    event: Literal["position"] = "position"
    position: int
    eta_s: float | None = None
    waiting_for: str | None = None


class ProgressEvent(Words):
    event: Literal["progress"] = "progress"
    n: int = Field(description="Which picture of the job, from 0")
    step: int
    steps: int
    eta_s: float | None = None


class PreviewEvent(Words):
    event: Literal["preview"] = "preview"
    n: int = Field(description="Which picture of the job, from 0")
    image: str = Field(description="What it looks like so far: a small JPEG, as a data: URL")


class PictureEvent(Words):
    event: Literal["picture"] = "picture"
    picture: Picture


class EndEvent(Words):
    """The last line: ``done``, ``failed`` or ``cancelled``. A stream that ends without one was cut off."""

    event: Literal["done", "failed", "cancelled"]
    job: JobStatus


class HeartbeatEvent(Words):
    event: Literal["heartbeat"] = "heartbeat"


Event = Annotated[
    StateEvent | PositionEvent | ProgressEvent | PreviewEvent | PictureEvent | EndEvent | HeartbeatEvent,
    Field(discriminator="event"),
]


class ServiceState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    # Nothing is loaded, since nobody draws; the next job loads it.
    IDLE = "idle"
    PAUSED = "paused"
    DRAINING = "draining"


class Memory(Words):
    """The memory of what draws, a card's own or a machine's, and how much of it is in use by anybody, games too."""

    used_bytes: int
    total_bytes: int


class Health(Words):
    state: ServiceState
    device: str | None
    models: tuple[str, ...] = Field(description="Loaded now")
    memory: Memory | None = Field(None, description="As it was at the last step; null while nothing is loaded")
    queued: int
    running: int
    steps_per_second: float | None = Field(description="Measured over the last pictures")
    version: str


class Size(Words):
    width: int
    height: int


class CardDefaults(Words):
    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    tier: str
    negative_prompt: str


class CardLimits(Words):
    min_side: int
    max_side: int
    max_pixels: int
    max_side_from_image: int = Field(description="Of what is drawn from an image: that gives the composition")
    max_pixels_from_image: int
    side_multiple: int
    max_steps: int
    min_guidance_scale: float
    max_guidance_scale: float = Field(description="0: the model draws without guidance, and takes no negative prompt")
    max_tokens: int = Field(description="Tokens of the prompt that reach the model; the rest is left out, with a note")


class CardDraft(Words):
    """What holds for the tier draft in place of the defaults and limits."""

    steps: int
    guidance_scale: float
    max_guidance_scale: float
    sampler: str
    lora: str | None = Field(description="Where the LoRA comes from that a draft is drawn with; null: with none")


class ModelCard(Words):
    """What is told of a model. ``available`` is false while its weights are not on this machine."""

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


class RequestLimits(Words):
    max_recipes_per_job: int = limits.MAX_RECIPES_PER_JOB
    max_prompt_chars: int = limits.MAX_PROMPT_CHARS
    max_nesting: int = limits.MAX_NESTING
    min_weight: float = limits.MIN_WEIGHT
    max_weight: float = limits.MAX_WEIGHT
    max_seed: int = limits.MAX_SEED
    max_theme_chars: int = limits.MAX_THEME_CHARS
    max_queued_jobs: int


class Capabilities(Words):
    version: str
    default_model: str
    models: tuple[ModelCard, ...]
    samplers: tuple[str, ...]
    tiers: tuple[str, ...]
    limits: RequestLimits
