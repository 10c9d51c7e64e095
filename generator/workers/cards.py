"""The cards that draw, each for a worker of its own, which sees no other card. Knows neither torch nor processes."""

import gc
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from generator.models.registry import has_card
from generator.settings import InvalidSettings, Settings
from generator.workers.messages import Engine, EngineFactory

# nvidia-smi takes a second where the driver has to be loaded first.
_NVIDIA_SMI_TIMEOUT_S = 30


@dataclass(frozen=True)
class Card:
    """What one worker draws on: its name, the setting ``device`` there, and its process's own environment."""

    name: str
    device: str
    environment: Mapping[str, str] = field(default_factory=dict)


def cards_of(settings: Settings) -> tuple[Card, ...]:
    """Return what to draw on, as the settings have it. Raises InvalidSettings."""
    if settings.cards is None:
        is_cpu = settings.device == "cpu" or (settings.device == "auto" and not has_card(settings))
        number = settings.device.partition(":")[2] or "0"
        return (Card("cpu" if is_cpu else f"cuda:{number}", settings.device),)
    if settings.cards != "all":
        chosen: tuple[int | str, ...] = settings.cards
    elif has_card(settings):
        chosen = tuple(range(_count()))
    else:
        chosen = ("cpu",)
    processors = chosen.count("cpu")
    seats = iter(range(processors))
    return tuple(_processor(next(seats), processors) if card == "cpu" else _nvidia(int(card)) for card in chosen)


def engine_on(card: Card, settings: Settings) -> EngineFactory:
    """Return what makes the engine of this card. Call it in the worker's process, which alone imports torch."""
    return partial(_make_engine, settings.model_copy(update={"device": card.device}))


def _make_engine(settings: Settings) -> Engine:
    # What imports make stays. To look for garbage in it takes a sixth of their time, and some of the later steps'.
    gc.disable()
    from generator.engine.diffusion import make_engine

    gc.freeze()
    gc.enable()
    return make_engine(settings)


def _nvidia(number: int) -> Card:
    """The card with this number in nvidia-smi's list. In its own process it is the only one."""
    return Card(f"cuda:{number}", "cuda", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(number)})


def _processor(number: int, of: int) -> Card:
    """One of several workers on the processor, with its share of the cores; alone it has all of them."""
    if of == 1:
        return Card("cpu", "cpu")
    share = max(1, len(os.sched_getaffinity(0)) // of)
    return Card(f"cpu:{number}", "cpu", {"OMP_NUM_THREADS": str(share)})


def _count() -> int:
    """Count the NVIDIA cards. Raises InvalidSettings with nvidia-smi's own words."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"],  # noqa: S607 - where it is depends on the distribution
            capture_output=True,
            text=True,
            check=True,
            timeout=_NVIDIA_SMI_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "stdout", None) or str(error)
        raise InvalidSettings(f"cards: all needs nvidia-smi to list the cards, and it says: {words.strip()}") from error
    return len(listed.stdout.splitlines())
