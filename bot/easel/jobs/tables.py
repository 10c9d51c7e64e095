"""The base of all tables, which holds the database. Statements are complete, for SQLite and PostgreSQL alike."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import asyncpg
from mautrix.util.async_db import Database

from ..patience import patiently

T = TypeVar("T")

# A backup or another program may hold the database for some seconds; SQLite itself waits for five before each of these.
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)

_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_POSTGRES_AWAY = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)


class PatientDatabase:
    """A database that may be locked or restarting for a moment: each statement is tried again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def execute(self, query: str, *values: Any) -> None:
        await outlasting_locks(partial(self._database.execute, query, *values))

    async def execute_all(self, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Execute each statement with each of its rows of values, all of it or nothing."""

        # mautrix's annotation is of the generator, not of what it becomes.
        acquire: Any = self._database.acquire

        async def all_of_it() -> None:
            async with acquire() as connection, connection.transaction():
                for query, rows in statements:
                    await connection.executemany(query, rows)

        await outlasting_locks(all_of_it)

    async def fetch(self, query: str, *values: Any) -> Any:
        return await outlasting_locks(partial(self._database.fetch, query, *values))

    async def fetchrow(self, query: str, *values: Any) -> Any:
        return await outlasting_locks(partial(self._database.fetchrow, query, *values))

    async def fetchval(self, query: str, *values: Any) -> Any:
        return await outlasting_locks(partial(self._database.fetchval, query, *values))


class Tables:
    """Base: a table has one method per question."""

    def __init__(self, database: Database) -> None:
        self._database = PatientDatabase(database)


async def outlasting_locks(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a database, and again if it is locked or away for a moment."""
    return await patiently(ask, pauses_s=PAUSES_S, passes=passes)


def passes(error: Exception) -> bool:
    """Whether a statement failed only because the database is locked or away."""
    if isinstance(error, sqlite3.OperationalError):
        # Extended codes have the plain one in their lowest byte.
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY
    return isinstance(error, _POSTGRES_AWAY)
