"""Learns who is in an encrypted room with which devices, so that all of them get its next key.

mautrix misses what changes while it or the homeserver is down, and forgets who joins while it asks for all. It also
asks for one room's keys after the other's, and each request may wait ten seconds for other people's homeservers.
"""

from collections import Counter
from contextlib import nullcontext

from maubot.matrix import MaubotMatrixClient
from mautrix.types import RoomID, SerializerError, UserID


class Devices:
    """Asks about each room once, and again when somebody came or went. No room waits for another room's people."""

    def __init__(self, client: MaubotMatrixClient) -> None:
        self._client = client
        # How often people came and went in a room, and that number when the bot last asked who is there.
        self._moves: Counter[str] = Counter()
        self._moves_seen: dict[str, int] = {}
        # How often anybody got another device or lost one.
        self._changes = 0

    def start(self) -> None:
        if crypto := self._client.crypto:
            # Without mautrix's lock, two rooms may each take a key of the same new device, which does no harm.
            crypto._claim_keys_lock = nullcontext()

    def somebody_moved(self, room_id: str) -> None:
        """Note that somebody came into the room or left it."""
        self._moves[room_id] += 1

    def changed(self) -> None:
        """Note that somebody has other devices. mautrix asks which; an older answer of ours may come after its own."""
        self._changes += 1

    def may_have_missed(self) -> None:
        """Forget who is in each room, since a change may have been missed."""
        self._moves_seen.clear()

    def forget(self, room_id: str) -> None:
        """Forget a room that the bot is not in any more."""
        self._moves.pop(room_id, None)
        self._moves_seen.pop(room_id, None)

    async def see(self, room_id: str) -> None:
        """Ask who is in the room with which devices, unless that is known."""
        # Read before asking: what changes meanwhile makes the bot ask again before the next event.
        moves, changes, crypto = self._moves[room_id], self._changes, self._client.crypto
        if self._moves_seen.get(room_id) == moves:
            return
        members = list(await self._client.get_joined_members(RoomID(room_id)))
        # Not `handle_device_lists`, in whose lock one room waits for the other.
        try:
            await crypto._fetch_keys(members, include_untracked=True)
        except SerializerError:
            # Keys that mautrix cannot read would keep the room's key from everybody.
            for member in members:
                await self._see_alone(member)
        await crypto.crypto_store.remove_outbound_group_session(RoomID(room_id))
        if changes == self._changes:
            self._moves_seen[room_id] = moves

    async def _see_alone(self, user_id: UserID) -> None:
        """Ask for one person's devices. If they cannot be read, that person has none."""
        crypto = self._client.crypto
        try:
            await crypto._fetch_keys([user_id], include_untracked=True)
        except SerializerError:
            await crypto.crypto_store.put_devices(user_id, {})
