"""The answer to 📋: the shortest command that draws a picture again, for the room that it is in."""

from functools import partial

from ..jobs.event_tables import Posted
from ..jobs.store import Store
from ..language import DrawRequest, ParseError, as_command, larger, parse_recipe
from ..policy.policy import Policy
from ..sending.content import EventKind
from ..sending.rich import Text, blocks, code
from ..side_thread import SideThread

# A recipe with a bar in a term, say.
CANNOT_BE_TYPED = "That one can't be typed. React with 📄 to get its recipe as a file."
REPLY_TO_PHOTO = "Reply to the photo with:"
THEN_LARGER = "Then react with ⬆️."


class ShortestCommands:
    """Writes commands. A person's own defaults count, as they are the one who copies it."""

    def __init__(self, store: Store, policy: Policy, side_thread: SideThread) -> None:
        self._store, self._policy, self._side_thread = store, policy, side_thread

    async def of(self, posted: Posted, person: str) -> Text | None:
        """The command for a picture or its recipe; None if its recipe is gone. Raises ParseError."""
        recipe, job = await self._store.recipe(posted.job, posted.n), await self._store.job(posted.job)
        if recipe is None:
            return None
        if job is None or job.photo is None:
            return await self._command(recipe, posted.room_id, person)
        if (origin := await self._enlarged(job.photo, recipe)) is not None:
            command = await self._command(origin, posted.room_id, person)
            return command if command == CANNOT_BE_TYPED else blocks(command, THEN_LARGER)
        command = await self._command(recipe, posted.room_id, person)
        return command if command == CANNOT_BE_TYPED else blocks(REPLY_TO_PHOTO, command)

    async def typed(self, recipe: str, room_id: str, person: str) -> str | None:
        """The command that draws a recipe in that room; None if it cannot be typed. Raises ParseError."""
        known, own = await self._store.capabilities(), await self._store.own_defaults(person)

        def write() -> str | None:
            usual = self._policy.usual(room_id, own, parse_recipe(recipe), known) if known else DrawRequest()
            return as_command(recipe, usual)

        return await self._side_thread.run(write, chars=len(recipe))

    async def _command(self, recipe: str, room_id: str, person: str) -> Text:
        command = await self.typed(recipe, room_id, person)
        return CANNOT_BE_TYPED if command is None else code(command)

    async def _enlarged(self, photo: str, recipe: str) -> str | None:
        """The recipe of the picture that ⬆️ made this one of, if it is one of ours and was not changed since."""
        origin = await self._store.posted_as(photo)
        if origin is None or origin.kind is not EventKind.PICTURE:
            return None
        text = await self._store.recipe(origin.job, origin.n)
        if text is None:
            return None
        is_so = await self._side_thread.run(partial(_is_enlarged, text, recipe), chars=len(text) + len(recipe))
        return text if is_so else None


def _is_enlarged(before: str, after: str) -> bool:
    try:
        wanted, request = larger(parse_recipe(before)), parse_recipe(after)
    except ParseError:
        return False
    names = ("slots", "seed", "size", "strength", "model", "steps")
    return all(getattr(wanted, name) == getattr(request, name) for name in names)
