"""Which settings are in force: those as edited if they are right, else the last that were, over restarts too.

Where there are none, the bot serves its admins and nobody else: a mistake never opens what the settings close.
"""

from logging import Logger
from typing import Any

from .generator.client import Server
from .jobs.store import Store
from .settings import Config, InvalidSettings, Settings

STAY = "The last good settings stay in force"
FOR_ADMINS = "Until that is corrected, only admins may use me"


class SettingsInForce:
    """The settings in force when called. ``problem`` says why those as edited are not, else ""."""

    current: Settings
    server: Server

    def __init__(self, config: Config, store: Store, log: Logger) -> None:
        self._config, self._store, self._log = config, store, log
        self._are_good = False
        self.problem = ""

    def __call__(self) -> Settings:
        return self.current

    async def take(self) -> bool:
        """Take the settings as edited; return whether they are right."""
        try:
            written = self._config.written()
            self._use(written)
        except InvalidSettings as error:
            await self._fall_back()
            self.problem = f"{error}. {STAY if self._are_good else FOR_ADMINS}"
            self._log.error(self.problem)
            return False
        self._are_good, self.problem = True, ""
        await self._store.keep_settings(written)
        return True

    async def _fall_back(self) -> None:
        if self._are_good:
            return
        try:
            if kept := await self._store.kept_settings():
                self._use(self._config.completed(kept))
                self._are_good = True
                return
        except InvalidSettings as error:
            # Another version kept them, or the machine has changed.
            self._log.error(f"The last good settings: {error}")
        self._use(self._config.for_admins())

    def _use(self, written: dict[str, Any]) -> None:
        settings = Settings.read(written)
        self.server = Server.of(settings)
        self.current = settings
