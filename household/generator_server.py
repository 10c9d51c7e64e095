"""The generator in a process of its own, on a UNIX socket, and its settings. Knows neither Matrix nor maubot."""

from pathlib import Path
from typing import Any

import aiohttp
import yaml

from household.json_api import JsonApi
from household.processes import Child


class Generator:
    """A generator that can be started, stopped and killed any number of times."""

    def __init__(self, child: Child, api: JsonApi, socket: Path) -> None:
        self.child = child
        self.socket = socket
        self._api = api

    async def start(self) -> None:
        """Start the generator, and wait until it has loaded its default model."""
        await self.child.start()
        await self.child.wait_until(self._is_ready)

    async def stop(self) -> int | None:
        return await self.child.stop()

    async def kill(self) -> int | None:
        """Kill the generator without warning, as a power cut would."""
        return await self.child.kill()

    async def health(self) -> Any:
        return await self._api.call("GET", "/v1/health")

    async def is_drawing(self) -> bool:
        return bool((await self.health())["running"])

    async def is_idle(self) -> bool:
        health = await self.health()
        return not health["running"] and not health["queued"]

    async def capabilities(self) -> Any:
        return await self._api.call("GET", "/v1/capabilities")

    async def job(self, job: str) -> Any:
        """Return the job's status. Raises Refusal for an unknown job."""
        return await self._api.call("GET", f"/v1/jobs/{job}")

    async def pause(self) -> None:
        await self._api.call("POST", "/v1/pause")

    async def resume(self) -> None:
        await self._api.call("POST", "/v1/resume")

    async def answers(self) -> bool:
        """Whether anything answers on the socket, ready or not."""
        return await self._api.answers("/v1/health")

    async def _is_ready(self) -> bool:
        return await self.answers() and (await self.health())["state"] == "ready"


def connect(socket: Path) -> JsonApi:
    return JsonApi("http://generator", aiohttp.UnixConnector(str(socket)))


def write_settings(folder: Path, socket: Path, **settings: Any) -> Path:
    """Write the generator's settings file, with its socket, its pictures and ``settings``; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.yml"
    own = {"socket": str(socket), "pictures": str(folder / "pictures"), "drain_timeout_s": 20}
    path.write_text(yaml.safe_dump(own | settings))
    return path
