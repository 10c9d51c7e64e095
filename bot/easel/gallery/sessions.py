"""Who is in the gallery: links that open it once, browsers that are signed in, and frames. Knows no web.

A secret has 256 random bits, and the database has its hash alone.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256

from ..jobs.key_table import Key, KeyKind
from ..jobs.store import Store

SECRET_BYTES = 32

# Enough to switch to the direct chat and tap the link; a link that is found later opens nothing.
LINK_S = 10 * 60

# A person asks for a new link once a month.
SESSION_S = 30 * 24 * 3600

# Somebody who asks for one link after the other needs the last ones only.
MAX_LINKS_A_PERSON = 3

# A phone, a tablet and a desk, and browsers that forgot their cookie.
MAX_SESSIONS_A_PERSON = 20

# A room has a few tablets; whoever wants more can end one.
MAX_FRAMES_A_ROOM = 10


class Sessions:
    """Makes secrets and reads them again. The oldest of a person ends for one too many."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock

    async def new_link(self, person: str, room_id: str = "") -> str:
        """The secret of a link that signs a person in once; ``room_id`` is the only room that it shows, if any."""
        await self._store.forget_keys_before(KeyKind.LINK, self._before(LINK_S))
        return await self._new(KeyKind.LINK, person, room_id, MAX_LINKS_A_PERSON)

    async def link(self, secret: str) -> Key | None:
        """Whose link has that secret, if it still opens the gallery."""
        key = await self._store.key(KeyKind.LINK, _hash(secret))
        return key if key is not None and key.made_ms >= self._before(LINK_S) else None

    async def link_or_frame(self, secret: str) -> Key | None:
        return await self.link(secret) or await self.frame(secret) if secret else None

    async def sign_in(self, secret: str) -> str | None:
        """The secret of a new session for a link's, which ends; None if the link is used up or old."""
        link = await self._store.take_key(KeyKind.LINK, _hash(secret))
        if link is None or link.made_ms < self._before(LINK_S):
            return None
        await self._store.forget_keys_before(KeyKind.SESSION, self._before(SESSION_S))
        return await self._new(KeyKind.SESSION, link.person, link.room_id, MAX_SESSIONS_A_PERSON)

    async def session(self, secret: str) -> Key | None:
        """Who is signed in with that secret."""
        key = await self._store.key(KeyKind.SESSION, _hash(secret))
        return key if key is not None and key.made_ms >= self._before(SESSION_S) else None

    async def open_for(self, person: str) -> list[Key]:
        """All links and sessions of a person."""
        return [key for kind in (KeyKind.LINK, KeyKind.SESSION) for key in await self._store.keys_of(person, kind)]

    async def new_frame(self, person: str, room_id: str) -> str | None:
        """The secret of a frame with a room's stars; None if the room has MAX_FRAMES_A_ROOM."""
        if len(await self.frames(room_id)) >= MAX_FRAMES_A_ROOM:
            return None
        return await self._new(KeyKind.FRAME, person, room_id)

    async def frame(self, secret: str) -> Key | None:
        return await self._store.key(KeyKind.FRAME, _hash(secret))

    async def frames(self, room_id: str) -> list[Key]:
        """The frames of a room, the oldest first."""
        return await self._store.keys_for(room_id, KeyKind.FRAME)

    async def _new(self, kind: KeyKind, person: str, room_id: str, most: int | None = None) -> str:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        key = Key(hash=_hash(secret), kind=kind, person=person, room_id=room_id, made_ms=self._before(0))
        await self._store.keep_key(key)
        others = [other for other in await self._store.keys_of(person, kind) if other.hash != key.hash]
        for old in others[: max(0, len(others) + 1 - most)] if most else ():
            await self._store.take_key(kind, old.hash)
        return secret

    def _before(self, seconds: float) -> int:
        return int((self._clock() - seconds) * 1000)


def token_of(session: str) -> str:
    """What a form must carry to change something: no other page can know it."""
    return hmac.new(session.encode(), b"form", sha256).hexdigest()


def is_token(session: str, token: str) -> bool:
    return hmac.compare_digest(token_of(session).encode(), token.encode())


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
