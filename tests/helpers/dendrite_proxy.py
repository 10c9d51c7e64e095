"""A proxy that gives a homeserver Dendrite's habits, as they were seen on one of May 2026, with its default limits."""

import asyncio
import json
import re
from collections import Counter, defaultdict, deque
from typing import Any

from aiohttp import web

from tests.helpers.proxy import Proxy

THRESHOLD, COOLOFF_S = 5, 0.5

# What Dendrite limits for a device; messages are not among it.
_LIMITED = re.compile(r"/(typing/|receipt/|join$|join/|read_markers$|media/v3/upload$|media/config$|media/v3/config$)")
_DOWNLOAD = re.compile(r"/media/(v\d/)?download/")
_CONFIG = re.compile(r"/media/(v\d/)?config$")


class DendriteProxy(Proxy):
    """Passes everything on but what Dendrite would refuse, in its words. ``refused`` has the paths of refusals."""

    def __init__(self, homeserver: str, *, max_upload_bytes: int) -> None:
        super().__init__(homeserver)
        self._max_upload_bytes = max_upload_bytes
        self._slots: defaultdict[str, deque[float]] = defaultdict(deque)
        self._taken: Counter[str] = Counter()
        self.refused: list[str] = []

    def refuse_next(self, part: str, times: int) -> None:
        """Refuse the next requests with that in their path, as if others had taken their places."""
        self._taken[part] += times

    def _is_limited(self, path: str, caller: str) -> bool:
        for part in self._taken:
            if part in path and self._taken[part]:
                self._taken[part] -= 1
                return True
        slots, now = self._slots[caller], asyncio.get_running_loop().time()
        while slots and slots[0] <= now - COOLOFF_S:
            slots.popleft()
        if len(slots) >= THRESHOLD:
            return True
        slots.append(now)
        return False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, token = request.path, request.headers.get("Authorization", "").removeprefix("Bearer ")
        if _DOWNLOAD.search(path) and self._is_limited(path, "downloads"):
            self.refused.append(path)
            answer = json.dumps({"Code": 429, "JSON": _too_many(), "Headers": None})
            return web.Response(text=answer, content_type="application/json")
        if _LIMITED.search(path) and self._is_limited(path, token):
            self.refused.append(path)
            return web.json_response(_too_many(), status=429)
        if _CONFIG.search(path):
            return web.json_response({"m.upload.size": self._max_upload_bytes})
        body = await request.read()
        if path.endswith("/upload") and len(body) > self._max_upload_bytes:
            self.refused.append(path)
            return web.json_response({"errcode": "M_TOO_LARGE", "error": "too large"}, status=413)
        return await self.passed_on(request, body)


def _too_many() -> dict[str, Any]:
    return {
        "errcode": "M_LIMIT_EXCEEDED",
        "error": "You are sending too many requests too quickly!",
        "retry_after_ms": int(COOLOFF_S * 1000),
    }
