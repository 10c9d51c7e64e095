"""The generator's own errors. Each carries an ``Error`` whose message may be shown to the person who typed."""

from typing import Any, ClassVar

from generator.api.types import Error

# The error of a bug, whose traceback is in the log.
BUG = Error(code="internal", message="Something went wrong on the drawing computer. Its log says more.")


# A picture needs more memory than the card has; its limit is the card's memory in bytes.
DOES_NOT_FIT = "does_not_fit"
# The engine met a bug, or a card that answers wrongly.
ENGINE_ERROR = "engine_error"

# The worker's process ended in the middle of a picture. The log says how.
DIED = Error(code="worker_died", message="Drawing broke off in the middle of this picture. Please ask again.")


class GeneratorError(Exception):
    """Base class: something was refused or failed, for a reason that fits into a sentence."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: Any = None,
        limit: Any = None,
        choices: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(message)
        self.error = Error(code=code, message=message, field=field, value=value, limit=limit, choices=choices)


class Refused(GeneratorError):
    """This generator will not draw the request; nothing was started."""


class DrawingFailed(GeneratorError):
    """A drawing was started and gave no picture. The next one may work.

    Where ``SHOWN`` is a sentence, people in a room read it, and the message is for the log.
    """

    SHOWN: ClassVar[str] = ""

    @property
    def shown(self) -> Error:
        """The error as people in a room read it."""
        return self.error.model_copy(update={"message": self.SHOWN}) if self.SHOWN else self.error


class CardBusy(DrawingFailed):
    """Another program holds the memory that the drawing needs, so the drawing must wait."""

    CODE = "card_busy"
    SHOWN = "The drawing computer's card is full right now. I'll draw when there's room."

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)


class CardLost(CardBusy):
    """The card cannot be used for now, as after a suspend or an update of its driver."""

    CODE = "card_lost"
    SHOWN = "The drawing computer can't reach its card right now. I'll draw when it can."


class CardUnusable(DrawingFailed):
    """The card cannot be used until somebody mends what the message says."""

    CODE = "unusable_card"
    SHOWN = "The drawing computer can't use its card. Tell whoever runs me: its log says what to do."

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)


class WeightsMissing(DrawingFailed):
    """The model's weights are not on this machine."""

    CODE = "weights_missing"
    SHOWN = "The drawing computer doesn't have that model yet. Ask whoever runs me."

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)


def as_exception(error: Error) -> DrawingFailed:
    """Return the exception that another process reported as ``error``."""
    kinds: tuple[type[CardBusy] | type[CardUnusable] | type[WeightsMissing], ...]
    kinds = (CardBusy, CardLost, CardUnusable, WeightsMissing)
    for kind in kinds:
        if error.code == kind.CODE:
            return kind(error.message)
    return DrawingFailed(**error.model_dump())


class WeightsBroken(DrawingFailed):
    """The model's files are on this machine, but cannot be loaded as its weights."""

    def __init__(self, model: str) -> None:
        message = f"The weights of {model} on the drawing computer are broken; its log says where."
        super().__init__("weights_broken", message)


class WeightsIncomplete(DrawingFailed):
    """The model's one file lacks a part, and its card may name another file that has it."""

    def __init__(self, model: str, part: str, *, key: str) -> None:
        message = (
            f"The file of {model} has no {part}. Name one that has it in the model's card: {key}: FILE.safetensors"
        )
        super().__init__("weights_incomplete", message)


class FetchFailed(GeneratorError):
    """Weights could not be downloaded; what has arrived is kept, and the next try resumes there."""


# CUDA's libraries and Triton have no error class for it. The last is cuDNN's, when no algorithm has room.
_OUT_OF_MEMORY = ("out of memory", "_ALLOC_FAILED", "_ALLOCATION_FAILED", "unable to find an engine to execute")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a drawing ran out of memory. Recognises torch's error by name: not every process imports torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
