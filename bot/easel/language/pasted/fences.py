"""Fences around a pasted text, ``` and ~~~: what stands in them and around them. Knows nothing of the inside."""

import re
from dataclasses import dataclass

_OPENING = re.compile(r"(?P<fence>```|~~~)(?:[ \t]*+(?P<language>\w*+)[ \t]*+\n)?")
_CLOSING = {fence: re.compile(rf"^{fence}", re.MULTILINE) for fence in ("```", "~~~")}


@dataclass(frozen=True)
class Fenced:
    """A text cut at its fence. ``language`` is what the fence calls the inside, in lower case."""

    before: str
    inside: str
    after: str
    language: str

    @property
    def around(self) -> str:
        return f"{self.before}\n{self.after}"

    @property
    def without_fence(self) -> str:
        return f"{self.before}\n{self.inside}\n{self.after}".strip()


def fenced(text: str) -> Fenced | None:
    """Cut a text at its first fence, which closes on a line of its own, else at the last such marks; None without."""
    fence = _OPENING.search(text)
    if fence is None:
        return None
    closing = _CLOSING[fence["fence"]].search(text, fence.end())
    end = closing.start() if closing else text.rfind(fence["fence"], fence.end())
    if end < 0:
        end = len(text)
    return Fenced(
        text[: fence.start()], text[fence.end() : end].strip(), text[end + 3 :], (fence["language"] or "").lower()
    )
