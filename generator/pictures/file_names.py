"""Make names on disk from words that people typed. Pure: any text gives one plain name."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

# Common file systems allow 255 bytes for a name, and a picture's name has more parts than its words.
MAX_WORDS_BYTES = 100

# Names that Windows keeps for devices: the folder may be shared with one.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def words_name(words: str) -> str:
    """Keep letters, digits and marks of any script, in lower case, joined by underscores; ``other`` if empty."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold())
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" else "_" for char in text)
    name = re.sub("_+", "_", kept).encode()[:MAX_WORDS_BYTES].decode(errors="ignore").strip("_")
    return f"{name}_" if name in _RESERVED else name or "other"


@dataclass(frozen=True)
class PictureName:
    """The parts of ``<date>-<time>-<slug>-<seed>-<job>-<n>``; only the job may contain hyphens."""

    drawn: datetime
    prompt: str
    seed: int
    job: str
    n: int

    def __str__(self) -> str:
        return f"{self.drawn:%Y%m%d-%H%M%S}-{words_name(self.prompt)}-{self.seed}-{self.job}-{self.n}"


def job_and_n(stem: str) -> tuple[str, int] | None:
    """Parse a file's name without its suffix into job and n; None if it is not a picture's name."""
    match = re.fullmatch(r"\d{8}-\d{6}-[^-]+-\d+-([A-Za-z0-9_-]+)-(\d+)", stem)
    return (match[1], int(match[2])) if match else None
