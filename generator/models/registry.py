"""What this generator can draw, from its cards, its settings and the weights on this machine. Never imports torch."""

import time
from collections.abc import Callable
from pathlib import Path

from generator import __version__
from generator.api.types import Capabilities, RequestLimits
from generator.models.cards import SAMPLERS, TIERS, CardSettings, built_in_cards, model_card
from generator.models.weights import is_here
from generator.settings import Settings

# Looking takes milliseconds for each model; weights that were fetched meanwhile can wait for a moment.
KEPT_S = 10.0

_LARGE_MODEL = "ssd-1b"
_SMALL_MODEL = "pocket"


def all_cards(settings: Settings) -> dict[str, CardSettings]:
    """The built-in cards and the user's own, which may replace a built-in one."""
    return {**built_in_cards(), **settings.models}


def default_model(settings: Settings) -> str:
    """The model of a request that names none.

    ``auto`` is SSD-1B wherever it could run: where there is a card, or its weights were fetched. A machine with neither
    draws with pocket; one with a card and no weights says what to fetch rather than draw less than it could.
    """
    if settings.default_model != "auto":
        return settings.default_model
    can_run = has_card(settings) or is_here(all_cards(settings)[_LARGE_MODEL])
    return _LARGE_MODEL if can_run else _SMALL_MODEL


def has_card(settings: Settings) -> bool:
    """Whether there is an NVIDIA card that the settings allow; whether torch can use it is the doctor's question."""
    return settings.device != "cpu" and Path("/proc/driver/nvidia/version").exists()


def capabilities(settings: Settings) -> Capabilities:
    """The answer to ``GET /v1/capabilities``."""
    return Capabilities(
        version=__version__,
        default_model=default_model(settings),
        models=tuple(model_card(name, card, available=is_here(card)) for name, card in all_cards(settings).items()),
        samplers=SAMPLERS,
        tiers=TIERS,
        limits=RequestLimits(max_queued_jobs=settings.max_queued_jobs),
    )


class KeptCapabilities:
    """The capabilities, looked up again when they are older than ``KEPT_S``."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._kept: tuple[float, Capabilities] | None = None

    def __call__(self) -> Capabilities:
        now = self._clock()
        if self._kept is None or now - self._kept[0] >= KEPT_S:
            self._kept = now, capabilities(self._settings)
        return self._kept[1]
