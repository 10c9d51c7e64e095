"""The last settings that were right."""

import json
from collections.abc import Mapping
from typing import Any

from .tables import Tables


class SettingsTable(Tables):
    """The table ``settings``."""

    async def keep_settings(self, written: Mapping[str, Any]) -> None:
        """Keep settings as they are written, for when an edit is wrong."""
        await self._database.execute(
            "INSERT INTO settings (id, written) VALUES (1, $1) "
            "ON CONFLICT (id) DO UPDATE SET written = excluded.written",
            json.dumps(written),
        )

    async def kept_settings(self) -> dict[str, Any] | None:
        written = await self._database.fetchval("SELECT written FROM settings WHERE id = 1")
        return json.loads(written) if written else None
