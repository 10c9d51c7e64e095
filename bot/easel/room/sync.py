"""Hears everything that happens, also what happened while the bot was down.

maubot's own sync drops whatever came before its start, room keys included, and keeps its place before that place was
worked through. Where maubot's client is set not to sync, the bot syncs itself and does neither.
"""

from logging import Logger
from typing import Any

from maubot.matrix import MaubotMatrixClient
from mautrix.client import SyncStore
from mautrix.types import EventType, SyncToken


class HandledSyncs(SyncStore):
    """Keeps the place of the last sync that was worked through, which is one behind the last that came.

    mautrix asks for the next sync after it has worked through the one before; a process that is killed meanwhile gets
    that one again, with its room keys.
    """

    def __init__(self, store: SyncStore) -> None:
        self._store = store
        self._came: SyncToken | None = None

    async def get_next_batch(self) -> SyncToken:
        came: SyncToken = await self._store.get_next_batch()
        self._came = came
        return came

    async def put_next_batch(self, next_batch: SyncToken) -> None:
        # There is no place before the first one.
        await self._store.put_next_batch(self._came or next_batch)
        self._came = next_batch


class Sync:
    """The sync that the bot does itself, where maubot's client is set not to."""

    def __init__(self, client: MaubotMatrixClient, log: Logger) -> None:
        self._client, self._log = client, log
        self._store: Any = client.sync_store

    def start(self) -> None:
        # maubot's own Client is the store; anything else has none of these.
        if getattr(self._store, "sync", True):
            self._log.info("maubot syncs for this client: room keys that come while maubot is down are lost")
            return
        self._client.sync_store = HandledSyncs(self._store)
        self._client.ignore_first_sync = False
        if crypto := self._client.crypto:
            # Room keys are deleted on the homeserver as soon as the next sync asks; so they are worked through before.
            self._client.add_event_handler(EventType.TO_DEVICE_ENCRYPTED, crypto.handle_to_device_event, wait_sync=True)
        self._client.start(self._store.filter_id)

    def stop(self) -> None:
        if self._client.sync_store is not self._store:
            self._client.stop()
            self._client.sync_store = self._store
