"""The gallery's addresses. Each handler asks who is there, reads one view or file, and answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from aiohttp import web
from maubot.plugin_server import PluginWebApp
from yarl import URL

from ..background import Start
from ..commands.recipe_files import DIVIDER
from ..jobs.gallery_table import GalleryPicture
from ..jobs.key_table import Key
from ..room.envelope import storable
from ..room.reactions import FAVOURITE, REMOVE
from ..settings import CurrentSettings
from . import views
from .deliveries import Deliveries
from .guard import HEADERS, NOT_HERE, USED_UP, Guard, Refused, secret_of
from .pages import Pages
from .pictures import Image, PictureFiles
from .reading import Reading
from .searching import read_search
from .sessions import Sessions
from .stars import Stars
from .zipped import MAX_ZIPPED, zipped

T = TypeVar("T")

# What goes into the room goes with everything else that is sent there; a browser is not kept waiting for a full queue,
# only for what a homeserver refuses at once. Pages show a change that is on its way as done.
WAITED_S = 3.0

# Its address has their version.
FOR_EVER = "public, max-age=31536000, immutable"

PICK_TWO = views.Message("Please tick two pictures", "Then I lay them side by side.")
PICK_SOME = views.Message("Please tick some pictures", f"I pack up to {MAX_ZIPPED} at once.")


class Remove(Protocol):
    async def __call__(self, room_id: str, event_id: str, *, by: str) -> bool:
        """Remove a picture from its room, if ``by`` may; return whether it was done. Raises NotSent."""


class Routes:
    """One method an address."""

    def __init__(
        self,
        *,
        guard: Guard,
        sessions: Sessions,
        reading: Reading,
        files: PictureFiles,
        stars: Stars,
        remove: Remove,
        pages: Pages,
        settings: CurrentSettings,
        start: Start,
    ) -> None:
        self._guard, self._sessions, self._reading, self._files = guard, sessions, reading, files
        self._stars, self._remove, self._pages, self._settings = stars, remove, pages, settings
        self._start, self._deliveries = start, Deliveries()

    def add_to(self, webapp: PluginWebApp) -> None:
        # maubot's annotation knows no streams.
        guard: Any = self._guard
        webapp.add_middleware(guard)
        for path, handler in {
            "/": self._grid,
            "/picture/{id}": self._picture,
            "/compare": self._compare,
            "/bin/{id}": self._ask_to_bin,
            "/thumbnail/{id}": self._thumbnail,
            "/image/{id}": self._image,
            "/photo/{id}": self._photo,
            "/download/{id}": self._download,
            "/zip": self._zip,
            "/enter": self._ask_to_enter,
            "/frame": self._frame,
            "/frame/{id}": self._frame_image,
            "/static/{name}": self._static,
        }.items():
            webapp.add_get(path, handler)
        webapp.add_post("/enter", self._enter)
        webapp.add_post("/star/{id}", self._star)
        webapp.add_post("/bin/{id}", self._bin)

    # ---- pages

    async def _grid(self, request: web.Request) -> web.StreamResponse:
        visitor, query = self._guard.visitor(), request.query
        grid = await self._reading.grid(
            visitor,
            read_search(query),
            before=query.get("before", ""),
            is_selecting="select" in query,
            selected=_ids(request)[:MAX_ZIPPED] if "select" in query else (),
        )
        return self._guard.page(request, grid)

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        visitor = self._guard.visitor()
        view = await self._reading.picture(visitor, _id(request), read_search(request.query))
        return self._guard.page(request, _there(view))

    async def _compare(self, request: web.Request) -> web.StreamResponse:
        visitor, picture_ids = self._guard.visitor(), _ids(request)
        if len(picture_ids) != 2:
            raise Refused(PICK_TWO, 400)
        return self._guard.page(request, _there(await self._reading.comparison(visitor, picture_ids)))

    async def _ask_to_bin(self, request: web.Request) -> web.StreamResponse:
        picture = await self._may_bin(self._guard.visitor(), request)
        return self._guard.page(request, self._reading.bin(picture))

    # ---- files

    async def _thumbnail(self, request: web.Request) -> web.StreamResponse:
        _, picture = await self._seen(request)
        return await self._sent(request, picture, self._files.thumbnail)

    async def _image(self, request: web.Request) -> web.StreamResponse:
        visitor, picture = await self._seen(request)
        return await self._deliver(request, visitor, await self._sent(request, picture, self._files.image))

    async def _photo(self, request: web.Request) -> web.StreamResponse:
        visitor, picture = await self._seen(request)
        return await self._deliver(request, visitor, _answer(_there(await self._files.photo(picture, visitor.person))))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        visitor, picture = await self._seen(request)
        image = _there(await self._files.image(picture))
        return await self._deliver(request, visitor, _answer(image, name=_file_name(picture)))

    async def _zip(self, request: web.Request) -> web.StreamResponse:
        visitor, picture_ids = self._guard.visitor(), _ids(request)
        if not 0 < len(picture_ids) <= MAX_ZIPPED:
            raise Refused(PICK_SOME, 400)
        for picture_id in picture_ids:
            _there(await self._reading.seen(visitor, picture_id))
        response = web.StreamResponse(headers={**HEADERS, "Content-Disposition": 'attachment; filename="pictures.zip"'})
        response.content_type = "application/zip"
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        # A browser that goes away ends it.
        with suppress(ConnectionError), self._deliveries.on_its_way(request, visitor):
            async for part in zipped(self._packed(visitor, picture_ids)):
                await response.write(part)
        return response

    async def _packed(self, visitor: Key, picture_ids: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
        """The files of a zip: each picture that is there at that moment, with its recipe."""
        missing = 0
        for number, picture_id in enumerate(picture_ids, start=1):
            picture = image = None
            with suppress(TimeoutError):
                picture = await self._reading.seen(visitor, picture_id)
                image = await self._files.image(picture) if picture else None
            if picture is None or image is None:
                missing += 1
                continue
            name, ending = f"{number:02}-{_file_name(picture)}".rsplit(".", 1)
            yield f"{name}.{ending}", image.data
            yield f"{name}.yml", DIVIDER.join((await self._reading.recipe_texts(picture)).values()).encode()
        if missing:
            yield "missing.txt", f"{missing} of {len(picture_ids)} pictures did not come. Try it again.\n".encode()

    async def _static(self, request: web.Request) -> web.StreamResponse:
        file = _there(self._pages.static.get(request.match_info["name"]))
        return web.Response(body=file.data, headers={"Content-Type": file.mimetype, "Cache-Control": FOR_EVER})

    # ---- the way in

    async def _ask_to_enter(self, request: web.Request) -> web.StreamResponse:
        """A page with a button: what looks at links for a preview presses none."""
        secret = secret_of(request)
        if await self._sessions.link(secret) is None:
            raise Refused(USED_UP, 403)
        return self._guard.page(request, views.Enter(secret))

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        session = await self._sessions.sign_in((await self._guard.form(request)).get("key", ""))
        if session is None:
            raise Refused(USED_UP, 403)
        response = web.Response(status=303, headers={"Location": "./"})
        self._guard.sign_in(response, session)
        return response

    async def _frame(self, request: web.Request) -> web.StreamResponse:
        frame = _there(await self._reading.frame(await self._key(request), storable(request.query.get("after", ""))))
        return self._guard.page(request, replace(frame, secret=request.query["key"]))

    async def _frame_image(self, request: web.Request) -> web.StreamResponse:
        key = await self._key(request)
        picture = _there(await self._reading.starred(key, _id(request)))
        return await self._deliver(request, key, await self._sent(request, picture, self._files.image))

    async def _key(self, request: web.Request) -> Key:
        return _there(await self._sessions.frame(secret_of(request)))

    # ---- what changes the room

    async def _star(self, request: web.Request) -> web.StreamResponse:
        visitor, form = await self._guard.change(request)
        picture = _there(await self._reading.seen(visitor, _id(request)))
        if FAVOURITE not in self._settings().reactions:
            raise Refused(NOT_HERE, 404)
        change = self._stars.change(picture, visitor.person, wanted=bool(form.get("star")))
        await self._in_the_room(change, f"star on {picture.event_id}")
        search = read_search(request.query).query()
        raise web.HTTPSeeOther(URL(f"../picture/{picture.id}{search}", encoded=True))

    async def _bin(self, request: web.Request) -> web.StreamResponse:
        visitor, _ = await self._guard.change(request)
        picture = await self._may_bin(visitor, request)

        async def remove() -> None:
            with self._reading.without(picture):
                await self._remove(picture.room_id, picture.event_id, by=visitor.person)

        await self._in_the_room(remove(), f"removal of {picture.event_id}")
        raise web.HTTPSeeOther("../")

    async def _may_bin(self, visitor: Key, request: web.Request) -> GalleryPicture:
        """The picture of an address, if the visitor may remove it."""
        picture = _there(await self._reading.seen(visitor, _id(request)))
        if REMOVE not in self._settings().reactions or not await self._reading.may_bin(visitor, picture):
            raise Refused(NOT_HERE, 404)
        return picture

    async def _in_the_room(self, change: Coroutine[Any, Any, None], name: str) -> None:
        """Do something in the room, and go on without the browser if it takes long. Raises NotSent."""
        task = self._start(change, name)
        done, _ = await asyncio.wait({task}, timeout=WAITED_S)
        if done:
            task.result()

    # ---- what they share

    async def _seen(self, request: web.Request) -> tuple[Key, GalleryPicture]:
        visitor = self._guard.visitor()
        return visitor, _there(await self._reading.seen(visitor, _id(request)))

    async def _sent(
        self,
        request: web.Request,
        picture: GalleryPicture,
        fetch: Callable[[GalleryPicture], Awaitable[Image | None]],
    ) -> web.Response:
        """An image that a browser may keep, and shows again once it heard that the person may still see it."""
        etag = f'"{picture.id}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        response = _answer(_there(await fetch(picture)))
        response.headers["ETag"] = etag
        return response

    async def _deliver(self, request: web.Request, key: Key, response: web.Response) -> web.Response:
        """Send an answer with a large image, which is in memory until the browser has it, or goes away."""
        response.headers.update(HEADERS)
        with suppress(ConnectionError), self._deliveries.on_its_way(request, key):
            await response.prepare(request)
            await response.write_eof()
        return response


def _there(found: T | None) -> T:
    """What was found. Raises Refused: what is not there and what is not the visitor's get the same answer."""
    if found is None:
        raise Refused(NOT_HERE, 404)
    return found


def _answer(image: Image, *, name: str = "") -> web.Response:
    response = web.Response(body=image.data, content_type=image.mimetype)
    if name:
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    return response


def _file_name(picture: GalleryPicture) -> str:
    """The name that the picture has in the room."""
    return str(picture.content.get("filename") or "picture.png").replace("/", "-")


def _id(request: web.Request) -> str:
    return storable(request.match_info["id"])


def _ids(request: web.Request) -> list[str]:
    """The pictures that were ticked, each once."""
    return [*dict.fromkeys(storable(picture_id) for picture_id in request.query.getall("id", []))]
