"""A sync that stops, and several that leave events out."""

import asyncio
import logging
from types import SimpleNamespace

from bot.easel.room.history import RoomHistory
from bot.easel.room.sync import Sync

ADA = "@ada:example.com"


async def test_a_room_is_behind_until_all_its_gaps_are_read(room, homeserver, plugin, monkeypatch):
    await homeserver.until(lambda: not plugin._catching_up._all_behind)
    await room.say("good morning")
    gaps = [asyncio.Event(), asyncio.Event()]
    reading = iter(gaps)

    async def after(self, room_id: str, event_id: str) -> list[dict]:
        await next(reading).wait()
        return []

    async def marked() -> str:
        return await plugin.database.fetchval("SELECT event_id FROM handled")

    monkeypatch.setattr(RoomHistory, "after", after)
    before = await marked()
    await room.sync(is_limited=True)
    await room.sync(is_limited=True)
    for gap in gaps:
        await room.say("hello")
        assert await marked() == before
        gap.set()
        await asyncio.sleep(0.1)
    await room.say("hello")
    assert await marked() != before


async def test_a_room_key_that_is_being_stored_when_the_bot_stops_is_stored(maubot_test_bot):
    client, began, stored = maubot_test_bot.client, asyncio.Event(), asyncio.Event()

    class Crypto:
        async def handle_to_device_event(self, event: object) -> None:
            # mautrix has used up the key to the message here, and stores the room's key next.
            began.set()
            await asyncio.sleep(0.05)
            stored.set()

    class Places(SimpleNamespace):
        async def get_next_batch(self) -> str:
            return "before"

        async def put_next_batch(self, batch: str) -> None:
            self.batch = batch

    async def sync(**options: object) -> dict:
        if began.is_set():
            await asyncio.sleep(60)
        inside = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "k"}
        content = {**inside, "ciphertext": {"k": {"type": 1, "body": "x"}}}
        event = {"type": "m.room.encrypted", "sender": ADA, "content": content}
        return {"next_batch": "after", "to_device": {"events": [event]}}

    client.sync_store, client._crypto, client.sync = Places(sync=False, filter_id="0"), Crypto(), sync
    own_sync = Sync(client, failed=None, failed_inside=lambda event: None, log=logging.getLogger("sync"))
    own_sync.start()
    await began.wait()
    own_sync.stop()
    await asyncio.wait_for(stored.wait(), 10)
