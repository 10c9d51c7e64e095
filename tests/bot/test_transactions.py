"""What is cancelled inside a transaction is kept whole or not at all, and what comes after it is kept."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import pytest
from mautrix.util.async_db import Database

from bot.easel.jobs.tables import PatientDatabase
from bot.easel.transactions import make_transactions_whole

KEEP, COUNT = "INSERT INTO to_forget (job) VALUES ($1)", "SELECT count(*) FROM to_forget"

# More than a transaction has on these databases.
MOMENTS = 100


@pytest.fixture
async def beside(database_url: str) -> AsyncIterator[Database]:
    """The same database through another connection, which sees only what is kept."""
    beside = Database.create(database_url)
    await beside.start()
    yield beside
    await beside.stop()


async def test_a_transaction_that_is_cancelled_at_any_moment_leaves_its_connection_to_others(database, beside):
    make_transactions_whole()
    keep_all, whole = PatientDatabase(database).execute_all, 0
    for moment in range(MOMENTS):
        first, second = ([(f"{moment}-{part}",)] for part in ("first", "second"))
        keeping = asyncio.create_task(keep_all([(KEEP, first), (KEEP, second)]))
        for _ in range(moment):
            await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait({keeping})
        await database.execute(KEEP, f"{moment}-after")
        kept = await beside.fetchval(COUNT)
        assert kept - whole in (1, 3), "half a transaction was kept, or what came after it was not"
        whole = kept
    await keep_all([(KEEP, [("last",)])])
    assert await beside.fetchval(COUNT) == whole + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_transaction_that_cannot_begin_leaves_another_one_as_it_is(database, beside):
    make_transactions_whole()
    async with database.acquire() as connection:
        await connection.execute("BEGIN")
        await connection.execute(KEEP, "first")
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
            await PatientDatabase(database).execute_all([(KEEP, [("second",)])])
        await connection.execute("COMMIT")
    assert await beside.fetchval(COUNT) == 1
