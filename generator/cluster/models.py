"""Who has which model: this machine, the machines that are there, and those that are away. Knows no Ray."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from generator.api.capabilities import Capabilities

log = logging.getLogger(__name__)

# Weights that were fetched meanwhile can wait for a moment.
LOOK_EVERY_S = 10.0


def with_weights(here: Capabilities) -> frozenset[str]:
    """The names of the models whose weights are there."""
    return frozenset(card.name for card in here.models if card.available)


class Models:
    """The models of every machine, by its name. What machines had is kept in a file, for the time after a restart."""

    def __init__(self, file: Path, here: Callable[[], Capabilities]) -> None:
        """``here`` says what this machine has. Blocks."""
        self._file, self._look = file, here
        self._here: frozenset[str] = frozenset()
        self._there: dict[str, frozenset[str]] = {}
        self._remembered = self._read()

    def look_here(self) -> bool:
        """Look for weights on this machine. Blocks. Returns whether there are others than before."""
        before = self._here
        self._here = with_weights(self._look())
        return self._here != before

    def draws_here(self, model: str) -> bool:
        """Whether this machine draws it. It also takes what no machine ever had, and says why that cannot be drawn."""
        return model in self._here or not any(model in models for models in self._remembered.values())

    def draws(self, machine: str, model: str) -> bool:
        return model in self._there.get(machine, ())

    def elsewhere(self) -> frozenset[str]:
        """The models of all machines that are there, but for this one."""
        return frozenset().union(*self._there.values())

    def learn(self, machine: str, models: frozenset[str]) -> None:
        self._there[machine] = models
        if self._remembered.get(machine) != models:
            self._remembered[machine] = models
            self._write()

    def left(self, machine: str) -> None:
        self._there.pop(machine, None)

    def _read(self) -> dict[str, frozenset[str]]:
        try:
            return {name: frozenset(models) for name, models in json.loads(self._file.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("%s cannot be read: %s", self._file, error)
            return {}

    def _write(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps({name: sorted(models) for name, models in self._remembered.items()}), "utf-8")
            new.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error)
