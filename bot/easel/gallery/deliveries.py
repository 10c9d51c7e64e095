"""Images on their way to browsers: somebody who reads slowly, or not at all, keeps a few in memory and no more."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from ..jobs.key_table import Key

# A browser asks for six at once, and a page of a picture has three.
MAX_ON_THEIR_WAY = 12


class Deliveries:
    """Knows which images have not arrived yet. The oldest of a session or a frame ends for one too many."""

    def __init__(self) -> None:
        self._requests: dict[str, list[web.Request]] = {}

    @contextmanager
    def on_its_way(self, request: web.Request, key: Key) -> Iterator[None]:
        """An image is sent meanwhile, to who asked with that key."""
        requests = self._requests.setdefault(key.hash, [])
        requests.append(request)
        if len(requests) > MAX_ON_THEIR_WAY and (connection := requests.pop(0).transport) is not None:
            connection.abort()
        try:
            yield
        finally:
            if request in requests:
                requests.remove(request)
            if not requests:
                self._requests.pop(key.hash, None)
