"""Stars that people give in the gallery: a reaction of the bot in the room, which makes a favourite like any other."""

import time

from ..jobs.gallery_table import GalleryPicture
from ..jobs.store import Store
from ..room.history import RoomHistory
from ..room.reactions import FAVOURITE, as_clients_send
from ..sending.content import EventKind, reaction_content
from ..sending.send_queue import NotSent
from ..sending.sent_once import SentOnce


class Stars:
    """Puts stars into rooms, and takes back those of the bot. The caller knows who may."""

    def __init__(self, store: Store, history: RoomHistory, sent_once: SentOnce) -> None:
        self._store, self._history, self._sent_once = store, history, sent_once
        # The pictures whose star is on its way into the room, or out of it.
        self._on_its_way: dict[str, bool] = {}

    def coming(self, picture: GalleryPicture) -> bool | None:
        """Whether a picture will have a star, if one is on its way into the room or out of it; else None."""
        return self._on_its_way.get(picture.id)

    async def is_ours(self, picture: GalleryPicture) -> bool:
        """Whether a star of a picture is the bot's, and not a person's own reaction."""
        return await self._store.own_star(picture.room_id, picture.event_id) is not None

    async def change(self, picture: GalleryPicture, person: str, *, wanted: bool) -> None:
        """Give a picture a star, or take it back; does nothing while one is on its way. Raises NotSent."""
        if picture.id in self._on_its_way:
            return
        self._on_its_way[picture.id] = wanted
        try:
            await (self._put if wanted else self._take_back)(picture, person)
        finally:
            del self._on_its_way[picture.id]

    async def _put(self, picture: GalleryPicture, person: str) -> None:
        if await self.is_ours(picture):
            return
        # A homeserver takes one of a kind: a star that was offered to be pressed is now given.
        star = await self._offered(picture) or await self._sent_once.send(
            picture.job,
            picture.room_id,
            EventKind.STAR,
            reaction_content(picture.event_id, as_clients_send(FAVOURITE)),
            person=person,
            # A star that was taken back is no other's transaction.
            n=int(time.time() * 1000),
        )
        if star is not None:
            await self._store.keep_favourite(picture.room_id, star, picture.event_id)

    async def _take_back(self, picture: GalleryPicture, person: str) -> None:
        star = await self._store.own_star(picture.room_id, picture.event_id)
        if star is not None and star.event_id is not None:
            await self._sent_once.take_back(star.job, star.kind, person=person, n=star.n)
            await self._store.forget_favourite(picture.room_id, star.event_id)

    async def _offered(self, picture: GalleryPicture) -> str | None:
        try:
            return await self._history.own_reaction(picture.room_id, picture.event_id, as_clients_send(FAVOURITE))
        except NotSent:
            # A homeserver that does not list reactions.
            return None
