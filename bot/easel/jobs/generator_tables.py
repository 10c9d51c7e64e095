"""The generator's last capabilities, and the jobs whose files it has yet to forget."""

import json

from mautrix.util.async_db import Database

from ..generator.types import Capabilities, NotTheContract, read
from .tables import Tables


class GeneratorTables(Tables):
    """The tables ``capabilities`` and ``to_forget``."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._answer: str | None = None
        self._capabilities: Capabilities | None = None

    async def keep_capabilities(self, answer: str) -> None:
        """Keep the generator's answer, JSON as received, for when the generator is off."""
        if answer == self._answer:
            return
        await self._database.execute(
            "INSERT INTO capabilities (id, answer) VALUES (1, $1) "
            "ON CONFLICT (id) DO UPDATE SET answer = excluded.answer",
            answer,
        )
        self._answer, self._capabilities = answer, _read(answer)

    async def capabilities(self) -> Capabilities | None:
        """The generator's last capabilities; None before its first answer, or if another version kept the answer."""
        if self._answer is None:
            self._answer = await self._database.fetchval("SELECT answer FROM capabilities WHERE id = 1")
            self._capabilities = _read(self._answer)
        return self._capabilities

    async def to_forget(self, job_id: str) -> None:
        """Note a job whose files the generator is to forget as soon as it answers."""
        await self._database.execute("INSERT INTO to_forget (job) VALUES ($1) ON CONFLICT (job) DO NOTHING", job_id)

    async def forgotten(self, job_id: str) -> None:
        await self._database.execute("DELETE FROM to_forget WHERE job = $1", job_id)

    async def all_to_forget(self) -> list[str]:
        return [row["job"] for row in await self._database.fetch("SELECT job FROM to_forget")]


def _read(answer: str | None) -> Capabilities | None:
    try:
        return read(Capabilities, json.loads(answer)) if answer else None
    except (NotTheContract, ValueError):
        return None
