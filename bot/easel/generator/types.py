"""What the bot reads of the generator's answers, as frozen types. Checks shapes only; the generator validates.

Names and meanings are as in the generator's ``/openapi.json``; fields that the bot does not use are left out.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..language import same_name

T = TypeVar("T")

# JSON holds whole numbers exactly up to here; so do the columns of the database.
MAX_WHOLE_NUMBER = 2**53 - 1

_SUFFIXES = {"image/jpeg": "jpg", "image/webp": "webp"}


class NotTheContract(Exception):
    """An answer does not match the contract. ``str()`` names the place, for the log."""


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True)
class CardDefaults:
    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    tier: str
    negative_prompt: str


@dataclass(frozen=True)
class CardLimits:
    min_side: int
    max_side: int
    max_pixels: int
    side_multiple: int
    max_steps: int
    max_guidance_scale: float
    # Limits for drawing from an image; earlier generators do not send them.
    max_side_from_image: int = 0
    max_pixels_from_image: int = 0


@dataclass(frozen=True)
class CardDraft:
    steps: int
    guidance_scale: float


@dataclass(frozen=True)
class ModelCard:
    name: str
    licence: str
    about: str
    available: bool
    sizes: Mapping[str, Size]
    defaults: CardDefaults
    limits: CardLimits
    draft: CardDraft

    @property
    def takes_guidance(self) -> bool:
        """Without guidance a negative prompt changes nothing, and the generator refuses both."""
        return self.limits.max_guidance_scale > 0

    def usual(self, tier: str | None) -> CardDraft | CardDefaults:
        """The steps and guidance of a picture that asks for none, in that tier or the model's own."""
        return self.draft if (tier or self.defaults.tier) == "draft" else self.defaults


@dataclass(frozen=True)
class RequestLimits:
    max_recipes_per_job: int
    max_seed: int
    min_weight: float
    max_weight: float
    max_prompt_chars: int
    max_weakened: int
    # Earlier generators have the same limit without sending it.
    max_nesting: int = 8


@dataclass(frozen=True)
class Capabilities:
    version: str
    default_model: str
    models: tuple[ModelCard, ...]
    samplers: tuple[str, ...]
    tiers: tuple[str, ...]
    limits: RequestLimits

    def card(self, name: str | None) -> ModelCard | None:
        """The model of that name in any spelling, or the default one; None if there is no such model."""
        known = same_name(name or self.default_model, (card.name for card in self.models))
        return next((card for card in self.models if card.name == known), None)


@dataclass(frozen=True)
class Memory:
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class WorkerHealth:
    """One card of the drawing computer."""

    name: str
    state: str
    device: str | None
    models: tuple[str, ...]
    memory: Memory | None = None
    steps_per_second: float | None = None
    jobs: tuple[str, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True)
class Health:
    state: str
    device: str | None
    models: tuple[str, ...]
    queued: int
    running: int
    steps_per_second: float | None
    version: str
    memory: Memory | None = None
    workers: tuple[WorkerHealth, ...] = ()


@dataclass(frozen=True)
class PromptSlots:
    style: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    model: str
    seed: int
    width: int
    height: int
    steps: int
    guidance_scale: float
    tier: str
    strength: float | None = None
    theme: str = ""
    slots: PromptSlots = PromptSlots()


@dataclass(frozen=True)
class Facts:
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageFile:
    """An image that can be fetched, and the small copy of it."""

    filename: str
    mimetype: str
    size: int
    width: int
    height: int
    blurhash: str
    thumbnail_width: int
    thumbnail_height: int
    thumbnail_size: int
    thumbnail_mimetype: str


@dataclass(frozen=True)
class ImageData:
    """The bytes of an image; ``size`` and ``mimetype`` only of a copy that was made to fit."""

    data: bytes
    size: tuple[int, int] | None = None
    mimetype: str = ""

    def described(self, file: ImageFile) -> ImageFile:
        """The file as these bytes have it."""
        if self.size is None:
            return replace(file, size=len(self.data))
        width, height = self.size
        name = f"{file.filename.rpartition('.')[0]}.{_SUFFIXES.get(self.mimetype, 'jpg')}"
        return replace(file, filename=name, mimetype=self.mimetype, size=len(self.data), width=width, height=height)


@dataclass(frozen=True)
class Picture(ImageFile):
    n: int
    prompt: str
    recipe: Recipe
    facts: Facts


@dataclass(frozen=True)
class Sheet(ImageFile):
    """All pictures of a job on one image."""


class ErrorCode(StrEnum):
    """The codes that the bot acts on; of all others it passes on the sentence."""

    IMAGE_MISSING = "image_missing"


@dataclass(frozen=True)
class Error:
    code: str
    message: str


class GeneratorJobState(StrEnum):
    """Where a job is on the generator. The bot's own jobs have a state of their own."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (self.DONE, self.FAILED, self.CANCELLED)


@dataclass(frozen=True)
class JobStatus:
    """Everything that is known of a job: in a ``state`` event, in the answer to a submission, and in the last event."""

    state: GeneratorJobState
    pictures: tuple[Picture, ...] = ()
    position: int | None = None
    eta_s: float | None = None
    waiting_for: str | None = None
    error: Error | None = None


@dataclass(frozen=True)
class Position:
    position: int
    eta_s: float | None = None
    waiting_for: str | None = None


@dataclass(frozen=True)
class Progress:
    """``step`` of ``steps`` of picture ``n`` is done; ``eta_s`` is the time until the job's last picture."""

    n: int
    step: int
    steps: int
    eta_s: float | None = None


JobEvent = JobStatus | Position | Progress | Picture


def read_event(line: Any) -> JobEvent | None:
    """One line of an events stream; None for what the bot does not use. Raises NotTheContract."""
    match line:
        case {"event": "state" | "done" | "failed" | "cancelled", "job": job}:
            return read(JobStatus, job)
        case {"event": "position"}:
            return read(Position, line)
        case {"event": "progress"}:
            return read(Progress, line)
        case {"event": "picture", "picture": picture}:
            return read(Picture, picture)
        case {"event": str()}:
            return None
    raise NotTheContract("an event without a name")


def read(kind: type[T], data: Any) -> T:
    """Read parsed JSON as ``kind``; unknown keys are ignored. Raises NotTheContract."""
    value: T = _read(kind, data, kind.__name__)
    return value


def _read(kind: Any, data: Any, place: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(data, dict):
            raise NotTheContract(f"{place} is not an object")
        hints = get_type_hints(kind)
        values = {}
        for field in fields(kind):
            if field.name in data:
                values[field.name] = _read(hints[field.name], data[field.name], f"{place}.{field.name}")
            elif field.default is MISSING:
                raise NotTheContract(f"{place}.{field.name} is missing")
        return kind(**values)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if data not in list(kind):
            raise NotTheContract(f"{place} must be one of {', '.join(kind)}")
        return kind(data)
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if data is None and NoneType in args else _read(args[0], data, place)
    if origin is tuple and isinstance(data, list):
        return tuple(_read(args[0], item, place) for item in data)
    if origin is Mapping and isinstance(data, dict):
        return {key: _read(args[1], item, f"{place}.{key}") for key, item in data.items()}
    if kind is int and isinstance(data, int) and abs(data) > MAX_WHOLE_NUMBER:
        raise NotTheContract(f"{place} is too large")
    # JSON may write 12.0 as 12.
    if origin is None and isinstance(data, (int, float) if kind is float else kind):
        return data
    raise NotTheContract(f"{place} is {type(data).__name__}")
