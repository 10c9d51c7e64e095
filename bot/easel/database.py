"""All SQL of the plugin. Full statements that run on SQLite and PostgreSQL alike."""

from mautrix.util.async_db import Connection, Database, UpgradeTable

upgrade_table = UpgradeTable()


async def upgrade_v1(connection: Connection) -> None:
    await connection.execute("CREATE TABLE capabilities (id INTEGER PRIMARY KEY, answer TEXT NOT NULL)")


upgrade_table.register(upgrade_v1, description="What the generator last said it can do")


class Store:
    """One method per question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_capabilities(self, answer: str) -> None:
        """Remember the generator's answer, JSON as it came, for when the generator is off."""
        await self._database.execute(
            "INSERT INTO capabilities (id, answer) VALUES (1, $1) "
            "ON CONFLICT (id) DO UPDATE SET answer = excluded.answer",
            answer,
        )

    async def last_capabilities(self) -> str | None:
        """The last answer that was kept."""
        answer: str | None = await self._database.fetchval("SELECT answer FROM capabilities WHERE id = 1")
        return answer
