"""Call the generator that runs on this machine, for the command line. Knows the UNIX socket only."""

from typing import Any

import aiohttp

from generator.settings import Settings

# The slowest answer: a pause waits for a picture that is being written.
TIMEOUT = aiohttp.ClientTimeout(total=30)


class NotRunning(Exception):
    """Nothing answers on the socket. ``str()`` names the socket."""


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
        raise NotRunning(f"No generator answers on {settings.socket}.") from error
