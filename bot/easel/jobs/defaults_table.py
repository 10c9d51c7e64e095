"""What each person has chosen to draw with if a command does not say otherwise."""

from ..language import Asked, DrawRequest
from .request_json import UnknownRequest, request_from_json, request_to_json
from .tables import Tables


class DefaultsTable(Tables):
    """The table ``own_defaults``."""

    async def own_defaults(self, person: str) -> DrawRequest | None:
        """The person's defaults; None without any, or if another version wrote them."""
        request = await self._database.fetchval("SELECT request FROM own_defaults WHERE person = $1", person)
        try:
            return request_from_json(request).requests[0] if request else None
        except UnknownRequest:
            return None

    async def keep_own_defaults(self, person: str, request: DrawRequest) -> None:
        await self._database.execute(
            "INSERT INTO own_defaults (person, request) VALUES ($1, $2) "
            "ON CONFLICT (person) DO UPDATE SET request = excluded.request",
            person,
            request_to_json(Asked((request,))),
        )

    async def forget_own_defaults(self, person: str) -> None:
        await self._database.execute("DELETE FROM own_defaults WHERE person = $1", person)
