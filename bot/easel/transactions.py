"""Makes a transaction whole whatever ends it. mautrix's for SQLite stays open if its task is cancelled inside.

The connection then lies in its pool with a transaction that nobody ends: what is written later is lost with the
process, and each next transaction there fails. maubot keeps rooms and keys in such a database, and it outlives the
plugin.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mautrix.util.async_db.aiosqlite import TxnConnection, in_transaction


def make_transactions_whole() -> None:
    """Put ours in the place of mautrix's, on all connections of this process."""
    TxnConnection.transaction = _transaction  # type: ignore[method-assign,assignment]


@asynccontextmanager
async def _transaction(connection: TxnConnection) -> AsyncIterator[None]:
    if in_transaction.get():
        yield
        return
    try:
        await connection.execute("BEGIN TRANSACTION")
    except asyncio.CancelledError:
        # The connection's thread executes it all the same, and this after it, whatever interrupts the waiting.
        await connection.rollback()
        raise
    outer = in_transaction.set(True)
    try:
        yield
        await connection.commit()
    except BaseException:
        # After a commit, this does nothing.
        await connection.rollback()
        raise
    finally:
        in_transaction.reset(outer)
