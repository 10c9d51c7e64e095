"""The generator's own errors. Each carries an ``Error`` whose message may be shown to the person who typed."""

from typing import Any

from generator.api.types import Error

# For what the code did not foresee; the traceback is in the log.
BUG = Error(code="internal", message="Something went wrong in the generator itself; its log has the details.")


class GeneratorError(Exception):
    """Base: something was refused or failed, for a reason that can be said in a sentence."""

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
    """A request that this generator will not draw; nothing was started."""


class DrawingFailed(GeneratorError):
    """A drawing that was started and gave no picture. The next one may work."""


class CardBusy(DrawingFailed):
    """Another program holds the memory that the drawing needs: it must wait."""

    CODE = "card_busy"

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)


class WeightsMissing(DrawingFailed):
    """The model's weights are not on this machine."""


class WeightsBroken(DrawingFailed):
    """The model's files are here and are not its weights."""

    def __init__(self, model: str) -> None:
        message = f"The weights of {model} on the drawing machine are broken; its log says where."
        super().__init__("weights_broken", message)


class FetchFailed(GeneratorError):
    """Weights could not be downloaded; what came so far is kept and the next try goes on from there."""


# CUDA's libraries and Triton have no error of their own for it. cuDNN says the last when no algorithm has room.
_OUT_OF_MEMORY = ("out of memory", "_ALLOC_FAILED", "_ALLOCATION_FAILED", "unable to find an engine to execute")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a drawing failed for lack of memory. torch's error is known by name: it is not imported everywhere."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
