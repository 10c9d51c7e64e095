"""The way to the homeserver: events, uploads, receipts, typing. Never plain text into an encrypted room.

Events are sent with a request of our own: mautrix does not report how long a rate limit lasts, takes no transaction id
for redactions, and without crypto would send plain text into an encrypted room. Knows nothing of pictures.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from logging import Logger
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import aiohttp
from maubot.matrix import MaubotMatrixClient
from mautrix.api import Path
from mautrix.errors import (
    DecryptionError,
    EncryptionError,
    MatrixConnectionError,
    MatrixRequestError,
    MatrixResponseError,
    MLimitExceeded,
    MNotFound,
    SessionShareError,
)
from mautrix.types import EventID, EventType, RoomID, SpecVersions, UserID
from yarl import URL

from ..jobs.tables import passes
from ..patience import patiently
from .content import fitting
from .devices import Devices
from .send_queue import NotSent, Outgoing, SlowDown, Unreachable

T = TypeVar("T")

# A server's name, with a port perhaps, and an id, as Matrix spells them; no ".." that means another path.
_MXC = re.compile(r"mxc://(?:[a-z\d][a-z\d.-]*|\[[\da-f:.]+\])(?::\d{1,5})?/[\w-]+", re.ASCII | re.IGNORECASE)

try:
    from mautrix.crypto.attachments import async_inplace_encrypt_attachment, decrypt_attachment
except ImportError:
    # A maubot without the encryption extra: it has no crypto either, so nothing asks for these.
    async_inplace_encrypt_attachment = decrypt_attachment = None  # type: ignore[assignment]


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


# The bot and one person.
DIRECT_MEMBERS = 2


class Homeserver:
    """The bot's requests to its homeserver, with the account that maubot gave it."""

    def __init__(self, client: MaubotMatrixClient, log: Logger, patience: Patience = Patience()) -> None:
        self._client, self._log, self._patience = client, log, patience
        # When encryption is turned on in one of these, the state store learns it from the sync.
        self._known_plain: set[str] = set()
        self.devices = Devices(client)
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
        async with _homeserver_errors(self._patience.send_s):
            if event.redacts is not None:
                path = Path.v3.rooms[event.room_id].redact[event.redacts][event.txn_id]
                return await self._put(path, event.content)
            event_type = EventType.find(event.event_type, EventType.Class.MESSAGE)
            content: Any = fitting(event.content)
            # Reactions are never encrypted, in any client.
            if event_type not in self._client.encryption_blacklist and await self._must_encrypt(event.room_id):
                await self.devices.see(event.room_id)
                encrypted = await self._client.encrypt(RoomID(event.room_id), event_type, content)
                event_type, content = EventType.ROOM_ENCRYPTED, encrypted.serialize()
            return await self._put(Path.v3.rooms[event.room_id].send[event_type.t][event.txn_id], content)

    async def upload(self, room_id: str, data: bytes, mimetype: str) -> dict[str, Any]:
        """Upload a file for the people in a room; ``{"url": …}``, or ``{"file": …}`` in an encrypted room.

        Raises NotSent.
        """
        return await self.patiently(partial(self._upload, room_id, data, mimetype), self._patience.upload_s)

    async def download(self, content: dict[str, Any], max_bytes: int) -> bytes | None:
        """The file of a message, decrypted; None if it is larger, or does not match the message.

        Raises NotSent.
        """
        file = content.get("file")
        source = content if file is None else file
        url = source.get("url") if isinstance(source, dict) else None
        if not isinstance(url, str) or not _MXC.fullmatch(url):
            return None
        data = await self.patiently(partial(self._download, url, max_bytes), self._patience.upload_s)
        if data is None or file is None:
            return data
        try:
            return decrypt_attachment(data, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        except (DecryptionError, LookupError, TypeError, ValueError):
            return None

    async def patiently(self, ask: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        """Ask until the homeserver answers, as long as it takes; one answer may take ``timeout_s``. Raises NotSent."""

        async def once() -> T:
            try:
                async with _homeserver_errors(timeout_s or self._patience.send_s):
                    return await ask()
            except (SlowDown, Unreachable) as error:
                self._log.warning(f"The homeserver did not take a request and is asked again: {error}")
                raise

        pauses_s = chain(self._patience.pauses_s, repeat(self._patience.pauses_s[-1]))
        return await patiently(once, pauses_s=pauses_s, passes=lambda error: isinstance(error, SlowDown | Unreachable))

    async def join(self, room_id: str) -> None:
        """Accept an invitation. Raises NotSent."""
        await self.patiently(partial(self._client.join_room_by_id, RoomID(room_id)))

    async def power_level(self, room_id: str, user_id: str) -> int:
        """Somebody's power level in a room; its creators may be above all. Raises NotSent."""
        state = partial(self._client.get_state_event, RoomID(room_id))
        levels: Any = await self.patiently(partial(state, EventType.ROOM_POWER_LEVELS))
        created: Any = await self.patiently(partial(state, EventType.ROOM_CREATE, format="event"))
        return int(levels.get_user_level(UserID(user_id), created))

    async def display_names(self, room_id: str) -> dict[str, str]:
        """The display names in a room by user id; people without one are left out. Raises NotSent."""
        members = await self.patiently(partial(self._client.get_joined_members, RoomID(room_id)))
        return {str(user_id): str(member.displayname) for user_id, member in members.items() if member.displayname}

    async def is_direct(self, room_id: str) -> bool:
        """Whether the room is a chat of one person with the bot. Raises NotSent."""
        members = await self.patiently(partial(self._client.get_joined_members, RoomID(room_id)))
        return len(members) == DIRECT_MEMBERS

    async def joined_rooms(self) -> list[str]:
        """The rooms that the bot is in. Raises NotSent."""
        return [str(room_id) for room_id in await self.patiently(self._client.get_joined_rooms)]

    async def mark_read(self, room_id: str, event_id: str) -> None:
        """Show that a message was seen. A courtesy: never raises."""
        await self._courtesy(self._client.send_receipt(RoomID(room_id), EventID(event_id)))

    async def set_typing(self, room_id: str, for_s: int) -> None:
        """Show "Easel is typing"; 0 ends it. A courtesy: never raises."""
        await self._courtesy(self._client.set_typing(RoomID(room_id), timeout=for_s * 1000))

    async def give_avatar(self, picture: bytes) -> None:
        """Give the bot's account a picture, unless it has one: whoever runs it may have chosen one. Never raises."""
        await self._courtesy(self._give_avatar(picture))

    async def _give_avatar(self, picture: bytes) -> None:
        if not await self._client.get_avatar_url(self._client.mxid):
            uploaded = await self._client.upload_media(picture, "image/png")
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
        return True

    async def _upload(self, room_id: str, data: bytes, mimetype: str) -> dict[str, Any]:
        if not await self._must_encrypt(room_id):
            return {"url": await self._client.upload_media(data, mimetype)}
        ciphertext = bytearray(data)
        file = await async_inplace_encrypt_attachment(ciphertext)
        file.url = await self._client.upload_media(ciphertext, "application/octet-stream")
        return {"file": file.serialize()}

    async def _download(self, url: str, max_bytes: int) -> bytes | None:
        api, data = self._client.api, bytearray()
        # Older homeservers serve their files to everyone.
        authenticated = bool((await self._client.versions()).supports(SpecVersions.V111))
        headers = {"Authorization": f"Bearer {api.token}"} if authenticated else {}
        address = api.get_download_url(url, authenticated=authenticated)
        # A redirection could lead to any machine that the bot can reach.
        async with api.session.get(address, headers=headers, allow_redirects=False) as response:
            if response.status == 429:
                raise SlowDown(_wait_s({}, response.headers.get("Retry-After")))
            if response.status >= 500:
                raise Unreachable(f"the homeserver answered {response.status}")
            if response.status != 200:
                raise NotSent(f"the homeserver answered {response.status}")
            async for chunk in response.content.iter_chunked(64 * 1024):
                data += chunk
                if len(data) > max_bytes:
                    return None
        return bytes(data)

    async def _must_encrypt(self, room_id: str) -> bool:
        if not await self._is_encrypted(room_id):
            return False
        if not self._client.crypto_enabled:
            raise NotSent("the room is encrypted and this client has no encryption: give it a device id in maubot")
        return True

    async def _put(self, path: Any, content: dict[str, Any]) -> str:
        api = self._client.api
        url = URL(f"{str(api.base_url).rstrip('/')}/{path}", encoded=True)
        headers = {"Authorization": f"Bearer {api.token}"}
        async with api.session.put(url, json=content, headers=headers) as response:
            status, text = response.status, await response.text()
        answer = {}
        with suppress(ValueError):
            answer = json.loads(text)
        if status == 200 and isinstance(answer, dict) and isinstance(answer.get("event_id"), str):
            return str(answer["event_id"])
        if status == 429:
            raise SlowDown(_wait_s(answer, response.headers.get("Retry-After")))
        # An invalid token can be replaced in maubot, and then the event is sent.
        if 400 <= status < 500 and status != 401:
            raise NotSent(f"the homeserver answered {status}: {text[:200]}")
        raise Unreachable(f"the homeserver answered {status}")

    async def _courtesy(self, request: Awaitable[object]) -> None:
        try:
            async with _homeserver_errors(self._patience.courtesy_s):
                await request
        except (NotSent, SlowDown, Unreachable) as error:
            self._log.debug(f"A courtesy was not done: {error}")


def _wait_s(answer: Any, retry_after: str | None) -> float | None:
    """How long a rate limit lasts: in milliseconds in the body, or in seconds in the header of newer homeservers."""
    if isinstance(answer, dict) and isinstance(answer.get("retry_after_ms"), int):
        return float(answer["retry_after_ms"]) / 1000
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


@asynccontextmanager
async def _homeserver_errors(timeout_s: float) -> AsyncIterator[None]:
    """Translate mautrix's and aiohttp's errors, and a missing answer, into the send queue's three."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except MLimitExceeded as error:
        raise SlowDown(None) from error
    except MatrixRequestError as error:
        if error.http_status >= 500 or error.http_status == 401:
            raise Unreachable(f"the homeserver answered {error.http_status}") from error
        raise NotSent(f"the homeserver answered {error.http_status}: {error.message}") from error
    except (EncryptionError, SessionShareError) as error:
        # Keys of other people's devices come from their homeservers, which may be away for a moment.
        raise Unreachable(f"encryption failed: {error}") from error
    # A ValueError is an answer that is not JSON.
    except (MatrixConnectionError, MatrixResponseError, aiohttp.ClientError, OSError, ValueError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    except Exception as error:
        # maubot keeps rooms and keys in a database of its own.
        if passes(error):
            raise Unreachable("maubot's database is locked") from error
        raise
