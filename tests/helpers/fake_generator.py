"""A fake generator over HTTP. It answers with the generator's own types; a test replaces answers with bad ones."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from generator.api import types as api
from generator.api.capabilities import Capabilities, CardDefaults, CardDraft, CardLimits, ModelCard, RequestLimits, Size

Answer = Callable[[web.Request], Any]


def card(
    name: str = "ssd-1b", *, available: bool = True, enlarge: int = 1, max_guidance_scale: float = 30
) -> ModelCard:
    return ModelCard(
        name=name,
        family="sdxl",
        source="here",
        revision=None,
        licence="free",
        about="",
        available=available,
        enlarge=enlarge,
        sizes={
            "square": Size(width=768, height=768),
            "portrait": Size(width=640, height=896),
            "landscape": Size(width=896, height=640),
        },
        defaults=CardDefaults(
            width=768,
            height=768,
            steps=30,
            guidance_scale=12,
            sampler="unipc",
            tier="exact",
            negative_prompt="ugly, text",
        ),
        limits=CardLimits(
            min_side=256,
            max_side=1536,
            max_pixels=1024 * 1024,
            max_side_from_image=1536,
            max_pixels_from_image=1152 * 1152,
            side_multiple=8,
            max_steps=100,
            min_guidance_scale=min(1, max_guidance_scale),
            max_guidance_scale=max_guidance_scale,
            max_tokens=300,
        ),
        draft=CardDraft(steps=8, guidance_scale=1, max_guidance_scale=2, sampler="lcm", lora="there"),
    )


def capabilities(version: str = "0.1.0", *cards: ModelCard) -> Capabilities:
    return Capabilities(
        version=version,
        default_model="ssd-1b",
        models=cards or (card(), card("pocket"), card("other", available=False)),
        samplers=("unipc",),
        tiers=("exact", "draft"),
        limits=RequestLimits(max_queued_jobs=100),
    )


@dataclass
class FakeGenerator:
    """A generator that answers well. A test replaces the answers of single paths with bad ones, its ``sins``."""

    capabilities: Capabilities = field(default_factory=capabilities)
    sins: dict[str, Answer] = field(default_factory=dict)
    jobs: dict[str, api.JobRequest] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    state: api.ServiceState = api.ServiceState.READY
    waiting_for: str | None = None
    notes: tuple[str, ...] = ()
    workers: tuple[api.WorkerHealth, ...] = ()
    cancelled: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        job = "/v1/jobs/{job}"
        picture = job + "/pictures/{n}"
        app.add_routes(
            [
                web.get(job + "/sheet", self._or_sin("sheet", self._sheet)),
                web.get(job + "/sheet/image", self._or_sin("sheet_image", self._bytes(b"JPEG"))),
                web.get(job + "/sheet/thumbnail", self._or_sin("sheet_thumbnail", self._bytes(b"thumb"))),
                web.get(job + "/sheet/recipes", self._or_sin("sheet_recipes", self._bytes(b"cells: []\n"))),
                web.get("/v1/health", self._or_sin("health", self._health)),
                web.get("/v1/capabilities", self._or_sin("capabilities", self._capabilities)),
                web.put("/v1/images/{sha256}", self._or_sin("image", self._image)),
                web.put(job, self._or_sin("submit", self._submit)),
                web.delete(job, self._or_sin("cancel", self._cancel)),
                web.delete(job + "/pictures", self._or_sin("forget", self._forget)),
                web.get(job + "/events", self._or_sin("events", self._events)),
                web.get(picture, self._or_sin("picture", self._bytes(b"PNG"))),
                web.get(picture + "/thumbnail", self._or_sin("thumbnail", self._bytes(b"thumb"))),
                web.get(picture + "/recipe", self._or_sin("recipe", self._bytes(b"prompt: otter\n"))),
            ]
        )
        return app

    def picture(self, job: str, n: int) -> api.Picture:
        asked = self.jobs[job].recipes[n]
        model = self.capabilities.models[0]
        defaults = model.defaults
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
            tier=asked.tier or "exact",
            image=asked.image,
            strength=(asked.strength or 0.6) if asked.image else None,
        )
        return api.Picture(
            n=n,
            filename=f"otter-{recipe.seed}.png",
            mimetype="image/png",
            size=3,
            width=recipe.width * model.enlarge,
            height=recipe.height * model.enlarge,
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

    def lines(self, job: str) -> list[api.ApiModel]:
        pictures = tuple(self.picture(job, n) for n in range(len(self.jobs[job].recipes)))
        return [
            api.StateEvent(job=self.status(job, "queued", position=1)),
            api.PositionEvent(position=1, waiting_for=self.waiting_for),
            api.HeartbeatEvent(),
            api.ProgressEvent(n=0, step=1, steps=30),
            *(api.PictureEvent(picture=picture) for picture in pictures),
            api.EndEvent(event="done", job=self.status(job, "done", pictures=pictures)),
        ]

    def wait_after(self, lines: int) -> asyncio.Event:
        """Hold a job's stream open after this many lines until the returned event is set."""
        go_on = asyncio.Event()

        async def hold(request: web.Request) -> web.StreamResponse:
            events = self.lines(request.match_info["job"])
            response = await self.stream(request, events[:lines])
            await go_on.wait()
            for line in events[lines:]:
                await response.write(line.model_dump_json().encode() + b"\n")
            return response

        self.sins["events"] = hold
        return go_on

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
            memory=api.Memory(used_bytes=3 * 2**30, total_bytes=8 * 2**30),
            queued=2,
            running=1,
            steps_per_second=2.0,
            version=self.capabilities.version,
            workers=self.workers,
        )
        return _json(health)

    async def _capabilities(self, request: web.Request) -> web.Response:
        return _json(self.capabilities)

    async def _image(self, request: web.Request) -> web.Response:
        sha256 = request.match_info["sha256"]
        self.images[sha256] = await request.read()
        return _json(api.SentImage(sha256=sha256, width=80, height=60))

    async def _submit(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        self.jobs[job] = api.JobRequest.model_validate_json(await request.read())
        return _json(self.status(job, "queued", position=1))

    async def _cancel(self, request: web.Request) -> web.Response:
        self.cancelled.append(request.match_info["job"])
        return _json(self.status(request.match_info["job"], "cancelled"))

    async def _forget(self, request: web.Request) -> web.Response:
        self.forgotten.append(request.match_info["job"])
        return web.Response(status=204)

    async def _sheet(self, request: web.Request) -> web.Response:
        sheet = api.Sheet(
            filename="otter-sheet.jpg",
            mimetype="image/jpeg",
            size=4,
            width=1232,
            height=1016,
            blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
            thumbnail_width=96,
            thumbnail_height=96,
            thumbnail_size=5,
            thumbnail_mimetype="image/jpeg",
        )
        return _json(sheet)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self.stream(request, self.lines(request.match_info["job"]))

    async def stream(self, request: web.Request, lines: list[api.ApiModel]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for line in lines:
            await response.write(line.model_dump_json().encode() + b"\n")
        return response

    def _bytes(self, data: bytes) -> Answer:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=data)

        return answer


def _json(answer: api.ApiModel, status: int = 200) -> web.Response:
    return web.Response(text=answer.model_dump_json(), content_type="application/json", status=status)


def refuse(status: int, message: str, *, code: str = "no", **headers: str) -> Answer:
    """An answer with the contract's error body."""

    async def answer(request: web.Request) -> web.Response:
        body = api.ErrorAnswer(error=api.Error(code=code, message=message)).model_dump_json()
        return web.Response(text=body, status=status, headers=headers)

    return answer
