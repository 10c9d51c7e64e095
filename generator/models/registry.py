"""What this generator can draw: its cards, its settings and the weights on this machine together. No torch."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from generator import __version__
from generator.api.capabilities import Capabilities, RequestLimits
from generator.models.cards import SAMPLERS, TIERS, CardSettings, built_in_cards, model_card
from generator.models.weights import is_here
from generator.settings import Settings

# Looking takes milliseconds for each model; weights that were fetched meanwhile can wait for a moment.
KEPT_S = 10.0

_LARGE_MODEL = "ssd-1b"
_SMALL_MODEL = "pocket"


def all_cards(settings: Settings) -> dict[str, CardSettings]:
    """Return the built-in cards and the user's own, by name; a user's card replaces a built-in one of the same name."""
    return {**built_in_cards(), **settings.models}


def default_model(settings: Settings, elsewhere: Collection[str] = ()) -> str:
    """Return the model for a request that names no model.

    ``auto`` is SSD-1B where its weights are, here or ``elsewhere``, else pocket.
    """
    if settings.default_model != "auto":
        return settings.default_model
    return _LARGE_MODEL if _LARGE_MODEL in elsewhere or is_here(all_cards(settings)[_LARGE_MODEL]) else _SMALL_MODEL


def larger_model(settings: Settings) -> str | None:
    """Return the model that could draw by default on this machine's card and is not fetched yet; None if there is none.

    Pocket draws meanwhile.
    """
    if settings.default_model != "auto" or not has_card(settings) or is_here(all_cards(settings)[_LARGE_MODEL]):
        return None
    return _LARGE_MODEL


def has_card(settings: Settings) -> bool:
    """Whether there is an NVIDIA card that the settings allow. The doctor checks whether torch can use it."""
    return settings.device != "cpu" and Path("/proc/driver/nvidia/version").exists()


def capabilities(settings: Settings, elsewhere: Collection[str] = ()) -> Capabilities:
    """Answer ``GET /v1/capabilities``. Other machines have the models that are ``elsewhere``."""
    return Capabilities(
        version=__version__,
        default_model=default_model(settings, elsewhere),
        models=tuple(
            model_card(name, card, available=name in elsewhere or is_here(card))
            for name, card in all_cards(settings).items()
        ),
        samplers=SAMPLERS,
        tiers=TIERS,
        limits=RequestLimits(max_queued_jobs=settings.max_queued_jobs),
    )


class KeptCapabilities:
    """The capabilities, looked up again when they are older than ``KEPT_S``."""

    def __init__(
        self,
        settings: Settings,
        *,
        elsewhere: Callable[[], Collection[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``elsewhere`` are the models that other machines have."""
        self._settings, self._elsewhere, self._clock = settings, elsewhere, clock
        self._kept: tuple[float, Capabilities] | None = None

    def __call__(self) -> Capabilities:
        now = self._clock()
        if self._kept is None or now - self._kept[0] >= KEPT_S:
            self._kept = now, capabilities(self._settings, self._elsewhere())
        return self._kept[1]
