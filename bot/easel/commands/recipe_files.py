"""Brings the recipe of a picture or a sheet as a file, to a person who asks for it."""

from ..jobs.event_tables import Posted
from ..jobs.job import job_id
from ..jobs.store import Store
from ..room.messages import Message
from ..sending.content import PICTURE_KINDS, SHEET_KINDS, EventKind, recipe_content
from ..sending.file_names import base_name
from ..sending.media import Media
from ..sending.sent_once import SentOnce
from ..side_thread import SideThread

# Between the recipes of a sheet.
DIVIDER = "---\n"

# Nothing of the person's is in the room, or what they replied to is no picture of Easel's.
NO_PICTURE = "Which picture? Reply to one with !easel recipe."


class RecipeFiles:
    """Sends recipes that the database has. Rooms are walls: it looks in the message's room only."""

    def __init__(self, store: Store, media: Media, sent_once: SentOnce, side_thread: SideThread) -> None:
        self._store, self._media = store, media
        self._sent_once, self._side_thread = sent_once, side_thread

    async def of_message(self, message: Message) -> str:
        """Send the recipe of the picture replied to, or of the person's newest one; return "" or why not.

        Raises NotSent.
        """
        event_id = message.reply_to
        if event_id is None:
            found = await self._store.find_pictures(message.room_id, senders={message.sender}, limit=1)
            event_id = found.pictures[0].event_id if found.pictures else None
        posted = await self._store.posted_in(message.room_id, event_id)
        if posted is None or not await self.bring(message, posted, asked_by=message.asked_by):
            return NO_PICTURE
        return ""

    async def bring(self, message: Message, posted: Posted, *, asked_by: str) -> bool:
        """Answer ``message`` with the recipe of an event of its room; return whether there is one. Raises NotSent."""
        if posted.kind not in (*PICTURE_KINDS, *SHEET_KINDS):
            return False
        recipes = await self._store.recipes(posted.job)
        is_sheet = posted.kind in SHEET_KINDS
        texts = list(recipes.values()) if is_sheet else [recipes[n] for n in (posted.n,) if n in recipes]
        if not texts:
            return False
        request = await self._side_thread.recipe(texts[0])
        name = base_name(request.slots.joined(), "sheet" if is_sheet else request.seed)
        data = DIVIDER.join(texts).encode()
        uploaded = await self._media.upload(message.room_id, data, "application/yaml")
        content = {**recipe_content(f"{name}.yml", size=len(data), recipe=uploaded), "m.relates_to": message.relation}
        await self._sent_once.send(
            job_id(asked_by), message.room_id, EventKind.RECIPE_COPY, content, person=message.sender
        )
        return True
