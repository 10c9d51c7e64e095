"""Reactions that the bot puts on a picture or a sheet, for people to press. They come when nothing else waits."""

from collections.abc import Sequence

from ..jobs.fitting import cannot_enlarge
from ..jobs.job import Job
from ..jobs.store import Store
from ..language import ParseError, larger
from ..room.reactions import (
    AGAIN,
    LARGER,
    NUMBER,
    OFFERED,
    OFFERED_EMBEDDED,
    as_clients_send,
    number_key,
)
from ..settings import CurrentSettings, Offer, RecipeAs
from ..side_thread import SideThread
from .content import EventKind, reaction_content
from .send_queue import Priority
from .sent_once import SentOnce


class Offers:
    """Offers what can be done with a person's first picture and first sheet in a room, or with all of them."""

    def __init__(
        self, *, store: Store, sent_once: SentOnce, settings: CurrentSettings, side_thread: SideThread
    ) -> None:
        self._store, self._sent_once = store, sent_once
        self._settings, self._side_thread = settings, side_thread

    async def offer(self, job: Job) -> None:
        """Put the reactions on the job's picture or sheet. Raises NotSent."""
        for kind in (EventKind.PICTURE, EventKind.SHEET):
            if not await self._is_wanted(job, kind):
                continue
            target = await self._sent_once.there(job.id, kind, 0)
            if target is not None:
                keys = await self._on_a_picture(job) if kind is EventKind.PICTURE else self._on_a_sheet(job)
                await self._put(job, target, keys)

    async def _is_wanted(self, job: Job, kind: EventKind) -> bool:
        offer = self._settings().offer_reactions
        return offer is Offer.ALWAYS or (offer is Offer.FIRST and await self._store.is_first(job, kind))

    async def _on_a_picture(self, job: Job) -> list[str]:
        settings = self._settings()
        offered = OFFERED_EMBEDDED if settings.recipe is RecipeAs.EMBEDDED else OFFERED
        return [
            as_clients_send(key)
            for key in offered
            if key in settings.reactions and (key != LARGER or await self._can_be_larger(job))
        ]

    def _on_a_sheet(self, job: Job) -> list[str]:
        reactions = self._settings().reactions
        numbers = [number_key(n + 1) for n in range(job.pictures)] if NUMBER in reactions else []
        return [*numbers, *([AGAIN] if AGAIN in reactions else [])]

    async def _put(self, job: Job, target: str, keys: Sequence[str]) -> None:
        for n, key in enumerate(keys):
            content = reaction_content(target, key)
            await self._sent_once.send_for(job, EventKind.OFFER, content, n=n, priority=Priority.OFFER)

    async def _can_be_larger(self, job: Job) -> bool:
        """Whether the model of the job's picture can draw it larger."""
        known, recipe = await self._store.capabilities(), await self._store.recipe(job.id, 0)
        if known is None or recipe is None:
            return False
        try:
            request = larger(await self._side_thread.recipe(recipe))
        except ParseError:
            return False
        return known.card(request.model) is not None and cannot_enlarge(request, known) is None
