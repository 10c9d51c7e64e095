"""What the questions to every table share: the database. Statements are complete, for SQLite and PostgreSQL alike."""

from mautrix.util.async_db import Database


class Tables:
    """One method per question."""

    def __init__(self, database: Database) -> None:
        self._database = database
