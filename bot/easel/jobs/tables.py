"""The base of all tables, which holds the database. Statements are complete, for SQLite and PostgreSQL alike."""

from mautrix.util.async_db import Database


class Tables:
    """Base: a table has one method per question."""

    def __init__(self, database: Database) -> None:
        self._database = database
