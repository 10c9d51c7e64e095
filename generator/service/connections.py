"""Accepts connections, each socket by itself and within limits, so that silent clients keep nobody out.

Knows nothing of what is asked over a connection but whether its caller may call.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from weakref import WeakSet

from aiohttp import web

log = logging.getLogger(__name__)

# On each socket. More than the streams of 100 waiting jobs, and with two sockets less than the 1,024 files that a
# process may usually open.
MAX_CONNECTIONS = 400

# A client sends its request's head at once; also how long a connection may idle between two requests.
SILENCE_S = 10.0

# How long the rest of a refused request is read, so that its sender sees the answer.
LINGERING_S = 2.0

# How long clients may take at shutdown to read the rest of an answer.
LAST_ANSWERS_S = 5.0

# The time between two tries while the process has no files left.
NO_FILES_PAUSE_S = 1.0

# Connections whose caller may call, as found at their last request.
Admitted = WeakSet[asyncio.BaseTransport]


def make_runner(app: web.Application, *, last_answers_s: float = LAST_ANSWERS_S) -> web.AppRunner:
    """Make aiohttp's runner, which closes a connection that is silent for SILENCE_S."""
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=last_answers_s,
        keepalive_timeout=SILENCE_S,
        lingering_time=LINGERING_S,
        # Nobody sends compressed requests.
        auto_decompress=False,
    )


class Site(web.BaseSite):
    """Accepts on one socket. At MAX_CONNECTIONS, a new connection replaces the oldest one that is not admitted."""

    def __init__(self, runner: web.AppRunner, listener: socket.socket, admitted: Admitted) -> None:
        super().__init__(runner)
        self._listener, self._admitted = listener, admitted
        self._open: list[asyncio.Transport] = []
        self._accepting: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return str(self._listener.getsockname())

    async def start(self) -> None:
        await super().start()
        self._listener.setblocking(False)
        self._listener.listen(self._backlog)
        self._accepting = asyncio.create_task(self._accept(), name=f"accept on {self.name}")

    async def stop(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        self._listener.close()
        await super().stop()

    async def _accept(self) -> None:
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        protocol: Callable[[], asyncio.BaseProtocol] = server
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
                transport, _ = await loop.connect_accepted_socket(protocol, connection)
            except OSError as error:
                log.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(NO_FILES_PAUSE_S)
                continue
            self._open = [other for other in self._open if not other.is_closing()]
            if len(self._open) >= MAX_CONNECTIONS:
                self._make_room()
            self._open.append(transport)

    def _make_room(self) -> None:
        """Close the oldest connection that is not admitted; if all are, the oldest."""
        closed = next((other for other in self._open if other not in self._admitted), self._open[0])
        log.warning("%d connections are open on %s: the oldest without access is closed", len(self._open), self.name)
        closed.abort()
