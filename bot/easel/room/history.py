"""Reads a room's past events: missed ones, and the bot's own. Knows neither jobs nor pictures."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from maubot.matrix import MaubotMatrixClient
from mautrix.api import Method, Path
from mautrix.errors import DecryptionError
from mautrix.types import EncryptedEvent, EncryptedMegolmEventContent, Event

from ..jobs.tables import outlasting_locks, passes
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent
from .envelope import Malformed, read_event
from .origins import is_join

# Every homeserver puts this many into one answer.
EVENTS_A_PAGE = 100

# Older commands are not drawn, and hardly cancelled any more. This many events are read in seconds, and fit in memory.
MAX_CAUGHT_UP = 2000

# An event sent just before the process ended is among the room's newest; this many are read in seconds.
MAX_LOOKED_THROUGH = 1000

# A recipe comes right before its picture, or below it; others may write something in between.
EVENTS_BETWEEN = 20

# A key that was sent comes with the next syncs, also after a homeserver's hiccup. mautrix reports a key that comes
# while it waits; one that came just before is found at the next look.
KEY_COMES_WITHIN_S = 120
LOOK_FOR_KEY_EVERY_S = 5


class RoomHistory:
    """Reads rooms as the bot sees them."""

    def __init__(self, client: MaubotMatrixClient, homeserver: Homeserver) -> None:
        self._client, self._homeserver = client, homeserver

    async def after(self, room_id: str, event_id: str) -> list[dict[str, Any]]:
        """The room's events after that one, oldest first: the newest MAX_CAUGHT_UP, as the homeserver has them.

        What came before the bot joined is left out. Raises NotSent.
        """
        missed: list[dict[str, Any]] = []
        async with aclosing(self._newest(room_id)) as raw_events:
            async for raw in raw_events:
                if raw.get("event_id") == event_id or len(missed) >= MAX_CAUGHT_UP:
                    break
                missed.append(raw)
                if is_join(raw, self._client.mxid):
                    break
        return missed[::-1]

    async def find_own(self, room_id: str, mark: dict[str, Any]) -> str | None:
        """The id of the bot's own event in that room with that mark, among its newest ones. Raises NotSent."""
        looked_through = 0
        async with aclosing(self._newest(room_id)) as raw_events:
            async for raw in raw_events:
                if raw.get("sender") == self._client.mxid and _includes(await self._content(raw, room_id), mark):
                    return str(raw["event_id"])
                looked_through += 1
                if looked_through >= MAX_LOOKED_THROUGH:
                    break
        return None

    async def content_of(self, room_id: str, event_id: str) -> dict[str, Any]:
        """The content of an event; {} where the room has none, or it came in plain text in an encrypted room.

        Raises NotSent.
        """
        _, content = await self.seen(room_id, event_id)
        return content

    async def seen(self, room_id: str, event_id: str) -> tuple[str | None, dict[str, Any]]:
        """The sender of an event of that room and its content, as for ``content_of``. Raises NotSent.

        The sender is None unless the homeserver says that the bot was in the room, as the specification has asked since
        1.11, and for an event without content.
        """
        raw = await self._event(room_id, event_id)
        content = await self._trusted_content(raw, room_id) if raw else {}
        sender, unsigned = raw.get("sender"), raw.get("unsigned")
        was_there = isinstance(unsigned, dict) and unsigned.get("membership") == "join"
        return (sender if was_there and content and isinstance(sender, str) else None), content

    async def edits_before(self, room_id: str, event_id: str, edit: str) -> list[str]:
        """The ids of an event's edits that came before that one, the newest first, if the homeserver tells."""
        try:
            page = await self._ask(Path.v1.rooms[room_id].relations[event_id]["m.replace"], limit=EVENTS_A_PAGE)
        except NotSent:
            return []
        edits = [str(raw.get("event_id")) for raw in page.get("chunk", [])]
        return edits[edits.index(edit) + 1 :] if edit in edits else []

    async def own_content_near(self, room_id: str, event_id: str, mark: dict[str, Any]) -> dict[str, Any]:
        """The content of the bot's own event with that mark, if it is near that event; else {}.

        Raises NotSent.
        """
        around = await self._ask(Path.v3.rooms[room_id].context[event_id], limit=2 * EVENTS_BETWEEN)
        for raw in (*around.get("events_before", []), *around.get("events_after", [])):
            content = await self._trusted_content(raw, room_id)
            if raw.get("sender") == self._client.mxid and _includes(content, mark):
                return content
        return {}

    async def own_reaction(self, room_id: str, event_id: str, key: str) -> str | None:
        """The id of the bot's own reaction with that key to an event. Raises NotSent."""
        relations = Path.v1.rooms[room_id].relations[event_id]["m.annotation"]["m.reaction"]
        page = await self._ask(relations, limit=EVENTS_A_PAGE)
        for raw in page.get("chunk", []):
            relation = {"m.relates_to": {"event_id": event_id, "key": key}}
            if raw.get("sender") == self._client.mxid and _includes(raw.get("content"), relation):
                return str(raw["event_id"])
        return None

    async def decrypted(self, event: EncryptedEvent) -> Event | None:
        """The decrypted event; None where the key is missing. Raises Malformed."""
        crypto = self._client.crypto
        if crypto is None:
            return None
        try:
            inside: Event = await outlasting_locks(partial(crypto.decrypt_megolm_event, event))
        except DecryptionError:
            return None
        except Exception as error:
            if passes(error):
                raise
            # As in `read_event`, mautrix raises anything.
            raise Malformed(f"mautrix cannot read what is encrypted ({type(error).__name__})") from error
        return inside

    async def has_key(self, event: EncryptedEvent) -> bool:
        """Whether the event can be decrypted now; True without crypto, since no key can come."""
        crypto = self._client.crypto
        if crypto is None or not isinstance(event.content, EncryptedMegolmEventContent):
            return True
        if not isinstance(event.content.session_id, str):
            return True
        return bool(await crypto.crypto_store.has_group_session(event.room_id, event.content.session_id))

    async def until_key(self, event: EncryptedEvent) -> None:
        """Return when the key of an event has come, or has not come within KEY_COMES_WITHIN_S."""
        crypto = self._client.crypto
        if crypto is None or not isinstance(event.content, EncryptedMegolmEventContent):
            return
        for _ in range(KEY_COMES_WITHIN_S // LOOK_FOR_KEY_EVERY_S):
            session_id = event.content.session_id
            if await crypto.wait_for_session(event.room_id, session_id, timeout=LOOK_FOR_KEY_EVERY_S):
                return

    async def _event(self, room_id: str, event_id: str) -> dict[str, Any]:
        """The event as the homeserver has it; {} if it was redacted long ago, or is not ours to see."""
        try:
            raw: dict[str, Any] = await self._ask(Path.v3.rooms[room_id].event[event_id])
        except NotSent:
            return {}
        return raw

    async def _trusted_content(self, raw: dict[str, Any], room_id: str) -> dict[str, Any]:
        """The content of an event; {} if it is another room's, or came in plain text in an encrypted room.

        A homeserver could forge both.
        """
        if raw.get("room_id", room_id) != room_id:
            return {}
        if raw.get("type") != "m.room.encrypted" and await self._homeserver.is_encrypted(room_id):
            return {}
        return await self._content(raw, room_id)

    async def _content(self, raw: dict[str, Any], room_id: str) -> dict[str, Any]:
        if raw.get("type") == "m.room.encrypted":
            try:
                decrypted = await self.decrypted(read_event(raw, room_id))
            except Malformed:
                return {}
            return dict(decrypted.content.serialize()) if decrypted else {}
        content = raw.get("content")
        return content if isinstance(content, dict) else {}

    async def _ask(self, path: Any, **query: str | int) -> Any:
        params = {key: str(value) for key, value in query.items()}
        return await self._homeserver.patiently(
            partial(self._client.api.request, Method.GET, path, query_params=params)
        )

    async def _newest(self, room_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The room's events, the newest first, page by page."""
        path, token = Path.v3.rooms[room_id].messages, None
        while True:
            since: dict[str, str] = {"from": token} if token else {}
            page = await self._ask(path, dir="b", limit=EVENTS_A_PAGE, **since)
            for raw in page["chunk"]:
                yield raw
            token = page.get("end")
            if not token or not page["chunk"]:
                return


def _includes(content: Any, wanted: Any) -> bool:
    """Whether ``content`` has everything that ``wanted`` has, at every depth."""
    if isinstance(wanted, dict):
        return isinstance(content, dict) and all(_includes(content.get(key), value) for key, value in wanted.items())
    return bool(content == wanted)
