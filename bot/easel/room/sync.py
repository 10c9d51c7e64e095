"""Receives every event, also from the time when the bot was down.

maubot's own sync drops what came before its start, room keys included, and stores its place before it has handled the
events there. If maubot's client is set not to sync, the bot syncs itself and does neither.
"""

from logging import Logger
from typing import Any

from maubot.matrix import MaubotMatrixClient
from mautrix.client import SyncStore
from mautrix.types import EventType, SyncToken


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


class Sync:
    """The bot's own sync, which runs if maubot's client is set not to sync."""

    def __init__(self, client: MaubotMatrixClient, log: Logger) -> None:
        self._client, self._log = client, log
        self._store: Any = client.sync_store

    def start(self) -> None:
        # maubot's own Client is the store; another store lacks this attribute.
        if getattr(self._store, "sync", True):
            self._log.info("maubot syncs for this client: room keys that come while maubot is down are lost")
            return
        self._client.sync_store = HandledSyncs(self._store)
        self._client.ignore_first_sync = False
        if crypto := self._client.crypto:
            # Room keys are deleted on the homeserver as soon as the next sync asks; so they are handled before.
            self._client.add_event_handler(EventType.TO_DEVICE_ENCRYPTED, crypto.handle_to_device_event, wait_sync=True)
        self._client.start(self._store.filter_id)

    def stop(self) -> None:
        if self._client.sync_store is not self._store:
            self._client.stop()
            self._client.sync_store = self._store
