"""What holds for every request to the gallery: who asks, how often, what the answer may do in a browser."""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from logging import Logger
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from ..bug_log import log_bug
from ..jobs.key_table import Key
from ..room.envelope import storable
from ..sending.rate_limit import RateLimit
from ..sending.send_queue import NotSent
from ..settings import CurrentSettings
from . import views
from .pages import Pages
from .sessions import SESSION_S, Sessions, is_token, token_of

COOKIE = "easel_gallery"

_COOKIE = re.compile(rf"(?:^|;)\s*{COOKIE}=([^;]*)")

# The key of the session that the present request is of. aiohttp's own place for it is new.
_SESSION: ContextVar[Key | None] = ContextVar("session", default=None)

# A screen of a large desk has sixty thumbnails, and somebody scrolls fast.
BURST = 600
PER_SECOND = 20.0

# Somebody without a key gets a page that says how to get one. Behind a web server all of them have its address.
STRANGERS_BURST = 60
STRANGERS_PER_SECOND = 1.0

# A household has a few people; beyond it the one who came least lately starts anew.
MAX_KNOWN = 1000

# A form has a token and a key.
MAX_FORM_BYTES = 4096

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    # A browser may keep a page, to go back to it, and asks before it shows it again.
    "Cache-Control": "private, no-cache",
}

NOT_HERE = views.Message("That is not here", "It may have been removed. Go back, or ask for the gallery again.")
NOT_SIGNED_IN = views.Message("Hello! Say !easel gallery to Easel", "It answers with a link that opens this for you.")
USED_UP = views.Message("That link was used already, or is old", "Say !easel gallery to Easel, and it sends a new one.")
TOO_MUCH = views.Message("That was a lot at once", "Wait a moment, then try it again.")
NO_ANSWER = views.Message("I can't reach the chat right now", "Try it again in a moment.")
NOT_AGAIN = views.Message("That page was open for too long", "Go back, load it again, and press once more.")
A_BUG = views.Message("Something went wrong here", "It's noted. Try it again in a moment.")


@dataclass
class Refused(Exception):
    """A request gets a sentence in place of a page."""

    message: views.Message
    status: int


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Answers for the gallery's routes whatever goes wrong, and finds out who asks."""

    def __init__(self, sessions: Sessions, pages: Pages, settings: CurrentSettings, log: Logger) -> None:
        self._sessions, self._pages, self._settings, self._log = sessions, pages, settings, log
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, as a middleware of maubot's."""
        try:
            response = await self._handled(request, handler)
        except Refused as refused:
            response = self.page(request, refused.message, refused.status)
        except web.HTTPSeeOther as redirection:
            response = web.Response(status=303, headers={"Location": str(redirection.location)})
        except web.HTTPException:
            response = self.page(request, NOT_HERE, 404)
        except (NotSent, TimeoutError):
            response = self.page(request, NO_ANSWER, 503)
        except Exception as error:
            log_bug(self._log, f"gallery {request.method}", error)
            response = self.page(request, A_BUG, 500)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    def visitor(self) -> Key:
        """Who is signed in. Raises Refused."""
        if (key := _SESSION.get()) is None:
            raise Refused(NOT_SIGNED_IN, 403)
        return key

    async def form(self, request: web.Request) -> Mapping[str, str]:
        """What was posted. Raises Refused for more than a form has, and for what is cut off or garbled."""
        data = bytearray()
        try:
            async for part in request.content.iter_any():
                data += part
                if len(data) > MAX_FORM_BYTES:
                    raise Refused(NOT_HERE, 404)
        except (ConnectionError, web.RequestPayloadError) as error:
            raise Refused(NOT_HERE, 404) from error
        return {name: storable(value) for name, value in parse_qsl(data.decode(errors="replace"))}

    async def change(self, request: web.Request) -> tuple[Key, Mapping[str, str]]:
        """Who is signed in, and the form that came from one of our own pages. Raises Refused."""
        visitor, form = self.visitor(), await self.form(request)
        if not is_token(_cookie(request), form.get("token", "")):
            raise Refused(NOT_AGAIN, 403)
        return visitor, form

    def page(self, request: web.Request, view: Any, status: int = 200) -> web.Response:
        # A browser that is signed out may still have its cookie.
        token = token_of(_cookie(request)) if _SESSION.get() else ""
        html = self._pages.html(view, root=root_of(request), token=token)
        return web.Response(text=html, content_type="text/html", status=status)

    def sign_in(self, response: web.Response, session: str) -> None:
        """Give a browser the cookie of a session."""
        address = URL(self._settings().gallery_url)
        response.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_S,
            path=address.path,
            secure=address.scheme == "https",
            httponly=True,
            samesite="Lax",
        )

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A connection brings one request after the other, in one context.
        _SESSION.set(None)
        if not self._settings().gallery:
            raise Refused(NOT_HERE, 404)
        cookie = _cookie(request)
        session = await self._sessions.session(cookie) if cookie else None
        _SESSION.set(session)
        # A made-up cookie or key is a stranger's.
        self._count(session or await self._sessions.link_or_frame(secret_of(request)), request.remote)
        # Browsers say so of a form on another site; the cookie does not come with it either.
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Refused(NOT_AGAIN, 403)
        return await handler(request)

    def _count(self, key: Key | None, address: str | None) -> None:
        """Count a request with a key, or of strangers from one address. Raises Refused."""
        who = key.hash if key else f"from {address}"
        limit = self._limits.pop(who, None)
        if limit is None:
            known = (BURST, PER_SECOND) if key else (STRANGERS_BURST, STRANGERS_PER_SECOND)
            limit = RateLimit(*known, time.monotonic)
        self._limits[who] = limit
        while len(self._limits) > MAX_KNOWN:
            self._limits.popitem(last=False)
        if limit.wait_s():
            raise Refused(TOO_MUCH, 429)
        limit.take()


def root_of(request: web.Request) -> str:
    """The relative way from a request's address to the gallery."""
    return "../" * (request.path.count("/") - 1) or "./"


def secret_of(request: web.Request) -> str:
    """The secret of a link or a frame in an address."""
    return storable(request.query.get("key", ""))


def _cookie(request: web.Request) -> str:
    # Of several, browsers send that of the longest path first. aiohttp reads the last, which a gallery above set.
    found = _COOKIE.search(request.headers.get("Cookie", ""))
    return storable(found[1]) if found else ""
