"""Call the household's servers over HTTP, with JSON in and out."""

from types import TracebackType
from typing import Any

import aiohttp

from household.errors import HouseholdError


class Refusal(HouseholdError):
    """A server answered with an error status."""

    def __init__(self, status: int, method: str, path: str, answer: Any) -> None:
        super().__init__(f"{method} {path} was answered with {status}: {answer}")
        self.status = status
        self.answer = answer


class JsonApi:
    """A client of one server. Sends ``token`` with every call once it is set."""

    def __init__(self, base_url: str, connector: aiohttp.BaseConnector | None = None) -> None:
        self.token: str | None = None
        self._session = aiohttp.ClientSession(base_url, connector=connector)

    async def __aenter__(self) -> "JsonApi":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None, *, data: bytes | None = None) -> Any:
        """Return the answer's JSON. Raises Refusal, and aiohttp.ClientError if nothing answers."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self._session.request(method, path, json=body, data=data, headers=headers) as response:
            answer = await response.json(content_type=None)
            if not response.ok:
                raise Refusal(response.status, method, path, answer)
            return answer

    async def answers(self, path: str) -> bool:
        """Whether the server is up and answers that path with success."""
        try:
            async with self._session.get(path) as response:
                return response.ok
        except aiohttp.ClientError:
            return False
