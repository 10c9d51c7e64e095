"""Chats of the bot with one person alone: finds one, or invites to one. Knows nothing of what is said there."""

from ..sending.homeserver import Homeserver


class DirectChats:
    """Asks the homeserver who is where, every time."""

    def __init__(self, homeserver: Homeserver, own_id: str) -> None:
        self._homeserver, self._own_id = homeserver, own_id

    async def find(self, person: str, here: str) -> str | None:
        """A room for nobody but the bot and that person, ``here`` or an encrypted one if there is. Raises NotSent."""
        found = None
        for room_id in (here, *await self._homeserver.joined_rooms()):
            if set(await self._homeserver.members(room_id)) != {self._own_id, person}:
                continue
            # In a plain room, whoever made it may come back and read what was said meanwhile.
            is_encrypted = await self._homeserver.is_encrypted(room_id)
            if not is_encrypted and await self._maker(room_id) not in (self._own_id, person):
                continue
            if room_id == here or is_encrypted:
                return room_id
            found = found or room_id
        return found

    async def invite(self, person: str) -> str:
        """The room to which the bot has invited that person, now or before. Raises NotSent."""
        for room_id in await self._homeserver.joined_rooms():
            if (
                set(await self._homeserver.members(room_id)) == {self._own_id}
                and await self._is_invited(person, room_id)
                and await self._maker(room_id) == self._own_id
            ):
                return room_id
        return await self._homeserver.start_direct(person)

    async def _maker(self, room_id: str) -> str:
        return str((await self._homeserver.created(room_id)).sender)

    async def _is_invited(self, person: str, room_id: str) -> bool:
        return await self._homeserver.state_text(room_id, "m.room.member", "membership", person) == "invite"
