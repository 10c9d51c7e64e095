"""The plugin between two real servers of ours: a homeserver that keeps what it is sent, a generator that may misbehave.

Nothing of the bot is replaced: it speaks HTTP to both. What the generator says is built from the generator's own types.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from maubot.matrix import MaubotMessageEvent
from mautrix.client.state_store import MemoryStateStore
from mautrix.types import Event, EventType
from mautrix.util.config import RecursiveDict
from ruamel.yaml import YAML

from bot import EaselBot
from bot.easel.database import upgrade_table
from bot.easel.settings import Config
from generator import api

BASE_CONFIG = Path(__file__).parents[2] / "base-config.yaml"
ROOM = "!kitchen:example.com"
PERSON = "@ada:example.com"
BOT = "@botname:example.com"

Answer = Callable[[web.Request], Any]


@dataclass
class Sent:
    """An event as the homeserver got it."""

    room_id: str
    type: str
    txn_id: str
    content: dict[str, Any]

    @property
    def kind(self) -> str | None:
        return self.content.get("household.easel", {}).get("kind")


@dataclass
class Homeserver:
    """Takes events, uploads, receipts and typing. ``sins`` are answers to give to the next events instead."""

    events: list[Sent] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    typing: list[bool] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    encrypted_rooms: set[str] = field(default_factory=set)
    sins: list[web.Response] = field(default_factory=list)
    upload_sins: list[web.Response] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
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
                web.get(room + "/state/m.room.encryption/", self._encryption),
                web.get(room + "/state/m.room.encryption", self._encryption),
                web.post("/_matrix/media/v3/upload", self._upload),
            ]
        )
        return app

    async def until(self, done: Callable[[], Any]) -> Any:
        """Wait until ``done()`` is true of what came in, and return it."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: bool(done()))
            return done()

    async def answers(self, number: int = 1) -> list[Sent]:
        """The first notices, as soon as there are so many."""
        return await self.until(lambda: self._of("m.notice") if len(self._of("m.notice")) >= number else None)

    async def answer(self) -> str:
        return (await self.answers())[0].content["body"]

    async def files(self, number: int = 1) -> list[Sent]:
        return await self.until(lambda: self._of("m.file") if len(self._of("m.file")) >= number else None)

    async def marked(self, kind: str) -> Sent:
        return (await self.until(lambda: [event for event in self.events if event.kind == kind]))[0]

    def _of(self, msgtype: str) -> list[Sent]:
        return [event for event in self.events if event.content.get("msgtype") == msgtype]

    async def _put_event(self, request: web.Request) -> web.Response:
        info = request.match_info
        if self.sins:
            self.refused.append(info["txn"])
            return self.sins.pop(0)
        content = await request.json()
        if "redacts" in info:
            content = {"redacts": info["redacts"]}
        async with self.news:
            self.events.append(Sent(info["room"], info.get("type", "m.room.redaction"), info["txn"], content))
            self.news.notify_all()
        return web.json_response({"event_id": f"$sent-{info['txn']}"})

    async def _put_typing(self, request: web.Request) -> web.Response:
        async with self.news:
            self.typing.append((await request.json())["typing"])
            self.news.notify_all()
        return web.json_response({})

    async def _put_receipt(self, request: web.Request) -> web.Response:
        async with self.news:
            self.read.append(request.match_info["event"])
            self.news.notify_all()
        return web.json_response({})

    async def _encryption(self, request: web.Request) -> web.Response:
        if request.match_info["room"] in self.encrypted_rooms:
            return web.json_response({"algorithm": "m.megolm.v1.aes-sha2"})
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)

    async def _upload(self, request: web.Request) -> web.Response:
        if self.upload_sins:
            return self.upload_sins.pop(0)
        uri = f"mxc://example.com/{len(self.uploads)}"
        async with self.news:
            self.uploads[uri] = await request.read()
            self.news.notify_all()
        return web.json_response({"content_uri": uri})


def card(name: str = "ssd-1b", *, draws_noise: bool = False, available: bool = True) -> api.ModelCard:
    return api.ModelCard(
        name=name,
        family="sdxl",
        source="here",
        revision=None,
        licence="free",
        about="",
        draws_noise=draws_noise,
        available=available,
        sizes={
            "square": api.Size(width=768, height=768),
            "portrait": api.Size(width=640, height=896),
            "landscape": api.Size(width=896, height=640),
        },
        defaults=api.CardDefaults(
            width=768,
            height=768,
            steps=30,
            guidance_scale=12,
            sampler="unipc",
            tier="exact",
            negative_prompt="ugly, text",
        ),
        limits=api.CardLimits(
            min_side=256,
            max_side=1536,
            max_pixels=1024 * 1024,
            side_multiple=8,
            max_steps=100,
            min_guidance_scale=1,
            max_guidance_scale=30,
            max_tokens=300,
        ),
    )


def capabilities(version: str = "0.1.0", *cards: api.ModelCard) -> api.Capabilities:
    return api.Capabilities(
        version=version,
        default_model="ssd-1b",
        models=cards or (card(), card("stand-in", draws_noise=True), card("other", available=False)),
        samplers=("unipc",),
        tiers=("exact",),
        limits=api.RequestLimits(max_queued_jobs=100),
    )


@dataclass
class Generator:
    """A generator that answers well. A test replaces single answers, by path, with sins."""

    capabilities: api.Capabilities = field(default_factory=capabilities)
    sins: dict[str, Answer] = field(default_factory=dict)
    jobs: dict[str, api.JobRequest] = field(default_factory=dict)
    state: api.ServiceState = api.ServiceState.READY
    waiting_for: str | None = None
    notes: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        job = "/v1/jobs/{job}"
        picture = job + "/pictures/{n}"
        app.add_routes(
            [
                web.get("/v1/health", self._or_sin("health", self._health)),
                web.get("/v1/capabilities", self._or_sin("capabilities", self._capabilities)),
                web.put(job, self._or_sin("submit", self._submit)),
                web.get(job + "/events", self._or_sin("events", self._events)),
                web.get(picture, self._or_sin("picture", self._bytes(b"PNG"))),
                web.get(picture + "/thumbnail", self._or_sin("thumbnail", self._bytes(b"thumb"))),
                web.get(picture + "/recipe", self._or_sin("recipe", self._bytes(b"prompt: otter\n"))),
            ]
        )
        return app

    def picture(self, job: str, n: int) -> api.Picture:
        asked = self.jobs[job].recipes[n]
        defaults = self.capabilities.models[0].defaults
        recipe = api.Recipe(
            slots=asked.slots,
            negative_prompt=asked.negative_prompt or defaults.negative_prompt,
            theme=asked.theme or "otter",
            model=asked.model or "ssd-1b",
            seed=asked.seed or 0,
            width=asked.width or defaults.width,
            height=asked.height or defaults.height,
            steps=asked.steps or defaults.steps,
            guidance_scale=asked.guidance_scale or defaults.guidance_scale,
            sampler="unipc",
            tier="exact",
        )
        return api.Picture(
            n=n,
            filename=f"otter-{recipe.seed}.png",
            mimetype="image/png",
            size=3,
            width=recipe.width,
            height=recipe.height,
            blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
            thumbnail_width=96,
            thumbnail_height=96,
            thumbnail_size=5,
            thumbnail_mimetype="image/webp",
            prompt=recipe.prompt,
            recipe=recipe,
            facts=api.Facts(
                job=job, drawn="2026-01-01T00:00:00+00:00", seconds=4.2, model_revision="r", plan={}, notes=self.notes
            ),
        )

    def status(self, job: str, state: str, **more: Any) -> api.JobStatus:
        return api.JobStatus(id=job, state=api.JobState(state), **more)

    def lines(self, job: str) -> list[api.Words]:
        pictures = tuple(self.picture(job, n) for n in range(len(self.jobs[job].recipes)))
        return [
            api.StateEvent(job=self.status(job, "queued", position=1)),
            api.PositionEvent(position=1, waiting_for=self.waiting_for),
            api.HeartbeatEvent(),
            api.ProgressEvent(n=0, step=1, steps=30),
            *(api.PictureEvent(picture=picture) for picture in pictures),
            api.EndEvent(event="done", job=self.status(job, "done", pictures=pictures)),
        ]

    def _or_sin(self, path: str, answer: Answer) -> Answer:
        async def handler(request: web.Request) -> web.StreamResponse:
            self.asked.append(path)
            self.tokens.append(request.headers.get("Authorization"))
            return await self.sins.get(path, answer)(request)

        return handler

    async def _health(self, request: web.Request) -> web.Response:
        health = api.Health(
            state=self.state,
            device="a card",
            models=("ssd-1b",),
            queued=2,
            running=1,
            steps_per_second=2.0,
            version=self.capabilities.version,
        )
        return _json(health)

    async def _capabilities(self, request: web.Request) -> web.Response:
        return _json(self.capabilities)

    async def _submit(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        self.jobs[job] = api.JobRequest.model_validate_json(await request.read())
        return _json(self.status(job, "queued", position=1))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self.stream(request, self.lines(request.match_info["job"]))

    async def stream(self, request: web.Request, lines: list[api.Words]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for line in lines:
            await response.write(line.model_dump_json().encode() + b"\n")
        return response

    def _bytes(self, data: bytes) -> Answer:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=data)

        return answer


def _json(words: api.Words, status: int = 200) -> web.Response:
    return web.Response(text=words.model_dump_json(), content_type="application/json", status=status)


def refuse(status: int, message: str, **headers: str) -> Answer:
    """An answer that refuses as the contract says."""

    async def answer(request: web.Request) -> web.Response:
        body = api.ErrorAnswer(error=api.Error(code="no", message=message)).model_dump_json()
        return web.Response(text=body, status=status, headers=headers)

    return answer


@pytest.fixture
def refusal() -> Callable[..., Answer]:
    return refuse


class Serve:
    """Runs an app of ours on a socket path or a free TCP port, until the test ends."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []
        self._sites: dict[Path, web.UnixSite] = {}

    async def unix(self, app: web.Application, path: Path) -> None:
        self._sites[path] = web.UnixSite(await self._runner(app), path)
        await self._sites[path].start()

    async def stop_unix(self, path: Path) -> None:
        await self._sites.pop(path).stop()
        await asyncio.to_thread(path.unlink)

    async def tcp(self, app: web.Application, **options: Any) -> int:
        runner = await self._runner(app)
        await web.TCPSite(runner, "127.0.0.1", 0, **options).start()
        return runner.addresses[0][1]

    async def _runner(self, app: web.Application) -> web.AppRunner:
        self._runners.append(runner := web.AppRunner(app, shutdown_timeout=0))
        await runner.setup()
        return runner

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    serve = Serve()
    yield serve
    await serve.stop()


@pytest.fixture
async def homeserver() -> Homeserver:
    return Homeserver()


@pytest.fixture
async def generator() -> Generator:
    return Generator()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "generator.sock"


@pytest.fixture
async def maubot_test_bot(maubot_test_bot: Any, homeserver: Homeserver, serve: Serve) -> AsyncIterator[Any]:
    """maubot's own, but what it sends really goes over HTTP."""
    client = maubot_test_bot.client
    del client.send_message_event
    client.api.base_url = client.api.base_url.with_host("127.0.0.1").with_port(await serve.tcp(homeserver.app()))
    client.state_store = MemoryStateStore()
    yield maubot_test_bot
    await client.api.session.close()


@pytest.fixture
def maubot_plugin_class() -> type[EaselBot]:
    return EaselBot


@pytest.fixture
def maubot_upgrade_table() -> Any:
    return upgrade_table


@pytest.fixture
def maubot_plugin_config_dict(socket: Path) -> dict[str, Any]:
    return {"generator_url": f"unix://{socket}"}


@pytest.fixture
def maubot_plugin_config(maubot_plugin_config_dict: Any, maubot_plugin_config_overrides: Any) -> Config:
    """As maubot's server makes it: every update starts from a fresh copy of the base."""
    base = RecursiveDict(YAML().load(BASE_CONFIG))
    maubot_plugin_config_dict |= maubot_plugin_config_overrides
    return Config(load=lambda: maubot_plugin_config_dict, load_base=base.clone, save=lambda config: None)


@pytest.fixture
async def plugin(maubot_plugin: EaselBot, caplog: pytest.LogCaptureFixture) -> AsyncIterator[EaselBot]:
    # maubot's fixture gives the plugin a logger without a parent.
    maubot_plugin.log.addHandler(caplog.handler)
    yield maubot_plugin
    await maubot_plugin.internal_stop()


class Room:
    """A person who types."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._said = 0

    async def say(self, body: str, *, room_id: str = ROOM, sender: str = PERSON, **more: Any) -> str:
        return await self.put({"msgtype": "m.text", "body": body, **more}, room_id=room_id, sender=sender)

    async def put(
        self,
        content: dict[str, Any],
        *,
        type: str = "m.room.message",
        room_id: str = ROOM,
        sender: str = PERSON,
        age_s: float = 0,
        **more: Any,
    ) -> str:
        """An event, as the sync would bring it; returns its id."""
        self._said += 1
        event_id = f"$said-{self._said}"
        raw = {
            "type": type,
            "room_id": room_id,
            "event_id": event_id,
            "sender": sender,
            "origin_server_ts": int((time.time() - age_s) * 1000),
            "content": json.loads(json.dumps(content)),
            **more,
        }
        event: Any = Event.deserialize(raw)
        if event.type == EventType.ROOM_MESSAGE:
            event = MaubotMessageEvent(event, self._client)
        await asyncio.gather(*self._client.dispatch_manual_event(event.type, event, force_synchronous=True))
        return event_id


@pytest.fixture
async def room(plugin: EaselBot, maubot_test_bot: Any) -> Room:
    return Room(maubot_test_bot.client)


@pytest.fixture
async def drawing_room(room: Room, generator: Generator, serve: Serve, socket: Path) -> Room:
    """A room with a generator behind it."""
    await serve.unix(generator.app(), socket)
    return room
