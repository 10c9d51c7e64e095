"""Save and load training state in one file, written whole or not at all. Knows no networks."""

from pathlib import Path
from typing import Any

import torch


def save(state: dict[str, Any], file: Path) -> None:
    unfinished = file.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(file)


def load(file: Path) -> dict[str, Any] | None:
    """Load a saved state; None if there is no file. Reads only tensors and plain values."""
    return torch.load(file, map_location="cpu", weights_only=True) if file.exists() else None
