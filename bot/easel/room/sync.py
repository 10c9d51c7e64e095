"""Receives every event, also from the time when the bot was down, and each for itself.

maubot's own sync drops what came before its start, room keys included, and stores its place before it has handled the
events there. If maubot's client is set not to sync, the bot syncs itself and does neither.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from logging import Logger, LogRecord
from types import SimpleNamespace
from typing import Any

from maubot.matrix import MaubotMatrixClient
from mautrix.client import DecryptionDispatcher, SyncStore
from mautrix.errors import SessionNotFound
from mautrix.types import EncryptedEvent, EventType, GenericEvent, SerializerError, SyncToken

from .envelope import Malformed, outline

# Where mautrix logs, at the level that maubot's own settings show, the whole of what it could not read.
_UNREAD_LOG = logging.getLogger("mau.attrs")

# Gets what is there of an event that mautrix could not read, and why.
Failed = Callable[[SimpleNamespace, Malformed], Coroutine[Any, Any, None]]


class HandledSyncs(SyncStore):
    """Keeps the place of the last handled sync, which is one behind the last received.

    mautrix asks for the next sync after it has handled the one before; a process that is killed meanwhile gets that one
    again, with its room keys.
    """

    def __init__(self, store: SyncStore) -> None:
        self._store = store
        self._received: SyncToken | None = None

    async def get_next_batch(self) -> SyncToken:
        received: SyncToken = await self._store.get_next_batch()
        self._received = received
        return received

    async def put_next_batch(self, next_batch: SyncToken) -> None:
        # The first sync has no place before it.
        await self._store.put_next_batch(self._received or next_batch)
        self._received = next_batch


class OneEvent:
    """The client as mautrix needs it to handle a sync with one event and nothing else."""

    def __init__(self, client: MaubotMatrixClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def dispatch_internal_event(self, *_: Any, **__: Any) -> list[asyncio.Task[None]]:
        """Leave out the count of one-time keys and the changed devices, which stand beside the events."""
        return []

    def _try_deserialize(self, kind: Any, data: Any) -> Any:
        """Read an event as mautrix does, but without its text in the log."""
        with suppress(SerializerError):
            return kind.deserialize(data)
        return GenericEvent.deserialize(data)


class Sync:
    """Handles each event of a sync for itself. Syncs if maubot's client is set not to."""

    def __init__(
        self,
        client: MaubotMatrixClient,
        *,
        failed: Failed,
        failed_inside: Callable[[EncryptedEvent], None],
        log: Logger,
    ) -> None:
        """``failed_inside`` gets an encrypted event that mautrix could not decrypt and pass on."""
        self._client, self._failed, self._failed_inside, self._log = client, failed, failed_inside, log
        self._store: Any = client.sync_store

    def start(self) -> None:
        # mautrix has no hook between a sync and its events, nor for what fails after its decryption.
        self._client.handle_sync = self._handle  # type: ignore[method-assign,assignment]
        self._client._catch_errors = self._catch_errors  # type: ignore[method-assign]
        _UNREAD_LOG.addFilter(_leave_out)
        # maubot's own Client is the store; another store lacks this attribute.
        if getattr(self._store, "sync", True):
            # The doctor says what this costs.
            return
        self._client.sync_store = HandledSyncs(self._store)
        self._client.ignore_first_sync = False
        if crypto := self._client.crypto:
            # Room keys are deleted on the homeserver as soon as the next sync asks; so they are handled before.
            self._client.add_event_handler(EventType.TO_DEVICE_ENCRYPTED, crypto.handle_to_device_event, wait_sync=True)
        self._client.start(self._store.filter_id)

    def stop(self) -> None:
        _UNREAD_LOG.removeFilter(_leave_out)
        for name in ("handle_sync", "_catch_errors"):
            vars(self._client).pop(name, None)
        if self._client.sync_store is not self._store:
            self._client.stop()
            self._client.sync_store = self._store

    def _handle(self, data: dict[str, Any]) -> list[asyncio.Future[None]]:
        """Handle a sync in the place of mautrix, whose first exception would end the handling of all that follows."""
        handle: Any = MaubotMatrixClient.handle_sync
        tasks: list[asyncio.Task[None]] = handle(
            self._client, {key: value for key, value in data.items() if key.startswith("device_")}
        )
        for event, sync in _one_by_one(data):
            try:
                tasks += handle(OneEvent(self._client), sync)
            except Exception as error:
                reason = Malformed(f"mautrix cannot read it ({type(error).__name__})")
                # Like mautrix's tasks for other events, so that each is passed on in its order.
                tasks.append(asyncio.create_task(self._failed(event, reason)))
        # A sync that stops cancels what it waits for. A room key that is not stored by then would be lost, since its
        # message can be opened only once.
        return [asyncio.shield(task) for task in tasks]

    async def _catch_errors(self, handler: Callable[[Any], Awaitable[None]], data: Any) -> None:
        """Run a handler. mautrix's own for encrypted events would log what is inside one, and tell nobody else."""
        if not isinstance(getattr(handler, "__self__", None), DecryptionDispatcher):
            await MaubotMatrixClient._catch_errors(self._client, handler, data)
            return
        try:
            decrypted = await self._client.crypto.decrypt_megolm_event(data)
            self._client.dispatch_event(decrypted, data.source)
        except SessionNotFound:
            self._log.debug(f"The key of {data.event_id} is not here yet")
        except Exception:
            if isinstance(data, EncryptedEvent):
                self._failed_inside(data)


def _leave_out(record: LogRecord) -> bool:
    return False


def _one_by_one(data: dict[str, Any]) -> Iterator[tuple[SimpleNamespace, dict[str, Any]]]:
    """The events of a sync, each with a sync of its own. An invitation has several events, and stays whole."""
    for part in ("account_data", "ephemeral", "to_device"):
        for event in _events(data, part):
            yield outline(event, None), {part: {"events": [event]}}
    rooms = data.get("rooms", {})
    for membership in ("join", "leave"):
        for room_id, room in rooms.get(membership, {}).items():
            for part in ("state", "timeline", "ephemeral"):
                for event in _events(room, part):
                    yield outline(event, room_id), {"rooms": {membership: {room_id: {part: {"events": [event]}}}}}
    for room_id, room in rooms.get("invite", {}).items():
        yield outline({}, room_id), {"rooms": {"invite": {room_id: room}}}


def _events(parent: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [event for event in parent.get(part, {}).get("events", []) if isinstance(event, dict)]
