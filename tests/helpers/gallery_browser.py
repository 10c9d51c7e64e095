"""A browser in front of the gallery, which is served below a path as maubot does."""

import re
from html import unescape
from typing import Any

import aiohttp
from aiohttp import web
from maubot.plugin_server import PluginWebApp
from yarl import URL

ROOT = "/easel/"

# What browsers take for a picture and for a thumbnail.
PNG = b"\x89PNG\r\n\x1a\n and a picture"
WEBP = b"RIFF\0\0\0\0WEBP and a thumbnail"


def as_maubot_serves(webapp: PluginWebApp) -> web.Application:
    """The routes of a plugin below its path, by maubot's own lines."""

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.rel_url.path[len(ROOT) - 1 :]
        return await webapp.handle(
            request.clone(rel_url=request.rel_url.with_path(path).with_query(request.query_string))
        )

    app = web.Application()
    app.router.add_route("*", ROOT + "{rest:.*}", handle)
    return app


class Answer:
    """What came back."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status, self.headers, self.body, self.url = response.status, response.headers, body, response.url

    @property
    def text(self) -> str:
        return self.body.decode()

    def ids(self, of: str = "thumbnail") -> list[str]:
        """The ids in the page's addresses of that kind, each once."""
        return [*dict.fromkeys(re.findall(rf'"[./]*{of}/([\w-]{{22}})', self.text))]

    def hidden(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, self.text
        return unescape(found[1])

    @property
    def action(self) -> str:
        """The address that the page's form goes to, below the gallery."""
        found = re.search(r'action="[./]*([^"]*)"', self.text)
        assert found, self.text
        return unescape(found[1])


class Browser:
    """A person's browser, with its own cookies."""

    def __init__(self, port: int, path: str = ROOT) -> None:
        self._path, self._root = path, URL(f"http://127.0.0.1:{port}{path}")
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str = "", **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, data: dict[str, str], **more: Any) -> Answer:
        return await self.ask("POST", path, data=data, **more)

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        async with self.session.request(method, URL(f"{self._root}{path}", encoded=True), **more) as response:
            return Answer(response, await response.read())

    async def open(self, link: str) -> Answer:
        """Open the link of ``!easel gallery`` and press the button."""
        page = await self.get(link.partition(self._path)[2])
        assert page.status == 200, page.text
        return await self.post(page.action, {"key": page.hidden("key")})

    async def close(self) -> None:
        await self.session.close()
