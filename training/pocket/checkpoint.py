"""Training state in one file, written whole or not at all."""

from pathlib import Path
from typing import Any

import torch


def save(state: dict[str, Any], file: Path) -> None:
    unfinished = file.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(file)


def load(file: Path) -> dict[str, Any] | None:
    """The state that was saved, or None where nothing was. Only tensors and plain values are read."""
    return torch.load(file, map_location="cpu", weights_only=True) if file.exists() else None
