"""The shortest command that draws a picture again in its room, for 📋 and the gallery."""

from dataclasses import dataclass, replace
from functools import partial

from ..jobs.event_tables import Posted
from ..jobs.job import Job
from ..jobs.store import Store
from ..language import DrawRequest, ParseError, as_command, larger, parse_recipe
from ..policy.policy import Policy
from ..sending.content import EventKind
from ..sending.rich import Text, blocks, code
from ..side_thread import SideThread

# A recipe with a bar in a term, say.
CANNOT_BE_TYPED = "That one can't be typed. React with 📄 to get its recipe as a file."
REPLY_TO_PHOTO = "Reply to the photo with:"
REPLY_TO_PICTURE = "Reply to this picture with:"
THEN_LARGER = "Then react with ⬆️."


@dataclass(frozen=True)
class Shortest:
    """A command, None if it cannot be typed, and what people do before and after it."""

    command: str | None
    before: str = ""
    after: str = ""

    @property
    def text(self) -> Text:
        if self.command is None:
            return CANNOT_BE_TYPED
        command = code(self.command)
        return blocks(self.before, command, self.after) if self.before or self.after else command


class ShortestCommands:
    """Writes commands. A person's own defaults count, as they are the one who copies it."""

    def __init__(self, store: Store, policy: Policy, side_thread: SideThread) -> None:
        self._store, self._policy, self._side_thread = store, policy, side_thread

    async def of(self, posted: Posted, person: str) -> Shortest | None:
        """The command for a picture or its recipe; None if its recipe is gone. Raises ParseError."""
        recipe = await self._store.recipe(posted.job, posted.n)
        job = await self._store.job(posted.job)
        return None if recipe is None else await self.of_recipe(recipe, job, posted.room_id, person)

    async def of_recipe(self, recipe: str, job: Job | None, room_id: str, person: str) -> Shortest:
        """The command that draws a recipe of that job in that room. Raises ParseError."""
        if job is None or job.photo is None:
            return Shortest(await self._typed(recipe, room_id, person))
        over = await self._store.posted_in(room_id, job.photo)
        if over is None:
            return Shortest(await self._typed(recipe, room_id, person), before=REPLY_TO_PHOTO)
        if await self._is_enlarged(over, recipe):
            origin = await self.of(over, person)
            if origin and not origin.after and origin.before != REPLY_TO_PICTURE:
                return replace(origin, after=THEN_LARGER)
        if job.pictures > 1:
            # Nobody can reply to one picture of a sheet.
            return Shortest(None)
        request = await self._side_thread.recipe(recipe)
        return Shortest("!draw --seed " + str(request.seed), before=REPLY_TO_PICTURE)

    async def _typed(self, recipe: str, room_id: str, person: str) -> str | None:
        known, own = await self._store.capabilities(), await self._store.own_defaults(person)

        def write() -> str | None:
            usual = self._policy.usual(room_id, own, parse_recipe(recipe), known) if known else DrawRequest()
            return as_command(recipe, usual)

        return await self._side_thread.run(write, chars=len(recipe))

    async def _is_enlarged(self, over: Posted, recipe: str) -> bool:
        """Whether ⬆️ made the recipe of that picture's, and nothing was changed since."""
        before = await self._store.recipe(over.job, over.n) if over.kind is EventKind.PICTURE else None
        if before is None:
            return False
        return await self._side_thread.run(partial(_is_larger, before, recipe), chars=len(before) + len(recipe))


def _is_larger(before: str, after: str) -> bool:
    try:
        wanted, request = larger(parse_recipe(before)), parse_recipe(after)
    except ParseError:
        return False
    names = ("slots", "seed", "size", "strength", "model", "steps")
    return all(getattr(wanted, name) == getattr(request, name) for name in names)
