"""Which command a message is. Knows the two command words, not what follows them."""

import re
from dataclasses import dataclass

from .phones import as_seen

_COMMAND = re.compile(r"\s*!(draw|easel)[.,:]?(?=\s|$)(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class DrawCommand:
    """``!draw``. ``text`` is the visible text behind it; a bare ``!draw`` has "" and asks for help."""

    text: str


@dataclass(frozen=True)
class EaselCommand:
    """``!easel``. ``words`` are the words behind it, the first in lower case; a bare ``!easel`` has ``("help",)``."""

    words: tuple[str, ...]


Command = DrawCommand | EaselCommand


def read_command(body: str) -> Command | None:
    """The command that a message is, or None.

    Phones capitalise first words, turn two spaces into ". " and end lines at will, so ``!Draw. ``, white space
    before the command, and a newline right behind it are all fine; ``!drawing`` is another bot's.
    """
    match = _COMMAND.match(as_seen(body))
    if not match:
        return None
    if match[1].lower() == "draw":
        return DrawCommand(match[2].strip())
    first, *others = match[2].split() or ["help"]
    return EaselCommand((first.lower(), *others))
