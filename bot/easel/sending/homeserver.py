"""The way to the homeserver: events, rooms, receipts, typing. Never plain text into an encrypted room.

What a homeserver limits is sent with a request of our own: mautrix does not report how long a rate limit lasts, takes
no transaction id for redactions, and without crypto would send plain text into an encrypted room. Knows nothing of
pictures.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain, repeat
from logging import Logger
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from maubot.matrix import MaubotMatrixClient
from mautrix.api import MediaPath, Method, Path
from mautrix.errors import MatrixResponseError, MNotFound
from mautrix.types import (
    JSON,
    ContentURI,
    EncryptionAlgorithm,
    EventType,
    Membership,
    RoomID,
    SerializerError,
    StateEvent,
    UserID,
)
from yarl import URL

from ..patience import patiently
from .answers import homeserver_errors, parsed, refusal
from .content import fitting
from .devices import Devices
from .send_queue import NotSent, Outgoing, SlowDown, Unreachable

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long an answer may take, and the pauses before retries of all but events; in seconds."""

    # Sending takes milliseconds; a room with many devices needs its keys shared first.
    send_s: float = 60
    # A picture is a few megabytes, and the way up from a home is narrow.
    upload_s: float = 120
    # Courtesies must not hold up a job.
    courtesy_s: float = 10
    # The bot waits for a homeserver as long as it takes: one pause after the other, the last again and again.
    pauses_s: tuple[float, ...] = (1, 2, 4, 8, 16, 32)


class Homeserver:
    """The bot's requests to its homeserver, with the account that maubot gave it."""

    def __init__(self, client: MaubotMatrixClient, log: Logger, patience: Patience = Patience()) -> None:
        self.patience = patience
        self._client, self._log = client, log
        # When encryption is turned on in one of these, the state store learns it from the sync.
        self._known_plain: set[str] = set()
        self.devices = Devices(client)
        # The newest courtesy of each kind that is under way.
        self._courtesies: dict[str, object] = {}
        # A lock is kept while somebody holds it or waits for it.
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def left(self, room_id: str) -> None:
        """Forget a room that the bot is not in any more."""
        self._known_plain.discard(room_id)
        self.devices.forget(room_id)

    async def is_encrypted(self, room_id: str) -> bool:
        """Whether the room is encrypted; asks the homeserver if that is unknown. Raises NotSent."""
        # First come, first answered, which keeps commands in order; and one request answers all.
        async with self._asking.setdefault(room_id, asyncio.Lock()):
            return await self.patiently(partial(self._is_encrypted, room_id))

    async def send(self, event: Outgoing) -> str:
        """Send one event, encrypted if the room is. Raises NotSent, SlowDown, Unreachable."""
        async with homeserver_errors(self.patience.send_s):
            if event.redacts is not None:
                path = Path.v3.rooms[event.room_id].redact[event.redacts][event.txn_id]
                return await self._event_id(path, event.content)
            event_type = EventType.find(event.event_type, EventType.Class.MESSAGE)
            content: Any = fitting(event.content)
            # Reactions are never encrypted, in any client.
            if event_type not in self._client.encryption_blacklist and await self.must_encrypt(event.room_id):
                await self.devices.see(event.room_id)
                encrypted = await self._client.encrypt(RoomID(event.room_id), event_type, content)
                event_type, content = EventType.ROOM_ENCRYPTED, encrypted.serialize()
            return await self._event_id(Path.v3.rooms[event.room_id].send[event_type.t][event.txn_id], content)

    async def patiently(self, ask: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        """Ask until the homeserver answers, as long as it takes; one answer may take ``timeout_s``. Raises NotSent."""

        async def once() -> T:
            try:
                async with homeserver_errors(timeout_s or self.patience.send_s):
                    return await ask()
            except (SlowDown, Unreachable) as error:
                self._log.warning(f"The homeserver did not take a request and is asked again: {error}")
                raise

        def wanted_s(error: Exception) -> float | None:
            wait_s = error.wait_s if isinstance(error, SlowDown) else None
            return None if wait_s is None else max(wait_s, self.patience.pauses_s[0])

        return await patiently(
            once,
            pauses_s=chain(self.patience.pauses_s, repeat(self.patience.pauses_s[-1])),
            passes=lambda error: isinstance(error, SlowDown | Unreachable),
            wanted_s=wanted_s,
        )

    async def upload_bytes(self, data: bytes | bytearray, mimetype: str) -> str:
        """Upload bytes as they are, once; return their address. Raises NotSent, SlowDown, Unreachable."""
        answer = await self.ask("POST", MediaPath.v3.upload, data=data, mimetype=mimetype)
        return _text_in(answer, "content_uri")

    async def must_encrypt(self, room_id: str) -> bool:
        """Whether what goes into the room must be encrypted. Raises NotSent if it must and cannot be."""
        if not await self._is_encrypted(room_id):
            return False
        if not self._client.crypto_enabled:
            raise NotSent("the room is encrypted and this client has no encryption: give it a device id in maubot")
        store = self._client.state_store
        encryption = await store.get_encryption_info(RoomID(room_id)) if store is not None else None
        if encryption is not None and encryption.algorithm != EncryptionAlgorithm.MEGOLM_V1:
            raise NotSent("the room is encrypted in a way that mautrix does not have")
        return True

    async def ask(
        self,
        method: str,
        path: Any,
        content: Any = None,
        *,
        data: bytes | bytearray | None = None,
        mimetype: str = "application/json",
    ) -> dict[str, Any]:
        """Send ``content`` as JSON, or ``data``; return the answer's JSON. Raises NotSent, SlowDown, Unreachable."""
        api = self._client.api
        url = URL(f"{str(api.base_url).rstrip('/')}/{path}", encoded=True)
        headers = {"Authorization": f"Bearer {api.token}", "Content-Type": mimetype}
        if data is None and content is not None:
            data = json.dumps(content).encode()
        body = None if data is None else BytesIO(data)
        async with api.session.request(method, url, data=body, headers=headers) as response:
            status, answer = response.status, parsed(await response.read())
            if not 200 <= status < 300:
                raise refusal(status, answer, retry_after=response.headers.get("Retry-After"))
        if not isinstance(answer, dict):
            raise Unreachable("the homeserver answered no JSON")
        return answer

    async def join(self, room_id: str) -> None:
        """Accept an invitation. Raises NotSent."""
        await self.patiently(partial(self.ask, "POST", Path.v3.rooms[room_id].join, {}))
        if self._client.state_store is not None:
            await self._client.state_store.set_membership(RoomID(room_id), self._client.mxid, Membership.JOIN)

    async def power_level(self, room_id: str, user_id: str) -> int:
        """Somebody's power level in a room; its creators may be above all. Raises NotSent."""
        state = partial(self._client.get_state_event, RoomID(room_id))
        levels: Any = await self.patiently(partial(state, EventType.ROOM_POWER_LEVELS))
        path = Path.v3.rooms[room_id].state["m.room.create"]
        event = await self.patiently(partial(self.ask, "GET", f"{path}?format=event"))
        # Conduit knew no such format until August 2025, and sent the content alone.
        created = _created(room_id, event) if "sender" in event else await self.created(room_id)
        return int(levels.get_user_level(UserID(user_id), created))

    async def created(self, room_id: str) -> StateEvent:
        """The event that made a room, by whoever made it. Raises NotSent, also if the homeserver does not tell it.

        It is taken from the whole state, which may be large: an answer that may be the content alone, written by the
        maker, could name anybody as the maker.
        """
        whole = partial(self._client.api.request, Method.GET, Path.v3.rooms[room_id].state)
        events: Any = await self.patiently(whole)
        return _created(room_id, next((one for one in events if one["type"] == "m.room.create"), {}))

    async def predecessor(self, room_id: str) -> str | None:
        """The room that was upgraded to this one, if both say so; else None. Raises NotSent."""
        created = await self.patiently(partial(self.ask, "GET", Path.v3.rooms[room_id].state["m.room.create"][""]))
        old = _text(created.get("predecessor"), "room_id")
        says_so = bool(old) and await self.state_text(old, "m.room.tombstone", "replacement_room") == room_id
        return old if says_so else None

    async def members(self, room_id: str) -> dict[str, str]:
        """Who is in a room now, with their display names, or "". Raises NotSent, also if the bot is not in it."""
        # mautrix would also write all of them into maubot's database.
        answer = await self.patiently(partial(self.ask, "GET", Path.v3.rooms[room_id].joined_members))
        joined = answer.get("joined")
        if not isinstance(joined, dict):
            raise NotSent("the homeserver answered without joined")
        return {user_id: _text(profile, "display_name") for user_id, profile in joined.items()}

    async def display_names(self, room_id: str) -> dict[str, str]:
        """The display names in a room by user id, for people who have one; none if the homeserver does not say them."""
        try:
            return {user_id: name for user_id, name in (await self.members(room_id)).items() if name}
        except NotSent as error:
            self._log.warning(f"The names in {room_id} are unknown: {error}")
            return {}

    async def state_text(self, room_id: str, kind: str, name: str, key: str = "") -> str:
        """The text of that name in a state event; "" if there is none, or the bot is not in the room."""
        try:
            path = Path.v3.rooms[room_id].state[kind][key]
            return _text(await self.patiently(partial(self.ask, "GET", path)), name)
        except NotSent:
            return ""

    async def start_direct(self, user_id: str) -> str:
        """Make a room for the bot and that person, encrypted where the bot can, and invite them. Raises NotSent."""
        encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        content = {
            "preset": "trusted_private_chat",
            "is_direct": True,
            "invite": [user_id],
            "initial_state": [encryption] if self._client.crypto_enabled else [],
        }
        answer = await self.patiently(partial(self.ask, "POST", Path.v3.createRoom, content))
        if room_id := _text(answer, "room_id"):
            return room_id
        # Asked again, it may make a second one.
        raise NotSent("the homeserver made a room and does not say which")

    async def joined_rooms(self) -> list[str]:
        """The rooms that the bot is in. Raises NotSent."""
        return [str(room_id) for room_id in await self.patiently(self._client.get_joined_rooms)]

    async def mark_read(self, room_id: str, event_id: str) -> None:
        """Show that all up to a message was seen. A courtesy: never raises."""
        path = Path.v3.rooms[room_id].receipt["m.read"][event_id]
        await self._courtesy(f"receipt in {room_id}", partial(self.ask, "POST", path, {}))

    async def set_typing(self, room_id: str, for_s: int) -> None:
        """Show "Easel is typing"; 0 ends it. A courtesy: never raises."""
        path = Path.v3.rooms[room_id].typing[self._client.mxid]
        content = {"typing": True, "timeout": for_s * 1000} if for_s else {"typing": False}
        # A job's end waits for this one.
        await self._courtesy(
            f"typing in {room_id}", partial(self.ask, "PUT", path, content), within_s=self.patience.courtesy_s
        )

    async def give_avatar(self, picture: bytes) -> None:
        """Give the bot's account a picture, unless it has one: whoever runs it may have chosen one. Never raises."""
        await self._courtesy("avatar", partial(self._give_avatar, picture))

    async def _give_avatar(self, picture: bytes) -> None:
        if not await self._client.get_avatar_url(self._client.mxid):
            uploaded = ContentURI(await self.upload_bytes(picture, "image/png"))
            await self._client.set_avatar_url(uploaded, check_current=False)

    async def _is_encrypted(self, room_id: str) -> bool:
        store = self._client.state_store
        if store is not None and await store.is_encrypted(RoomID(room_id)):
            return True
        if room_id in self._known_plain:
            return False
        try:
            await self._client.get_state_event(RoomID(room_id), EventType.ROOM_ENCRYPTION)
        except MNotFound:
            self._known_plain.add(room_id)
            return False
        except MatrixResponseError as error:
            # Encrypted in whatever way; but what is no JSON says nothing.
            if not isinstance(error.__cause__, SerializerError):
                raise
        return True

    async def _event_id(self, path: Any, content: dict[str, Any]) -> str:
        return _text_in(await self.ask("PUT", path, content), "event_id")

    async def _courtesy(
        self, kind: str, request: Callable[[], Awaitable[object]], *, within_s: float | None = None
    ) -> None:
        """Do what is nice to have, again after each rate limit, unless a newer one of its kind takes its place."""
        self._courtesies[kind] = mine = object()
        try:
            async with asyncio.timeout(within_s):
                while self._courtesies.get(kind) is mine and not await self._was_done(request):
                    pass
        except TimeoutError:
            self._log.debug(f"A courtesy was not done in {within_s} s: {kind}")
        finally:
            if self._courtesies.get(kind) is mine:
                del self._courtesies[kind]

    async def _was_done(self, request: Callable[[], Awaitable[object]]) -> bool:
        """Do a courtesy; wait and return False where a rate limit refused it."""
        try:
            async with homeserver_errors(self.patience.courtesy_s):
                await request()
        except SlowDown as error:
            self._log.debug(f"A courtesy waits: {error}")
            await asyncio.sleep(error.wait_s or self.patience.pauses_s[-1])
            return False
        except (NotSent, Unreachable) as error:
            self._log.debug(f"A courtesy was not done: {error}")
        return True


def _text(content: Any, key: str) -> str:
    """The text at that key of somebody's content, which may be anything."""
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, str) else ""


def _text_in(answer: dict[str, Any], key: str) -> str:
    if not isinstance(answer.get(key), str):
        raise Unreachable(f"the homeserver answered without {key}")
    return str(answer[key])


def _created(room_id: str, event: dict[str, Any]) -> StateEvent:
    try:
        # Synapse left the id out before 1.135.
        return StateEvent.deserialize(JSON({"event_id": "", **event}))
    except SerializerError as error:
        raise NotSent(f"the homeserver does not tell who made {room_id}") from error
