"""What a homeserver's answers mean: the send queue's errors, and how long to wait. Asks nothing itself."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from mautrix.errors import (
    EncryptionError,
    MatrixConnectionError,
    MatrixRequestError,
    MatrixResponseError,
    MForbidden,
    MLimitExceeded,
    SessionShareError,
)
from mautrix.types import SerializerError

from ..jobs.tables import passes
from .send_queue import NotSent, SlowDown, Unreachable

# A homeserver that asks for a longer pause is asked again after this one.
LONGEST_WAIT_MS = 600_000

# An error is a few hundred bytes; no file beyond this is read as one.
MAX_ERROR_BYTES = 4096


_DISK_TROUBLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class TooLarge(NotSent):
    """The homeserver, or a proxy before it, takes no file of that size."""


class NotAllowed(NotSent):
    """The bot is not in the room any more, or may not write there."""


def refusal(status: int, answer: Any, *, retry_after: str | None = None) -> Exception:
    """The error that an answer other than a success stands for; ``answer`` is its JSON, or its text."""
    errcode = answer.get("errcode") if isinstance(answer, dict) else None
    if status == 429 or errcode == "M_LIMIT_EXCEEDED":
        return SlowDown(_wait_s(answer, retry_after))
    if status == 413 or errcode == "M_TOO_LARGE":
        return TooLarge("the file is larger than the homeserver takes")
    # An invalid token can be replaced in maubot, and then the request is taken.
    if 300 <= status < 500 and status != 401:
        kind = NotAllowed if errcode == "M_FORBIDDEN" else NotSent
        return kind(f"the homeserver answered {status}: {str(answer)[:200]}")
    return Unreachable(f"the homeserver answered {status}")


def was_cut(error: Exception) -> bool:
    """Whether a connection ended while a request was on its way, unlike one that never came about."""
    is_cut = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
    return is_cut and not isinstance(error, aiohttp.ClientConnectorError)


def refusal_as_file(data: bytes) -> Exception | None:
    """The refusal that came with status 200 in a file's place; None if it is a file. Dendrite answers so."""
    answer = parsed(data) if len(data) <= MAX_ERROR_BYTES else None
    if not isinstance(answer, dict):
        return None
    error = answer.get("JSON", answer)
    if not isinstance(error, dict) or not str(error.get("errcode")).startswith("M_"):
        return None
    status = answer.get("Code", 400)
    return refusal(status if isinstance(status, int) else 400, error)


def parsed(data: bytes) -> Any:
    """The JSON in an answer; its text if it is something else, such as a proxy's page."""
    try:
        return json.loads(data)
    # Deeply nested brackets raise a RecursionError.
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def _wait_s(answer: Any, retry_after: str | None) -> float | None:
    """How long a rate limit lasts: in milliseconds in the body, or in seconds in the header of newer homeservers."""
    if isinstance(answer, dict) and isinstance(answer.get("retry_after_ms"), int):
        return float(max(0, min(answer["retry_after_ms"], LONGEST_WAIT_MS))) / 1000
    is_number = retry_after is not None and retry_after.isascii() and retry_after.isdecimal()
    return min(float(retry_after or 0), LONGEST_WAIT_MS / 1000) if is_number else None


@asynccontextmanager
async def homeserver_errors(timeout_s: float) -> AsyncIterator[None]:
    """Translate mautrix's and aiohttp's errors, and a missing answer, into the send queue's three."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except MLimitExceeded as error:
        # mautrix drops the time that the homeserver gave.
        raise SlowDown(None) from error
    except MForbidden as error:
        raise NotAllowed(f"the homeserver answered {error.http_status}: {error.message}") from error
    except MatrixRequestError as error:
        raise refusal(error.http_status, error.message) from error
    except (EncryptionError, SessionShareError) as error:
        # Keys of other people's devices come from their homeservers, which may be away for a moment.
        raise Unreachable(f"encryption failed: {error}") from error
    # A ValueError is an answer that is not JSON.
    except (MatrixConnectionError, MatrixResponseError, aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error.__cause__, SerializerError):
            # Somebody's state event, which no asking makes readable.
            raise NotSent(f"mautrix cannot read the answer: {error}") from error
        raise Unreachable(str(error) or type(error).__name__) from error
    except Exception as error:
        # maubot keeps rooms and keys in a database of its own. Its disk may be full, or not there, for a while.
        if passes(error) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_TROUBLE:
            raise Unreachable(f"maubot's database: {error}") from error
        raise
