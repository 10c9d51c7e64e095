"""What a recogniser finds: one request, and the text around it that may change it."""

from dataclasses import dataclass

from ..request import DrawRequest


@dataclass(frozen=True)
class Pasted:
    """A request that was pasted, and the text around it: flags and slots, which change it, and plain words.

    ``takes_words``: the plain words belong to the prompt. Else they are about the recipe, and not used.
    """

    request: DrawRequest
    around: str = ""
    takes_words: bool = False
