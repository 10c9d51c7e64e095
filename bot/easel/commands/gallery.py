"""``!easel gallery`` and ``!easel frame``: links to the web pages with the pictures, for one person's eyes."""

import asyncio
from datetime import datetime
from logging import Logger

from yarl import URL

from ..gallery.sessions import MAX_FRAMES_A_ROOM, Sessions
from ..jobs.job import job_id
from ..jobs.key_table import Invited, Key
from ..jobs.store import Store
from ..policy.ownership import Ownership
from ..policy.room_profiles import has_own_rules
from ..room.direct_chats import DirectChats
from ..room.messages import Message
from ..room.names import shown_name
from ..sending.content import EventKind, answer_content
from ..sending.homeserver import Homeserver
from ..sending.rich import Rich, Text, blocks, link, numbered, text
from ..sending.send_queue import NotSent
from ..sending.sent_once import SentOnce
from ..settings import CurrentSettings

# A homeserver that is stuck with one of the bot's rooms keeps no command waiting for ever.
FOUND_WITHIN_S = 60.0

OFF = "The gallery is switched off here."
NO_ADDRESS = "The gallery has no address yet. Whoever runs me can set gallery_url in my settings, such as {}"
SENT = "The link is in our own chat."
INVITED = "I've invited you to a chat of our own. The link comes there when you accept."
NOT_SENT = "I can't reach you in a chat of our own. Start one with me, and ask there."
SIGNED_OUT = "Done. Your gallery is closed on all your devices."
NOWHERE_OPEN = "It isn't open on any of your devices."

LINK = "All your pictures. The link works once, within ten minutes:"
LINK_OF_ROOM = "This room's pictures. The link works once, within ten minutes:"
FRAME = "This room's stars, for a tablet on the wall. Keep the link to yourselves; !easel frame off ends it:"
ROOM_IS_FULL = f"This room has {MAX_FRAMES_A_ROOM} frames, and that's the limit. End one with !easel frame off 1."
NO_FRAMES = "This room has no frame. !easel frame makes one."
NONE_OF_YOURS = "None of this room's frames is yours. !easel frame list shows them."
NO_SUCH = "There's no such frame. !easel frame list shows them."
NOT_YOURS = "That frame is somebody else's. Only they or an admin can end it."
ENDED = "Ended. The tablet shows nothing any more."


class GalleryCommands:
    """Returns the answer's text; a link goes into a direct chat of the person who asked."""

    def __init__(
        self,
        *,
        store: Store,
        homeserver: Homeserver,
        sessions: Sessions,
        direct_chats: DirectChats,
        sent_once: SentOnce,
        ownership: Ownership,
        settings: CurrentSettings,
        usual_path: str,
        log: Logger,
    ) -> None:
        self._store, self._sessions, self._direct_chats, self._sent_once = store, sessions, direct_chats, sent_once
        self._homeserver, self._ownership = homeserver, ownership
        self._settings, self._usual_path, self._log = settings, usual_path, log

    async def gallery(self, message: Message, words: tuple[str, ...]) -> Text:
        """Send the link to the gallery, or sign all of a person's devices out."""
        if words[:1] == ("off",):
            return await self._end(message, await self._sessions.open_for(message.sender), SIGNED_OUT) or NOWHERE_OPEN
        return self._refusal() or await self._send(message, is_frame=False)

    async def frame(self, message: Message, words: tuple[str, ...]) -> Text:
        """Send the link to a frame of this room, list the room's frames, or end them."""
        match words:
            case ("list", *_):
                frames = await self._sessions.frames(message.room_id)
                if not frames:
                    return NO_FRAMES
                return self._listed(frames, await self._homeserver.display_names(message.room_id))
            case ("off", number, *_):
                return await self._end_frame(message, number)
            case ("off",):
                frames = await self._sessions.frames(message.room_id)
                own = [one for one in frames if one.person == message.sender]
                return await self._end(message, own, ENDED) or (NONE_OF_YOURS if frames else NO_FRAMES)

        return self._refusal() or await self._send(message, is_frame=True)

    async def joined(self, room_id: str, person: str) -> None:
        """Send what waits for a person who accepted the bot's invitation to a room. Raises NotSent."""
        if (invited := await self._store.invited(room_id, person)) is None:
            return
        if not self._refusal():
            message = Message(room_id=invited.room_id, event_id=invited.event_id, sender=person, body="")
            await self._say(message, room_id, await self._made(message, is_frame=invited.is_frame))
        await self._store.forget_invited(room_id)

    def _refusal(self) -> str:
        if not self._settings().gallery:
            return OFF
        return "" if self._settings().gallery_url else NO_ADDRESS.format(f"https://example.org{self._usual_path}")

    async def _made(self, message: Message, *, is_frame: bool) -> Text:
        """A new link to the gallery or a frame for who asked."""
        if is_frame:
            secret = await self._sessions.new_frame(message.sender, message.room_id)
            return self._linked(FRAME, "frame", secret) if secret else ROOM_IS_FULL
        only = message.room_id if has_own_rules(message.room_id, self._settings().rooms) else ""
        secret = await self._sessions.new_link(message.sender, only)
        return self._linked(LINK_OF_ROOM if only else LINK, "enter", secret)

    async def _send(self, message: Message, *, is_frame: bool) -> Text:
        try:
            if await self._sent_once.there(job_id(message.asked_by), EventKind.LINK):
                # It is read again after a restart.
                return SENT
            async with asyncio.timeout(FOUND_WITHIN_S):
                chat = await self._direct_chats.find(message.sender, message.room_id)
                if chat is None:
                    room_id = await self._direct_chats.invite(message.sender)
        except (NotSent, TimeoutError) as error:
            self._log.warning(f"No direct chat with {message.sender}: {error!r}")
            return NOT_SENT
        if chat is None:
            await self._store.keep_invited(
                Invited(
                    chat=room_id,
                    person=message.sender,
                    room_id=message.room_id,
                    event_id=message.event_id,
                    is_frame=is_frame,
                )
            )
            return INVITED
        made = await self._made(message, is_frame=is_frame)
        if chat == message.room_id:
            return made
        await self._say(message, chat, made)
        return SENT

    async def _say(self, message: Message, room_id: str, words: Text) -> None:
        content = answer_content(words)
        await self._sent_once.send(job_id(message.asked_by), room_id, EventKind.LINK, content, person=message.sender)

    async def _end(self, message: Message, keys: list[Key], answer: str) -> str:
        """End keys, and note the answer to that; "" without any."""
        if not keys:
            return ""
        await self._store.end_keys(keys, by=message.asked_by, answer=answer)
        return answer

    async def _end_frame(self, message: Message, number: str) -> str:
        frames = await self._sessions.frames(message.room_id)
        if not (number.isascii() and number.isdecimal()) or not 1 <= int(number[:4]) <= len(frames):
            return NO_SUCH
        frame = frames[int(number[:4]) - 1]
        if not await self._ownership.may_change(message.room_id, frame.person, message.sender):
            return NOT_YOURS
        return await self._end(message, [frame], ENDED)

    def _linked(self, words: str, page: str, secret: str) -> Rich:
        url = str((URL(self._settings().gallery_url) / page).with_query(key=secret))
        return Rich(f"{words}\n{url}", blocks(words, link(url, url)).html)

    def _listed(self, frames: list[Key], names: dict[str, str]) -> Text:
        zone = self._settings().time_zone
        days = (datetime.fromtimestamp(frame.made_ms / 1000, zone) for frame in frames)
        items = (
            text(f"By {shown_name(frame.person, names)}, since {day.day} {day:%B %Y}")
            for frame, day in zip(frames, days, strict=True)
        )
        return blocks(numbered(items), "!easel frame off 1 ends the first.")
