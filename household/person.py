"""A person with a Matrix client: sends messages, receives those of others, fetches and decrypts files.

Uses matrix-nio and vodozemac, which share no code with the bot's libraries: other clients can read what this one can.
"""

import asyncio
import io
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import nio
from nio.crypto.attachments import decrypt_attachment

from household.errors import HouseholdError
from household.heard import Heard, as_heard
from household.homeserver import Account

# The homeserver answers a sync as soon as there is news, else after this time.
SYNC_MS = 30_000

# A homeserver on the same machine comes back soon, or not at all.
RETRY_AFTER_S = 1
SEND_LIMIT_S = 120

# The events per request when reading a room; homeservers allow more, but that is not needed.
PAGE = 100

T = TypeVar("T")


class Person:
    """A person who is logged in. ``heard`` has all events since, in the order of arrival, their own included."""

    def __init__(self, account: Account, homeserver: str, folder: Path) -> None:
        """``folder`` keeps the keys of this person's device; without it old messages cannot be read."""
        folder.mkdir(parents=True, exist_ok=True)
        # Make a request that times out raise: nio would repeat it for ever, even after being cancelled.
        config = nio.AsyncClientConfig(store_sync_tokens=True, encryption_enabled=True, max_timeouts=0)
        self.account = account
        self.heard: list[Heard] = []
        self._client = nio.AsyncClient(homeserver, account.user_id, store_path=str(folder), config=config)
        self._client.restore_login(account.user_id, account.device_id, account.access_token)
        self._client.add_event_callback(self._hear, (nio.Event, nio.BadEvent, nio.UnknownBadEvent))
        self._news = asyncio.Condition()
        self._sending = asyncio.Lock()
        self._synced = self._stopping = False
        self._syncing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start syncing, and wait for the first sync: every later event is heard."""
        self._syncing = asyncio.create_task(self._sync(), name=f"sync of {self.account.user_id}")
        await self.until(lambda: self._synced)

    async def stop(self) -> None:
        self._stopping = True
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        await self._client.close()
        # nio leaves the database of its keys open.
        if self._client.store is not None:
            self._client.store.database.close()

    async def make_room(self, name: str, *, encrypted: bool, invite: tuple[str, ...] = ()) -> str:
        """Make a private room and invite people to it; return its id."""
        encryption = [{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
        made = await self._client.room_create(
            name=name,
            preset=nio.RoomPreset.private_chat,
            invite=list(invite),
            initial_state=encryption if encrypted else [],
        )
        if not isinstance(made, nio.RoomCreateResponse):
            raise HouseholdError(f"The room was not made: {made}")
        return str(made.room_id)

    async def be_called(self, name: str) -> None:
        """Change the person's display name."""
        named = await self._client.set_displayname(name)
        if not isinstance(named, nio.ProfileSetDisplayNameResponse):
            raise HouseholdError(f"{self.account.user_id} is not called {name}: {named}")

    async def join(self, room_id: str) -> None:
        joined = await self._client.join(room_id)
        if not isinstance(joined, nio.JoinResponse):
            raise HouseholdError(f"{self.account.user_id} did not join the room: {joined}")

    async def invite(self, room_id: str, user_id: str) -> None:
        invited = await self._client.room_invite(room_id, user_id)
        if not isinstance(invited, nio.RoomInviteResponse):
            raise HouseholdError(f"{user_id} was not invited: {invited}")

    async def leave(self, room_id: str) -> None:
        left = await self._client.room_leave(room_id)
        if not isinstance(left, nio.RoomLeaveResponse):
            raise HouseholdError(f"{self.account.user_id} did not leave the room: {left}")

    async def ban(self, room_id: str, user_id: str) -> None:
        banned = await self._client.room_ban(room_id, user_id)
        if not isinstance(banned, nio.RoomBanResponse):
            raise HouseholdError(f"{user_id} was not banned: {banned}")

    async def wait_for_member(self, room_id: str, user_id: str, *, timeout_s: float = 60) -> None:
        """Wait until that user is in the room. Raises TimeoutError."""
        await self.until(lambda: self.sees_member(room_id, user_id), timeout_s=timeout_s)

    async def say(self, room_id: str, body: str, **content: Any) -> str:
        """Send a text message with further ``content``; return its event id."""
        return await self.send(room_id, "m.room.message", {"msgtype": "m.text", "body": body, **content})

    async def edit(self, room_id: str, event_id: str, body: str) -> str:
        """Replace an earlier message's text; return the edit's own event id."""
        new = {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": event_id}
        return await self.say(room_id, f"* {body}", **{"m.new_content": new, "m.relates_to": relation})

    async def react(self, room_id: str, event_id: str, key: str) -> str:
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send(room_id, "m.reaction", {"m.relates_to": relation})

    async def send(self, room_id: str, kind: str, content: dict[str, Any]) -> str:
        """Send an event, in an encrypted room encrypted to all devices, verified or not; return its id.

        Retries while the homeserver is away; the event still arrives only once. Raises HouseholdError.
        """
        async with self._sending:
            return await self._send(room_id, kind, content)

    async def send_file(self, room_id: str, data: bytes, *, filename: str, mimetype: str, **content: Any) -> str:
        """Send a file, encrypted if the room is; ``content`` may change its ``msgtype``. Returns its event id."""
        is_encrypted = self._client.rooms[room_id].encrypted
        uploaded, file = await self._client.upload(
            io.BytesIO(data), mimetype, filename, encrypt=is_encrypted, filesize=len(data)
        )
        if not isinstance(uploaded, nio.UploadResponse):
            raise HouseholdError(f"The file was not uploaded: {uploaded}")
        url = uploaded.content_uri
        where = {"file": {**file, "url": url}} if is_encrypted else {"url": url}
        info = {"mimetype": mimetype, "size": len(data)}
        message = {"msgtype": "m.file", "body": filename, "filename": filename, "info": info, **where, **content}
        return await self.send(room_id, "m.room.message", message)

    def renew_keys(self, room_id: str) -> None:
        """Encrypt further messages in the room with a key that nobody has yet."""
        self._client.sharing_session.pop(room_id, None)
        self._client.invalidate_outbound_session(room_id)

    async def withhold_key(self, room_id: str) -> Callable[[], Awaitable[None]]:
        """Encrypt further messages in the room with a new key; calling the returned function hands it out."""
        olm, users = self._client.olm, list(self._client.rooms[room_id].users)
        self.renew_keys(room_id)
        await self._client.keys_claim(self._client.get_missing_sessions(room_id))
        withheld = [
            (user_id, device_id, content)
            for _, messages in olm.share_group_session_parallel(room_id, users, ignore_unverified_devices=True)
            for user_id, devices in messages["messages"].items()
            for device_id, content in devices.items()
        ]
        olm.outbound_group_sessions[room_id].mark_as_shared()

        async def give_key() -> None:
            for user_id, device_id, content in withheld:
                await self._client.to_device(nio.ToDeviceMessage("m.room.encrypted", user_id, device_id, content))

        return give_key

    async def redact(self, room_id: str, event_id: str) -> None:
        redacted = await self._client.room_redact(room_id, event_id)
        if not isinstance(redacted, nio.RoomRedactResponse):
            raise HouseholdError(f"The message was not deleted: {redacted}")

    async def until(self, found: Callable[[], T], *, timeout_s: float | None = 60) -> T:
        """Wait until ``found()`` is true, checking after each sync; return its value. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._news:
            while not (value := found()):
                if self._syncing is None:
                    raise HouseholdError(f"The client of {self.account.user_id} is not started")
                if self._syncing.done():
                    self._syncing.result()
                await self._news.wait()
            return value

    async def hear(self, wanted: Callable[[Heard], bool], *, timeout_s: float = 60) -> Heard:
        """Return the first event that is ``wanted``, waiting for it if necessary. Raises TimeoutError."""
        return (await self.until(lambda: [event for event in self.heard if wanted(event)], timeout_s=timeout_s))[0]

    async def listen(self) -> AsyncIterator[Heard]:
        """Yield every event from now on; never ends."""
        for index in itertools.count(len(self.heard)):
            await self.until(partial(self._has_heard, index), timeout_s=None)
            yield self.heard[index]

    async def read(self, room_id: str) -> list[Heard]:
        """Read every event of the room from the homeserver, the oldest first."""
        events: list[Heard] = []
        start: str | None = None
        while True:
            page = await self._client.room_messages(room_id, start, direction=nio.MessageDirection.front, limit=PAGE)
            if not isinstance(page, nio.RoomMessagesResponse):
                raise HouseholdError(f"The room cannot be read: {page}")
            events += [as_heard(room_id, event) for event in page.chunk]
            if not page.chunk or page.end is None:
                return events
            start = page.end

    def sees_name(self, room_id: str, user_id: str) -> str | None:
        """Return that user's display name in the room, as of the last sync."""
        room = self._client.rooms.get(room_id)
        user = room.users.get(user_id) if room else None
        return user.display_name if user else None

    def sees_member(self, room_id: str, user_id: str) -> bool:
        room = self._client.rooms.get(room_id)
        return room is not None and user_id in room.users and user_id not in room.invited_users

    def sees_typing(self, room_id: str, user_id: str) -> bool:
        return user_id in self._client.rooms[room_id].typing_users

    def sees_read(self, room_id: str, user_id: str) -> str | None:
        """Return the event up to which that user has read."""
        receipt = self._client.rooms[room_id].read_receipts.get(user_id)
        return receipt.event_id if receipt else None

    async def fetch(self, content: dict[str, Any], *, thumbnail: bool = False) -> bytes:
        """Fetch a message's file, or its thumbnail, and decrypt it if necessary."""
        holder, prefix = (content["info"], "thumbnail_") if thumbnail else (content, "")
        file = holder.get(f"{prefix}file")
        answer = await self._client.download(file["url"] if file else holder[f"{prefix}url"])
        if not isinstance(answer, nio.MemoryDownloadResponse):
            raise HouseholdError(f"The file could not be fetched: {answer}")
        data: bytes = answer.body
        if file is not None:
            data = decrypt_attachment(data, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        return data

    async def _send(self, room_id: str, kind: str, content: dict[str, Any]) -> str:
        txn_id, give_up_at = secrets.token_hex(8), time.monotonic() + SEND_LIMIT_S
        while True:
            try:
                sent = await self._client.room_send(room_id, kind, content, txn_id, ignore_unverified_devices=True)
            except (aiohttp.ClientError, TimeoutError) as error:
                if time.monotonic() > give_up_at:
                    raise HouseholdError(f"The homeserver did not take the message in {SEND_LIMIT_S} s") from error
                # nio considers keys shared even if the request was cut off.
                self.renew_keys(room_id)
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            if not isinstance(sent, nio.RoomSendResponse):
                raise HouseholdError(f"The message was not sent: {sent}")
            return str(sent.event_id)

    def _has_heard(self, index: int) -> bool:
        return len(self.heard) > index

    async def _sync(self) -> None:
        """Sync until stopped, and keep the encryption keys up to date."""
        try:
            while not self._stopping:
                try:
                    await self._sync_once()
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(RETRY_AFTER_S)
        finally:
            await self._notify()

    async def _sync_once(self) -> None:
        """Do one round of nio's own sync loop, with requests that can be cancelled."""
        client, first = self._client, not self._synced
        response = await client.sync(0 if first else SYNC_MS, full_state=first)
        if isinstance(response, nio.SyncError):
            raise HouseholdError(f"{self.account.user_id} cannot listen any more: {response}")
        await client.send_to_device_messages()
        if client.should_upload_keys:
            await client.keys_upload()
        if client.should_query_keys:
            await client.keys_query()
        if client.should_claim_keys:
            await client.keys_claim(client.get_users_for_key_claiming())
        self._synced = True
        await self._notify()

    async def _notify(self) -> None:
        """Wake everything that waits in ``until``."""
        async with self._news:
            self._news.notify_all()

    async def _hear(self, room: nio.MatrixRoom, event: nio.Event) -> None:
        self.heard.append(as_heard(room.room_id, event))
