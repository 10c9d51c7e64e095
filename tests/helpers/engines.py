"""The engine with models of a test, in the test's process."""

from collections.abc import Mapping
from typing import Any

from generator.engine.diffusion import DiffusionEngine
from generator.settings import Settings


def engine_of(models: Mapping[str, Any]) -> DiffusionEngine:
    """An engine on the processor.

    It does not measure how many drawings are fastest together, which takes longer than most tests.
    """
    return DiffusionEngine(Settings(device="cpu", models=dict(models), max_at_once=1))
