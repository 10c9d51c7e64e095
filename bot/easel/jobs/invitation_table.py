"""The rooms that the bot is about to join."""

from .tables import Tables


class InvitationTable(Tables):
    """The table ``invitation``."""

    async def keep_invitation(self, room_id: str, invited_by: str) -> None:
        await self._database.execute(
            "INSERT INTO invitation (room_id, invited_by) VALUES ($1, $2) "
            "ON CONFLICT (room_id) DO UPDATE SET invited_by = excluded.invited_by",
            room_id,
            invited_by,
        )

    async def kept_invitations(self) -> list[tuple[str, str]]:
        """The rooms, each with the person who invited the bot."""
        return [(row["room_id"], row["invited_by"]) for row in await self._database.fetch("SELECT * FROM invitation")]

    async def forget_invitation(self, room_id: str) -> None:
        await self._database.execute("DELETE FROM invitation WHERE room_id = $1", room_id)
