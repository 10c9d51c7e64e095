"""Files in rooms: uploaded and downloaded, encrypted where the room is. Knows nothing of pictures."""

import re
import time
from functools import partial
from itertools import count
from logging import Logger
from typing import Any

import aiohttp
from maubot.matrix import MaubotMatrixClient
from mautrix.api import MediaPath, Path
from mautrix.errors import DecryptionError
from mautrix.types import ContentURI, SpecVersions

from .answers import MAX_ERROR_BYTES, TooLarge, parsed, refusal, refusal_as_file, was_cut
from .download_pace import DownloadPace
from .homeserver import Homeserver
from .send_queue import NotSent, SlowDown
from .upload_limit import UploadLimit

try:
    from mautrix.crypto.attachments import async_inplace_encrypt_attachment, decrypt_attachment
except ImportError:
    # A maubot without the encryption extra: it has no crypto either, so nothing asks for these.
    async_inplace_encrypt_attachment = decrypt_attachment = None  # type: ignore[assignment]

# A server's name, with a port perhaps, and an id, as Matrix spells them; no ".." that means another path.
_MXC = re.compile(r"mxc://(?:[a-z\d][a-z\d.-]*|\[[\da-f:.]+\])(?::\d{1,5})?/[\w-]+", re.ASCII | re.IGNORECASE)

# How often a file is asked for if refusals come in its place, and the longest pause between: Dendrite asks for half a
# second. Not more, since somebody could send a file that reads like a refusal.
REFUSED_AS_FILE = 6
REFUSED_PAUSE_S = 5.0


class Media:
    """The homeserver's store of files."""

    def __init__(self, client: MaubotMatrixClient, homeserver: Homeserver, log: Logger) -> None:
        self._client, self._homeserver, self._log = client, homeserver, log
        self._upload_limit, self._pace = UploadLimit(time.monotonic), DownloadPace(time.monotonic)

    async def upload(self, room_id: str, data: bytes, mimetype: str) -> dict[str, Any]:
        """Upload a file for the people in a room; ``{"url": …}``, or ``{"file": …}`` in an encrypted room.

        Raises NotSent, and TooLarge, after which ``upload_limit`` is smaller.
        """
        if not self._upload_limit.takes(len(data)):
            raise TooLarge(f"the homeserver takes no file of {len(data):,} bytes")
        cuts = count(1)

        async def once() -> dict[str, Any]:
            try:
                return await self._upload(room_id, data, mimetype)
            except aiohttp.ClientError as error:
                if was_cut(error) and self._upload_limit.is_cut_for_size(next(cuts), len(data)):
                    raise TooLarge(f"a file of {len(data):,} bytes was cut off again and again") from error
                raise

        try:
            return await self._homeserver.patiently(once, self._homeserver.patience.upload_s)
        except TooLarge:
            self._upload_limit.refused(len(data))
            raise

    async def upload_limit(self) -> int | None:
        """How many bytes a file may have; None if the homeserver does not say. Raises NotSent."""
        if not self._upload_limit.is_known:
            self._upload_limit.said(await self._said_limit())
        return self._upload_limit.max_bytes

    async def _said_limit(self) -> int | None:
        # The second is that of older homeservers.
        for path in (Path.v1.media.config, MediaPath.v3.config):
            try:
                answer = await self._homeserver.patiently(partial(self._homeserver.ask, "GET", path))
            except NotSent:
                continue
            size = answer.get("m.upload.size")
            # Dendrite's 0 is no limit.
            return size if isinstance(size, int) and size > 0 else None
        return None

    async def download(self, content: dict[str, Any], max_bytes: int) -> bytes | None:
        """The file of a message, decrypted; None if it is larger, or does not match the message.

        Raises NotSent.
        """
        file = content.get("file")
        source = content if file is None else file
        url = source.get("url") if isinstance(source, dict) else None
        if not isinstance(url, str) or not _MXC.fullmatch(url):
            return None
        data = await self._file(content, url, max_bytes)
        if data is None or file is None:
            return data
        try:
            return decrypt_attachment(data, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        except (DecryptionError, LookupError, TypeError, ValueError):
            return None

    async def _upload(self, room_id: str, data: bytes, mimetype: str) -> dict[str, Any]:
        if not await self._homeserver.must_encrypt(room_id):
            return {"url": await self._homeserver.upload_bytes(data, mimetype)}
        ciphertext = bytearray(data)
        file = await async_inplace_encrypt_attachment(ciphertext)
        file.url = ContentURI(await self._homeserver.upload_bytes(ciphertext, "application/octet-stream"))
        return {"file": file.serialize()}

    async def _file(self, content: dict[str, Any], url: str, max_bytes: int) -> bytes | None:
        """The file at that address; None if it is larger. Raises NotSent."""
        patience, info = self._homeserver.patience, content.get("info")
        size = info.get("size") if isinstance(info, dict) else None
        for _ in range(REFUSED_AS_FILE):
            await self._pace.turn()
            data = await self._homeserver.patiently(partial(self._download, url, max_bytes), patience.upload_s)
            # What has the size of the event's file is that file, whatever it reads like.
            refused = None if data is None or len(data) == size else refusal_as_file(data)
            if refused is None:
                return data
            if not isinstance(refused, SlowDown):
                raise NotSent(f"in a file's place came: {refused}")
            self._log.info(f"In a file's place came: {refused}")
            self._pace.refused(min(max(refused.wait_s or 0, patience.pauses_s[0]), REFUSED_PAUSE_S))
        raise NotSent("refusals came in a file's place")

    async def _download(self, url: str, max_bytes: int) -> bytes | None:
        api, data = self._client.api, bytearray()
        # Older homeservers serve their files to everyone.
        authenticated = bool((await self._client.versions()).supports(SpecVersions.V111))
        headers = {"Authorization": f"Bearer {api.token}"} if authenticated else {}
        address = api.get_download_url(url, authenticated=authenticated)
        # A redirection could lead to any machine that the bot can reach.
        async with api.session.get(address, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                error = parsed(await response.content.read(MAX_ERROR_BYTES))
                raise refusal(response.status, error, retry_after=response.headers.get("Retry-After"))
            async for chunk in response.content.iter_chunked(64 * 1024):
                data += chunk
                if len(data) > max_bytes:
                    return None
        return bytes(data)
