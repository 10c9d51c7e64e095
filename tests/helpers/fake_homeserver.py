"""A fake homeserver over HTTP. It keeps every event; a test gives it bad answers, its ``sins``."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

# As maubot's test bot is called.
BOT = "@botname:example.com"

# What takes milliseconds takes seconds on a busy machine.
WITHIN_S = 60


@dataclass
class Sent:
    """An event as the homeserver received it."""

    room_id: str
    type: str
    txn_id: str
    content: dict[str, Any]

    @property
    def kind(self) -> str | None:
        return self.content.get("household.easel", {}).get("kind")


@dataclass
class Homeserver:
    """Takes events, uploads, receipts and typing.

    ``sins`` replace the answers to the next events. Requests about the rooms and files ``in_silence`` get no answer.
    Rooms have their ``members``, or else everybody with a display name; the bot is in all but those that it ``left``.
    ``makers`` made some of them, and somebody who is not there the others. As older homeservers do, it ``leaves_out``
    the ``event_id`` of the event that says so, all but its content, or all; as none should, the ``room_id`` of a room
    that it made. ``state`` has the content of other state events by room, type and key. The bot may not send events of
    the types that are ``forbidden``.
    """

    events: list[Sent] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    typing: list[bool] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    encrypted_rooms: set[str] = field(default_factory=set)
    sins: list[web.Response] = field(default_factory=list)
    upload_sins: list[web.Response] = field(default_factory=list)
    download_sins: list[web.Response] = field(default_factory=list)
    encryption_sins: list[web.Response] = field(default_factory=list)
    courtesy_sins: list[web.Response] = field(default_factory=list)
    join_sins: list[web.Response] = field(default_factory=list)
    in_silence: set[str] = field(default_factory=set)
    joined: list[str] = field(default_factory=list)
    asked_of: list[str] = field(default_factory=list)
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    transactions: set[str] = field(default_factory=set)
    display_names: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    leaves_out: str = ""
    left: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    state: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    reactions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    power_levels: dict[str, int] = field(default_factory=dict)
    avatar: str = "mxc://example.com/chosen"
    # What /media/config says, at the newer path or the older, and what is refused or cut all the same, as a proxy does.
    max_upload_bytes: int | None = None
    has_old_media_config: bool = False
    proxy_takes_bytes: int | None = None
    proxy_cuts_above_bytes: int | None = None
    # How many of the next uploads end with the connection, as in a restart.
    cut_uploads: int = 0
    asked_media_config: int = 0
    refused: list[str] = field(default_factory=list)
    whoami_status: int = 200
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        room = "/_matrix/client/v3/rooms/{room}"
        app.add_routes(
            [
                web.put(room + "/send/{type}/{txn}", self._put_event),
                web.put(room + "/redact/{redacts}/{txn}", self._put_event),
                web.put(room + "/typing/{user}", self._put_typing),
                web.post(room + "/receipt/m.read/{event}", self._put_receipt),
                web.get(room + "/joined_members", self._joined_members),
                web.get(room + "/state/m.room.power_levels/", self._power_levels),
                web.get(room + "/state/m.room.power_levels", self._power_levels),
                web.get(room + "/state/m.room.create/", self._create),
                web.get(room + "/state/m.room.create", self._create),
                web.get(room + "/state/m.room.encryption/", self._encryption),
                web.get(room + "/state/m.room.encryption", self._encryption),
                web.get(room + "/state", self._all_state),
                web.get(room + "/state/{kind}/{key:.*}", self._state),
                web.post("/_matrix/client/v3/createRoom", self._make_room),
                web.get(
                    "/_matrix/client/v1/rooms/{room}/relations/{event}/m.annotation/m.reaction", self._list_reactions
                ),
                web.get("/_matrix/client/v1/rooms/{room}/relations/{event}/m.replace", self._list_edits),
                web.post(room + "/join", self._join),
                web.get("/_matrix/client/v3/joined_rooms", self._joined_rooms),
                web.get(room + "/context/{event}", self._context),
                web.get(room + "/event/{event}", self._event),
                web.get(room + "/messages", self._messages),
                web.post("/_matrix/media/v3/upload", self._upload),
                web.get("/_matrix/client/v1/media/config", self._media_config),
                web.get("/_matrix/media/v3/config", self._media_config),
                web.get("/_matrix/client/versions", self._versions),
                web.get("/_matrix/client/v3/account/whoami", self._whoami),
                web.get("/_matrix/client/v3/profile/{user}/avatar_url", self._avatar),
                web.put("/_matrix/client/v3/profile/{user}/avatar_url", self._put_avatar),
                web.get("/_matrix/media/v3/download/{server}/{media}", self._download),
            ]
        )
        return app

    async def until(self, done: Callable[[], Any]) -> Any:
        """Wait until ``done()`` is true and return its value."""
        async with asyncio.timeout(WITHIN_S):
            while not (value := done()):
                # The condition may also become true at the generator, which sends no news here.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05), self.news:
                        await self.news.wait()
            return value

    async def end_silence(self, *rooms_or_files: str) -> None:
        """Answer the requests about these, which were in silence."""
        async with self.news:
            self.in_silence.difference_update(rooms_or_files)
            self.news.notify_all()

    def as_heard(self, bot: str) -> list[dict[str, Any]]:
        """The bot's events as a room's history has them."""
        return [
            {
                "type": event.type,
                "room_id": event.room_id,
                "event_id": f"$sent-{event.txn_id}",
                "sender": bot,
                "origin_server_ts": 1,
                "content": event.content,
            }
            for event in self.events
        ]

    async def answers(self, number: int = 1) -> list[Sent]:
        """Wait for this many sentences and return them."""
        return await self.until(lambda: self.sentences() if len(self.sentences()) >= number else None)

    async def answer(self) -> str:
        return (await self.answers())[0].content["body"]

    async def files(self, number: int = 1) -> list[Sent]:
        """Wait for this many pictures or sheets, and return their recipes, which come before them."""
        return await self.until(
            lambda: self._kinds("recipe", "recipes") if len(self._kinds("picture", "sheet")) >= number else None
        )

    async def marked(self, kind: str) -> Sent:
        return (await self.until(lambda: [event for event in self.events if event.kind == kind]))[0]

    def _kinds(self, *kinds: str) -> list[Sent]:
        return [event for event in self.events if event.kind in kinds]

    def sentences(self) -> list[Sent]:
        """Notices, without those that are a recipe, or what a note of the room became."""
        others = ("recipe", "recipes", "note-edit", "note-end")
        return [
            event for event in self.events if event.content.get("msgtype") == "m.notice" and event.kind not in others
        ]

    async def _put_event(self, request: web.Request) -> web.Response:
        info = request.match_info
        await self.until_not_silent(info["room"])
        if self.sins:
            self.refused.append(info["txn"])
            return self.sins.pop(0)
        if (kind := info.get("type", "m.room.redaction")) in self.forbidden:
            self.refused.append(info["txn"])
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "power level"}, status=403)
        content = await request.json()
        if "redacts" in info:
            content = {"redacts": info["redacts"]}
        if info["txn"] not in self.transactions:
            self.transactions.add(info["txn"])
            async with self.news:
                self.events.append(Sent(info["room"], kind, info["txn"], content))
                self.news.notify_all()
        return web.json_response({"event_id": f"$sent-{info['txn']}"})

    async def _put_typing(self, request: web.Request) -> web.Response:
        if self.courtesy_sins:
            return self.courtesy_sins.pop(0)
        async with self.news:
            self.typing.append((await request.json())["typing"])
            self.news.notify_all()
        return web.json_response({})

    async def _put_receipt(self, request: web.Request) -> web.Response:
        if self.courtesy_sins:
            return self.courtesy_sins.pop(0)
        async with self.news:
            self.read.append(request.match_info["event"])
            self.news.notify_all()
        return web.json_response({})

    async def _encryption(self, request: web.Request) -> web.Response:
        await self.until_not_silent(request.match_info["room"])
        if self.encryption_sins:
            return self.encryption_sins.pop(0)
        if request.match_info["room"] in self.encrypted_rooms:
            return web.json_response({"algorithm": "m.megolm.v1.aes-sha2"})
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)

    async def _joined_members(self, request: web.Request) -> web.Response:
        await self.until_not_silent(request.match_info["room"])
        if request.match_info["room"] in self.left:
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "not there"}, status=403)
        user_ids = self.members.get(request.match_info["room"], self.display_names)
        joined = {user_id: {"display_name": self.display_names.get(user_id)} for user_id in user_ids}
        return web.json_response({"joined": joined})

    async def _state(self, request: web.Request) -> web.Response:
        info = request.match_info
        content = self.state.get((info["room"], info["kind"], info["key"]))
        if content is None:
            return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)
        return web.json_response(content)

    async def _make_room(self, request: web.Request) -> web.Response:
        """Make a room with the bot alone in it, who invites."""
        self.made.append(content := await request.json())
        room_id = f"!made-{len(self.made)}:example.com"
        self.members[room_id], self.makers[room_id], self.history[room_id] = [BOT], BOT, []
        for person in content["invite"]:
            self.state[room_id, "m.room.member", person] = {"membership": "invite"}
        return web.json_response({} if self.leaves_out == "room_id" else {"room_id": room_id})

    async def _list_reactions(self, request: web.Request) -> web.Response:
        return web.json_response({"chunk": self.reactions.get(request.match_info["event"], [])})

    async def _list_edits(self, request: web.Request) -> web.Response:
        """The edits in the room's history, the newest first."""
        edit = {"rel_type": "m.replace", "event_id": request.match_info["event"]}
        events = self.history.get(request.match_info["room"], [])
        return web.json_response({"chunk": [e for e in events[::-1] if e["content"].get("m.relates_to") == edit]})

    async def _create(self, request: web.Request) -> web.Response:
        event = self._created(request.match_info["room"])
        if self.leaves_out == "event_id":
            del event["event_id"]
        is_whole = request.query.get("format") == "event" and not self.leaves_out.startswith("all")
        return web.json_response(event if is_whole else event["content"])

    async def _all_state(self, request: web.Request) -> web.Response:
        created = self._created(request.match_info["room"])
        name = {**created, "type": "m.room.name", "content": {"name": "Kitchen"}}
        return web.json_response([name] if self.leaves_out == "all" else [name, created])

    def _created(self, room_id: str) -> dict[str, Any]:
        return {
            "type": "m.room.create",
            "state_key": "",
            "sender": self.makers.get(room_id, "@creator:example.com"),
            "event_id": "$created",
            "room_id": room_id,
            "origin_server_ts": 0,
            "content": {"room_version": "12", **self.state.get((room_id, "m.room.create", ""), {})},
        }

    async def _power_levels(self, request: web.Request) -> web.Response:
        return web.json_response({"users": self.power_levels})

    async def _joined_rooms(self, request: web.Request) -> web.Response:
        return web.json_response({"joined_rooms": list(self.history)})

    async def _join(self, request: web.Request) -> web.Response:
        if self.join_sins:
            return self.join_sins.pop(0)
        await self.until_not_silent(request.match_info["room"])
        async with self.news:
            self.joined.append(request.match_info["room"])
            self.news.notify_all()
        return web.json_response({"room_id": request.match_info["room"]})

    async def _event(self, request: web.Request) -> web.Response:
        await self.until_not_silent(request.match_info["room"])
        for event in self.history.get(request.match_info["room"], []):
            if event["event_id"] == request.match_info["event"]:
                return web.json_response(event)
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)

    async def _context(self, request: web.Request) -> web.Response:
        events = self.history.get(request.match_info["room"], [])
        ids = [event["event_id"] for event in events]
        if request.match_info["event"] not in ids:
            return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)
        at = ids.index(request.match_info["event"])
        around = {"events_before": events[:at][::-1], "events_after": events[at + 1 :]}
        return web.json_response({"end": str(at + 1), **around})

    async def _messages(self, request: web.Request) -> web.Response:
        """Return two events a page. A token is an index."""
        events = self.history.get(request.match_info["room"], [])
        if request.query["dir"] == "f":
            start = int(request.query["from"])
            chunk = events[start : start + 2]
            return web.json_response({"chunk": chunk, "end": str(start + len(chunk))} if chunk else {"chunk": []})
        end = int(request.query.get("from", len(events)))
        return web.json_response({"chunk": events[max(0, end - 2) : end][::-1], "end": str(max(0, end - 2))})

    async def until_not_silent(self, room_or_file: str) -> None:
        self.asked_of.append(room_or_file)
        async with self.news:
            await self.news.wait_for(lambda: room_or_file not in self.in_silence)

    async def _avatar(self, request: web.Request) -> web.Response:
        return web.json_response({"avatar_url": self.avatar} if self.avatar else {})

    async def _put_avatar(self, request: web.Request) -> web.Response:
        async with self.news:
            self.avatar = (await request.json())["avatar_url"]
            self.news.notify_all()
        return web.json_response({})

    async def _whoami(self, request: web.Request) -> web.Response:
        return web.json_response({"user_id": "@botname:example.com"}, status=self.whoami_status)

    async def _versions(self, request: web.Request) -> web.Response:
        return web.json_response({"versions": ["v1.9"]})

    async def _download(self, request: web.Request) -> web.Response:
        info = request.match_info
        await self.until_not_silent(info["media"])
        if self.download_sins:
            return self.download_sins.pop(0)
        return web.Response(body=self.uploads[f"mxc://{info['server']}/{info['media']}"])

    async def _media_config(self, request: web.Request) -> web.Response:
        self.asked_media_config += 1
        is_old = "/v3/" in request.path
        if self.max_upload_bytes is None or is_old != self.has_old_media_config:
            return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "no"}, status=404)
        return web.json_response({"m.upload.size": self.max_upload_bytes})

    async def _upload(self, request: web.Request) -> web.Response:
        if self.upload_sins:
            return self.upload_sins.pop(0)
        size, most = request.content_length or 0, self.proxy_cuts_above_bytes
        if self.cut_uploads or (most is not None and size > most):
            self.cut_uploads = max(0, self.cut_uploads - 1)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.proxy_takes_bytes is not None and len(await request.read()) > self.proxy_takes_bytes:
            page = "<html><h1>413 Request Entity Too Large</h1></html>"
            return web.Response(status=413, text=page, content_type="text/html")
        if self.max_upload_bytes is not None and len(await request.read()) > self.max_upload_bytes:
            return web.json_response({"errcode": "M_TOO_LARGE", "error": "no"}, status=413)
        data = await request.read()
        async with self.news:
            uri = f"mxc://example.com/{len(self.uploads)}"
            self.uploads[uri] = data
            self.news.notify_all()
        return web.json_response({"content_uri": uri})
