"""The types that cross the socket: requests, answers, events and errors of the HTTP API.

The server validates with these types and makes ``/openapi.json`` from them. Knows neither aiohttp, nor the queue, nor
how a picture is drawn.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from generator.api import limits

SLOTS = ("subject", "outfit", "environment", "emotions", "style")

JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=limits.MAX_ID_CHARS)]
ShortText = Annotated[str, StringConstraints(max_length=limits.MAX_FACT_CHARS)]
MaxBytes = Annotated[int, Field(ge=limits.MIN_FITTING_BYTES)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=limits.MAX_PROMPT_CHARS)]


class ApiModel(BaseModel):
    """Base class of everything that crosses the socket. Refuses unknown fields; instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Slots(ApiModel):
    """A structured prompt: a list of terms for each slot, compel weights included."""

    subject: tuple[Term, ...] = ()
    outfit: tuple[Term, ...] = ()
    environment: tuple[Term, ...] = ()
    emotions: tuple[Term, ...] = ()
    style: tuple[Term, ...] = ()

    def joined(self) -> str:
        """The flat prompt: all terms, in the order of the slots."""
        return ", ".join(term for slot in SLOTS for term in getattr(self, slot))


class EarlierFacts(BaseModel):
    """What a recipe file records of its first drawing. Compared with this machine's plan, never obeyed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model_revision: ShortText | None = None
    plan: dict[ShortText, ShortText | int | float | bool | None] | None = Field(None, max_length=40)


class RecipeRequest(ApiModel):
    """One picture to draw. Only ``slots`` is required; the model's card fills in the rest."""

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
    image: Sha256 | None = Field(None, description="The SHA-256 of an uploaded image to draw from")
    strength: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="How much of the image is drawn anew; only with an image"
    )
    facts: EarlierFacts | None = None


Heading = Annotated[str, Field(max_length=limits.MAX_HEADING_CHARS)]
Headings = Annotated[tuple[Heading, ...], Field(max_length=limits.MAX_RECIPES_PER_JOB)]


class SheetRequest(ApiModel):
    """The headings of a contact sheet; the job's pictures fill it row by row.

    Without ``rows``, ``columns`` has a heading for each picture. ``notes`` are lines below the pictures.
    """

    columns: Headings = Field(min_length=1)
    rows: Headings = ()
    notes: Headings = ()

    @property
    def pictures(self) -> int:
        return len(self.columns) * max(1, len(self.rows))


class JobRequest(ApiModel):
    """The body of ``PUT /v1/jobs/{id}``: the requester (opaque, for the fair queue) and what to draw, in order."""

    requester: str = Field(min_length=1, max_length=limits.MAX_REQUESTER_CHARS)
    recipes: tuple[RecipeRequest, ...] = Field(min_length=1, max_length=limits.MAX_RECIPES_PER_JOB)
    sheet: SheetRequest | None = None
    replaces: JobId | None = Field(
        None,
        description="A job of the same requester. While it is queued it is cancelled and this one takes its place; "
        "else it is left alone and this one joins the queue",
    )


class Recipe(ApiModel):
    """All that is needed to draw one picture again, with every field filled in."""

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
    # Image to image: the SHA-256 of the image's bytes, and how much of it is drawn anew; both or neither.
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
        """The number of steps that are drawn: an image skips the first ones, as in diffusers."""
        return self.steps if self.strength is None else min(int(self.steps * self.strength), self.steps)


class Facts(ApiModel):
    """How and when a picture was drawn. ``plan`` is what this machine chose: device, dtype, tiling, versions."""

    job: str
    drawn: str = Field(description="When, ISO 8601 with offset")
    seconds: float = Field(description="Time on the card, text encoding to decoded picture")
    model_revision: str
    plan: dict[str, str | int | float | bool | None]
    notes: tuple[str, ...] = Field((), description="Sentences for the person: what was left out, why pixels may differ")


class ImageFile(ApiModel):
    """An image and its thumbnail, described before their bytes are fetched."""

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
    """A drawn picture. The bytes are at ``/v1/jobs/{id}/pictures/{n}``, with ``/thumbnail`` and ``/recipe`` below it.

    Width and height describe the bytes; the recipe's are smaller for a model whose card enlarges pictures.
    """

    n: int
    prompt: str
    recipe: Recipe
    facts: Facts


class Sheet(ImageFile):
    """A job's contact sheet. The bytes are at ``/v1/jobs/{id}/sheet/image``, with ``/thumbnail`` and ``/recipes``."""


class SentImage(ApiModel):
    """An uploaded image, the answer to ``PUT /v1/images/{sha256}``: its sides as it is viewed, upright."""

    sha256: str
    width: int
    height: int


class Error(ApiModel):
    """Why something was refused or failed. ``message`` is a sentence that may be shown to the person who typed."""

    code: str
    message: str
    field: str | None = None
    value: Any = None
    limit: Any = None
    choices: tuple[str, ...] | None = None


class ErrorAnswer(ApiModel):
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


class JobStatus(ApiModel):
    """The state of a job. ``position`` counts from 1 while queued, ``eta_s`` is in seconds until the last picture.

    ``waiting_for`` is a sentence while nothing moves.
    """

    id: str
    state: JobState
    position: int | None = None
    eta_s: float | None = None
    waiting_for: str | None = None
    pictures: tuple[Picture, ...] = ()
    error: Error | None = None


class StateEvent(ApiModel):
    """The first line of every events stream."""

    event: Literal["state"] = "state"
    job: JobStatus


class PositionEvent(ApiModel):
    event: Literal["position"] = "position"
    position: int
    eta_s: float | None = None
    waiting_for: str | None = None


class ProgressEvent(ApiModel):
    event: Literal["progress"] = "progress"
    n: int = Field(description="Which picture of the job, from 0")
    step: int
    steps: int
    eta_s: float | None = None


class PreviewEvent(ApiModel):
    event: Literal["preview"] = "preview"
    n: int = Field(description="Which picture of the job, from 0")
    image: str = Field(description="What it looks like so far: a small JPEG, as a data: URL")


class PictureEvent(ApiModel):
    event: Literal["picture"] = "picture"
    picture: Picture


class EndEvent(ApiModel):
    """The last line: ``done``, ``failed`` or ``cancelled``. A stream that ends without one was cut off."""

    event: Literal["done", "failed", "cancelled"]
    job: JobStatus


class HeartbeatEvent(ApiModel):
    event: Literal["heartbeat"] = "heartbeat"


Event = Annotated[
    StateEvent | PositionEvent | ProgressEvent | PreviewEvent | PictureEvent | EndEvent | HeartbeatEvent,
    Field(discriminator="event"),
]


class ServiceState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    # No model is loaded, since nobody draws; the next job loads one.
    IDLE = "idle"
    PAUSED = "paused"
    DRAINING = "draining"


class Memory(ApiModel):
    """The memory of the device that draws, and how much of it all programs use, games included."""

    used_bytes: int
    total_bytes: int


class WorkerStatus(StrEnum):
    LOADING = "loading"
    READY = "ready"
    IDLE = "idle"
    PAUSED = "paused"
    # Another program holds the memory of its card.
    CARD_BUSY = "card_busy"
    # It has failed several times in a row, and is tried again later.
    RESTING = "resting"


class WorkerHealth(ApiModel):
    """One worker: the process that draws on one card."""

    name: str
    state: WorkerStatus
    waiting_for: str | None = Field(None, description="Why nothing moves here, in a sentence")
    trouble: str | None = Field(None, description="What went wrong last, until a picture is drawn")
    device: str | None
    models: tuple[str, ...] = Field(description="Loaded models")
    arrangement: str | None = None
    memory: Memory | None = None
    steps_per_second: float | None = None
    jobs: tuple[str, ...] = Field((), description="The ids of the jobs that it draws now")


class Health(ApiModel):
    state: ServiceState
    device: str | None
    models: tuple[str, ...] = Field(description="Loaded models")
    arrangement: str | None = Field(None, description="Where the parts of the model that drew last are, in words")
    memory: Memory | None = Field(None, description="Measured at the last step; null while no model is loaded")
    queued: int
    running: int
    steps_per_second: float | None = Field(description="Measured over the last pictures, of all workers together")
    version: str
    workers: tuple[WorkerHealth, ...] = Field(description="Each card's worker; the fields above sum them up")
