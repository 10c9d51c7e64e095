"""Call the generator that runs on this machine, for the command line. Knows the UNIX socket only."""

from typing import Any

import aiohttp

from generator.settings import Settings

# The slowest answer: a pause waits for a picture that is being written.
TIMEOUT = aiohttp.ClientTimeout(total=30)


class NotRunning(Exception):
    """Nothing answers on the socket. ``str()`` names the socket, ``advice`` says what to do."""

    advice = "Start it: python -m generator serve"


class NotAllowed(NotRunning):
    """This user may not connect to the socket."""

    advice = "Run this as the user of the service, or join the group of its socket."


async def call(settings: Settings, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON of the answer. Raises NotRunning."""
    connector = aiohttp.UnixConnector(str(settings.socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session,
            session.request(method, f"http://easel{path}") as response,
        ):
            return response.status, await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PermissionError):
            raise NotAllowed(f"This user may not use {settings.socket}.") from error
        raise NotRunning(f"No generator answers on {settings.socket}.") from error
