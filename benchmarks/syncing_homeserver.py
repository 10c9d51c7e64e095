"""The tests' homeserver for a bot in another process, which syncs: it passes events on, and keys between devices."""

import asyncio
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.helpers.fake_homeserver import Homeserver

# A sync without news is answered after that, whatever the client asks.
SYNC_S = 10


@dataclass
class SyncingHomeserver(Homeserver):
    """One account syncs, ``syncs``. The token of an account is its id."""

    syncs: str = ""
    device_id: str = "EASEL"
    # Whether a sync was handled: events of the first one are the past.
    has_synced: bool = False
    device_keys: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    one_time_keys: dict[str, deque[tuple[str, Any]]] = field(default_factory=lambda: defaultdict(deque))
    # What the next syncs bring, each with its place. An event to a device is in no room.
    _unread: deque[tuple[int, str | None, dict[str, Any]]] = field(default_factory=deque)
    _places: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def app(self) -> web.Application:
        app = super().app()
        client = "/_matrix/client/v3"
        app.add_routes(
            [
                web.get(client + "/sync", self._sync),
                web.post(client + "/user/{user}/filter", self._make_filter),
                web.get(client + "/profile/{user}", self._profile),
                web.route("*", client + "/profile/{user}/displayname", self._profile),
                web.post(client + "/keys/upload", self._upload_keys),
                web.post(client + "/keys/query", self._query_keys),
                web.post(client + "/keys/claim", self._claim_keys),
                web.put(client + "/sendToDevice/{type}/{txn}", self._send_to_device),
            ]
        )
        return app

    async def pass_on(self, room_id: str, sender: str, kind: str, content: dict[str, Any], **more: Any) -> str:
        """Send an event into a room; return its id."""
        place = next(self._places)
        event = {"type": kind, "event_id": f"$passed-{place}", "sender": sender, "content": content, **more}
        event["origin_server_ts"] = int(time.time() * 1000)
        await self._bring(place, room_id, event)
        return str(event["event_id"])

    async def _bring(self, place: int, room_id: str | None, event: dict[str, Any]) -> None:
        async with self.news:
            self._unread.append((place, room_id, event))
            self.news.notify_all()

    async def _put_event(self, request: web.Request) -> web.Response:
        is_new = request.match_info["txn"] not in self.transactions
        answer = await super()._put_event(request)
        if is_new and answer.status == 200:
            sent = self.events[-1]
            own = {"event_id": f"$sent-{sent.txn_id}", "unsigned": {"transaction_id": sent.txn_id}}
            redacts = {"redacts": sent.content["redacts"]} if "redacts" in sent.content else {}
            await self.pass_on(sent.room_id, self.syncs, sent.type, sent.content, **own, **redacts)
        return answer

    async def _sync(self, request: web.Request) -> web.Response:
        """Bring what came since, once: a client that asks for more has handled what it got."""
        since = int(request.query.get("since", 0))
        async with self.news:
            if since:
                self.has_synced = True
                self.news.notify_all()
            while self._unread and self._unread[0][0] <= since:
                self._unread.popleft()
            with suppress(TimeoutError):
                async with asyncio.timeout(SYNC_S):
                    await self.news.wait_for(lambda: self._unread)
            rooms: dict[str, list[dict[str, Any]]] = defaultdict(list)
            to_device: list[dict[str, Any]] = []
            for _, room_id, event in self._unread:
                (to_device if room_id is None else rooms[room_id]).append(event)
            place = self._unread[-1][0] if self._unread else since
        answer = {
            "next_batch": str(place),
            "rooms": {"join": {room_id: {"timeline": {"events": events}} for room_id, events in rooms.items()}},
            "to_device": {"events": to_device},
            "device_one_time_keys_count": {"signed_curve25519": len(self.one_time_keys[self.syncs])},
        }
        return web.json_response(answer)

    async def _whoami(self, request: web.Request) -> web.Response:
        # Only the bot's client asks.
        return web.json_response({"user_id": self.syncs, "device_id": self.device_id})

    async def _make_filter(self, request: web.Request) -> web.Response:
        return web.json_response({"filter_id": "1"})

    async def _profile(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _upload_keys(self, request: web.Request) -> web.Response:
        keys, user_id = await request.json(), _asking(request)
        if device := keys.get("device_keys"):
            self.device_keys[user_id][device["device_id"]] = device
        self.one_time_keys[user_id].extend(keys.get("one_time_keys", {}).items())
        return web.json_response({"one_time_key_counts": {"signed_curve25519": len(self.one_time_keys[user_id])}})

    async def _query_keys(self, request: web.Request) -> web.Response:
        asked = (await request.json())["device_keys"]
        return web.json_response({"device_keys": {user_id: self.device_keys[user_id] for user_id in asked}})

    async def _claim_keys(self, request: web.Request) -> web.Response:
        asked = (await request.json())["one_time_keys"]
        keys = {
            user_id: {device: dict([self.one_time_keys[user_id].popleft()]) for device in devices}
            for user_id, devices in asked.items()
        }
        return web.json_response({"one_time_keys": keys, "failures": {}})

    async def _send_to_device(self, request: web.Request) -> web.Response:
        for content in (await request.json())["messages"].get(self.syncs, {}).values():
            event = {"type": request.match_info["type"], "sender": _asking(request), "content": content}
            await self._bring(next(self._places), None, event)
        return web.json_response({})


def _asking(request: web.Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")
