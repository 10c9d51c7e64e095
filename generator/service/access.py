"""The middlewares of the HTTP side: who may call, and errors as JSON. Knows no jobs but their full queue."""

import hmac
import logging
import math
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Middleware

from generator.api.limits import MAX_REQUEST_BYTES
from generator.api.refusals import MAX_SHOWN_CHARS
from generator.api.types import Error, ErrorAnswer
from generator.errors import GeneratorError
from generator.service.connections import Admitted
from generator.service.jobs import QueueFull

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_STATUSES = {
    "bad_json": 400,
    "unknown": 404,
    "gone": 404,
    "too_slow": 408,
    "conflict": 409,
    "image_too_large": 413,
    "not_ended": 409,
    "queue_full": 429,
    "draining": 503,
}

_HTTP_ERRORS = {
    404: ("unknown", "There is no such address; GET /openapi.json lists them."),
    405: ("wrong_method", "This address does not take this method; GET /openapi.json lists them."),
    413: (
        "too_large",
        f"A request can have {MAX_REQUEST_BYTES // 1024} KB. Ask for fewer pictures.",
    ),
}


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with an `ErrorAnswer`; a bug is logged and answered with 500."""
    try:
        return await handler(request)
    except GeneratorError as error:
        status = _STATUSES.get(error.error.code, 422)
        headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, QueueFull) else {}
        return _error(status, error.error, headers)
    except web.HTTPException as error:
        code, message = _HTTP_ERRORS.get(error.status, ("http", f"{error.reason}."))
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _error(error.status, Error(code=code, message=message), headers)
    except (ConnectionError, web.RequestPayloadError):
        # The client has hung up, or sent no chunks.
        return _error(400, Error(code="bad_body", message="The request ended too early, or its chunks cannot be read."))
    except Exception:
        log.exception("%s %s met a bug", request.method, request.path)
        return _error(500, Error(code="internal", message="Something went wrong in the generator; its log says what."))


def guard(*, token: str | None, allowed_hosts: Collection[str], admitted: Admitted) -> Middleware:
    """Make a middleware that over TCP requires an allowed Host and the token, since browsers reach loopback, too.

    The permissions of the socket file guard the UNIX socket. Adds the connections of those who may to ``admitted``.
    """
    expected = f"Bearer {token}".encode() if token else None
    hosts = {host.lower().strip("[]") for host in (*allowed_hosts, *LOOPBACK_NAMES)}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_unix(request):
            return await let_in(request, handler)
        host = request.headers.get("Host", "")
        if _host_name(host) not in hosts:
            shown = host[:MAX_SHOWN_CHARS].encode("ascii", "backslashreplace").decode()
            message = f"This generator does not go by “{shown}”; its setting tcp_allowed_hosts can allow it."
            return _error(403, Error(code="wrong_host", message=message))
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if expected is None or not hmac.compare_digest(given, expected):
            message = "This generator needs its token (Authorization: Bearer …)."
            return _error(401, Error(code="unauthorized", message=message), {"WWW-Authenticate": "Bearer"})
        return await let_in(request, handler)

    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport:
            admitted.add(request.transport)
        return await handler(request)

    return check


def _is_unix(request: web.Request) -> bool:
    # A UNIX socket's name is a path, another socket's a tuple.
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return isinstance(name, str | bytes)


def _host_name(host: str) -> str:
    """Strip a Host header of its port, and of the brackets around an IPv6 address."""
    name, colon, port = host.lower().rpartition(":")
    return (name if colon and port.isdigit() else host.lower()).strip("[]")


def _error(status: int, error: Error, headers: dict[str, str] | None = None) -> web.Response:
    body = ErrorAnswer(error=error).model_dump_json()
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
