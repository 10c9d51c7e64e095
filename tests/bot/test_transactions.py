"""What is cancelled inside a transaction is kept whole or not at all, and what comes after it is kept."""

import asyncio
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
