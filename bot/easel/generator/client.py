"""The generator's HTTP API as the bot uses it. The one place that knows aiohttp's errors.

Every call opens its own connection: the bot connects only when there is something to ask, and holds nothing meanwhile.
Knows neither Matrix nor rooms.
"""

import errno
import json
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from ..settings import InvalidSettings, Settings
from .errors import (
    CertificateRefused,
    GeneratorAway,
    GeneratorError,
    Interrupted,
    NotNow,
    NotRunning,
    NotUnderstood,
    OtherVersion,
    QueueFull,
    Refused,
    SocketForbidden,
    SocketMissing,
    TokenRefused,
    TooMuch,
)
from .types import Capabilities, Error, Health, ImageData, JobEvent, JobStatus, NotTheContract, Sheet, read, read_event

T = TypeVar("T")

# The pixels of a copy that was made to fit.
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)

# On the same machine a connection takes milliseconds; a machine that sleeps or a socket that wakes it takes longer.
CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 15
# 64 MiB over a slow wireless network.
TRANSFER_TIMEOUT_S = 60

# A PNG of 4096 × 4096 pixels of noise is 50 MB.
MAX_PICTURE_BYTES = 64 * 1024 * 1024
# The generator makes no copy smaller than this.
MIN_FITTING_BYTES = 64 * 1024
# Capabilities with a hundred model cards are below 100 KB; an events stream's line is a job of nine pictures.
MAX_ANSWER_BYTES = 1024 * 1024

# The generator sends a line at least every 10 s: without three in a row it is gone.
SILENCE_S = 30


@dataclass(frozen=True)
class Server:
    """Where the generator listens, with the token and the certificates for it."""

    url: URL
    token: str
    # The certificates to trust; True for the system's, which aiohttp reads once: that takes many milliseconds.
    ssl: ssl.SSLContext | bool

    @classmethod
    def of(cls, settings: Settings) -> "Server":
        """The server of the settings. Raises InvalidSettings if generator_ca_file cannot be read."""
        try:
            ca_file = settings.generator_ca_file
            context = ssl.create_default_context(cafile=ca_file) if ca_file else True
        except (OSError, ssl.SSLError) as error:
            raise InvalidSettings("generator_ca_file is no readable PEM file") from error
        return cls(URL(settings.generator_url), settings.generator_token, context)


class GeneratorClient:
    """Asks the generator. Every method raises GeneratorError and nothing else.

    ``server`` may be replaced at any time: the next request goes to the new one.
    """

    def __init__(self, server: Server, version: str) -> None:
        """``version`` is the bot's own."""
        self.server, self._version = server, version
        self._last: tuple[Capabilities, str] | None = None
        self.silence_s: float = SILENCE_S

    async def capabilities(self) -> tuple[Capabilities, str]:
        """The generator's capabilities, and its answer as received, for keeping."""
        text = (await self._ask("GET", "capabilities")).decode(errors="replace")
        if self._last is None or text != self._last[1]:
            data = _parsed(text)
            self._compare_version(data)
            self._last = _read(Capabilities, data), text
        return self._last

    async def health(self) -> Health:
        """The generator's state, load and memory."""
        return _read(Health, _parsed(await self._ask("GET", "health")))

    async def submit(self, job_id: str, body: dict[str, Any]) -> JobStatus:
        """Ask for pictures; asking again with the same id and body is the same job."""
        return _read(JobStatus, _parsed(await self._ask("PUT", f"jobs/{job_id}", body)))

    async def send_image(self, sha256: str, data: bytes) -> None:
        """Send a picture to draw from, before the job that names it."""
        timeout = aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._request("PUT", f"images/{sha256}", data=BytesIO(data), timeout=timeout) as response:
            await _refuse_bad_status(response)

    async def follow(self, job_id: str) -> AsyncGenerator[JobEvent, None]:
        """The job's events until its last. Raises Interrupted if they end before that; asking again is safe."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self.silence_s)
        async with self._request("GET", f"jobs/{job_id}/events", timeout=timeout) as response:
            await _refuse_bad_status(response)
            while line := await response.content.readline():
                event = _read_line(line)
                if event is not None:
                    yield event
                if isinstance(event, JobStatus) and event.state.is_final:
                    return
        raise Interrupted

    async def cancel(self, job_id: str) -> None:
        """End a job; one that has ended, or is not known, stays as it is."""
        with suppress(Interrupted):
            await self._ask("DELETE", f"jobs/{job_id}")

    async def forget(self, job_id: str) -> None:
        """Delete a finished job's files."""
        with suppress(Interrupted):
            await self._ask("DELETE", f"jobs/{job_id}/pictures")

    async def picture(self, job_id: str, n: int, *, max_bytes: int | None = None) -> ImageData:
        """The picture; a smaller copy if it has more than ``max_bytes``."""
        return await self._download(f"jobs/{job_id}/pictures/{n}", max_bytes)

    async def thumbnail(self, job_id: str, n: int) -> bytes:
        return (await self._download(f"jobs/{job_id}/pictures/{n}/thumbnail")).data

    async def recipe(self, job_id: str, n: int) -> bytes:
        """The recipe file, YAML."""
        return await self._ask("GET", f"jobs/{job_id}/pictures/{n}/recipe")

    async def sheet(self, job_id: str) -> Sheet:
        """The sheet of a job that is done: its name and sizes, without the image."""
        return _read(Sheet, _parsed(await self._ask("GET", f"jobs/{job_id}/sheet")))

    async def sheet_image(self, job_id: str, *, max_bytes: int | None = None) -> ImageData:
        """The sheet; a smaller copy if it has more than ``max_bytes``."""
        return await self._download(f"jobs/{job_id}/sheet/image", max_bytes)

    async def sheet_thumbnail(self, job_id: str) -> bytes:
        return (await self._download(f"jobs/{job_id}/sheet/thumbnail")).data

    async def sheet_recipes(self, job_id: str) -> bytes:
        """One file with all recipes, YAML."""
        return await self._ask("GET", f"jobs/{job_id}/sheet/recipes")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._request(method, path, json=body, timeout=timeout) as response:
            await _refuse_bad_status(response)
            return await _bounded(response, MAX_ANSWER_BYTES)

    async def _download(self, path: str, max_bytes: int | None = None) -> ImageData:
        timeout = aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        query = {} if max_bytes is None else {"max_bytes": str(max(max_bytes, MIN_FITTING_BYTES))}
        async with self._request("GET", path, timeout=timeout, params=query) as response:
            await _refuse_bad_status(response)
            data = await _bounded(response, MAX_PICTURE_BYTES)
            made = _SIZE.fullmatch(response.headers.get("Picture-Size", ""))
            return ImageData(data, (int(made[1]), int(made[2])), response.content_type) if made else ImageData(data)

    @asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request on a connection of its own, in which every network failure becomes one of our errors."""
        connector: aiohttp.BaseConnector
        server = self.server
        if server.url.scheme == "unix":
            connector, base = aiohttp.UnixConnector(server.url.path), URL("http://generator")
        else:
            connector, base = aiohttp.TCPConnector(ssl=server.ssl), server.url
        headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
        try:
            async with (
                aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=MAX_ANSWER_BYTES) as session,
                session.request(method, base / "v1" / path, allow_redirects=False, **options) as response,
            ):
                yield response
        except aiohttp.ClientConnectorError as error:
            raise _not_connected(server.url, error) from error
        except (aiohttp.ClientResponseError, ValueError) as error:
            # Not HTTP, or a line longer than any of ours.
            raise NotUnderstood from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise GeneratorAway from error

    def _compare_version(self, data: Any) -> None:
        """Raise OtherVersion for another major or minor version, since the contract may still grow."""
        theirs = data.get("version") if isinstance(data, dict) else None
        if not isinstance(theirs, str):
            raise NotUnderstood
        ours_key, theirs_key = _major_minor(self._version), _major_minor(theirs)
        if theirs_key < ours_key:
            raise OtherVersion(ours=self._version, theirs=theirs, upgrade="the drawing computer")
        if theirs_key > ours_key:
            raise OtherVersion(ours=self._version, theirs=theirs, upgrade="me, the plugin in maubot")


def _not_connected(url: URL, error: aiohttp.ClientConnectorError) -> GeneratorError:
    if isinstance(error, aiohttp.ClientSSLError):
        return CertificateRefused()
    if url.scheme == "unix" and error.os_error.errno == errno.ENOENT:
        return SocketMissing()
    if error.os_error.errno == errno.EACCES:
        return SocketForbidden()
    return NotRunning()


def _major_minor(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split(".")[:2])
    except ValueError as error:
        raise NotUnderstood from error


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise TooMuch
    return bytes(data)


async def _refuse_bad_status(response: aiohttp.ClientResponse) -> None:
    """Raise the error that the status stands for."""
    if 200 <= response.status < 300:
        return
    if response.status in (401, 403):
        raise TokenRefused
    # Jobs are forgotten when the generator restarts, until they are submitted again.
    if response.status == 404:
        raise Interrupted
    answer = _parsed(await _bounded(response, MAX_ANSWER_BYTES))
    error = _read(Error, answer.get("error") if isinstance(answer, dict) else None)
    match response.status:
        case 429:
            wait = response.headers.get("Retry-After", "")
            raise QueueFull(error.message, int(wait) if wait.isdecimal() else None)
        case 503:
            raise NotNow(error.message)
        case status if 400 <= status < 500:
            raise Refused(error.message, error.code)
    raise GeneratorError(error.message)


def _read_line(line: bytes) -> JobEvent | None:
    try:
        return read_event(_parsed(line))
    except NotTheContract as error:
        raise NotUnderstood from error


def _read(kind: type[T], data: Any) -> T:
    try:
        return read(kind, data)
    except NotTheContract as error:
        raise NotUnderstood from error


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    # Deeply nested brackets raise a RecursionError.
    except (ValueError, RecursionError) as error:
        raise NotUnderstood from error
