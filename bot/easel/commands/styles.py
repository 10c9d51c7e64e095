"""A room's styles: what ``!easel style`` does. Every room has the starter set, and may replace each of it."""

import secrets
from math import ceil

from ..jobs.job import SEED_CHOICES
from ..jobs.store import Store
from ..jobs.style_table import Style
from ..language import ParseError, brief, nearest, quoted, read_style
from ..policy.ownership import Ownership
from ..room.messages import Message
from ..room.names import shown_name
from ..sending.homeserver import Homeserver
from ..sending.rich import Text, blocks, code, points, text
from .draw import DrawCommands
from .help import help_text
from .starter_styles import STARTER_STYLES, with_starter_styles

# As many as a person can look through on a phone, and half of them, so that nobody fills a room alone.
MAX_STYLES = 100
MAX_STYLES_A_PERSON = 50

# A longer list shows long styles cut short.
MAX_IN_FULL = 20

# The pictures of a sheet before the generator's first answer, which has its own limit.
MAX_ON_A_SHEET = 9

# What people say for the words after !easel style.
_WORDS = {
    **dict.fromkeys(("show", "lists", "ls", "all"), "list"),
    **dict.fromkeys(("delete", "del", "rm", "forget", "drop"), "remove"),
    **dict.fromkeys(("new", "set", "make", "create", "save"), "add"),
    **dict.fromkeys(("sheets", "try", "compare"), "sheet"),
}


class Styles:
    """Lists, adds, removes and compares the styles of rooms. Returns the answer's text, "" if a job answers."""

    def __init__(self, store: Store, homeserver: Homeserver, draw_commands: DrawCommands, ownership: Ownership) -> None:
        self._store, self._homeserver = store, homeserver
        self._draw_commands, self._ownership = draw_commands, ownership

    async def answer(self, message: Message, words: tuple[str, ...]) -> Text:
        """Do what the words behind ``!easel style`` ask for."""
        first = words[0].lower() if words else ""
        match (_WORDS.get(first, first), *words[1:]):
            case ("list", *_) | ("",):
                return await self._listed(message.room_id)
            case ("add", *rest):
                return await self._add(message, " ".join(rest))
            case ("remove", name, *_):
                return await self._remove(message, name)
            case ("sheet", *rest) if rest:
                return await self._sheets(message, " ".join(rest))
        return help_text("style")

    async def bring(self, room_id: str) -> None:
        """Bring the styles of the room that was upgraded to this one, if one was. Raises NotSent."""
        if old := await self._homeserver.predecessor(room_id):
            await self._store.copy_styles(old, to=room_id)

    async def _listed(self, room_id: str) -> Text:
        own, names = await self._store.styles(room_id), await self._homeserver.display_names(room_id)
        shown = brief if len(own) > MAX_IN_FULL else str
        items = [
            code(f"@{style.name}") + f": {shown(style.words)} (by {shown_name(style.made_by, names)})" for style in own
        ]
        replaced = {style.name for style in own}
        items += [code(f"@{name}") + f": {terms}" for name, terms in STARTER_STYLES.items() if name not in replaced]
        return blocks(text("Use one in any prompt: ") + code("!draw otter | style: @watercolor"), points(items))

    async def _add(self, message: Message, typed: str) -> str:
        """Keep the style in ``name = terms``."""
        try:
            name, terms = read_style(typed)
        except ParseError as error:
            return str(error)
        own = {style.name: style for style in await self._store.styles(message.room_id)}
        if name in own and not await self._ownership.may_change(message.room_id, own[name].made_by, message.sender):
            return f"@{name} is somebody else's. Only they or an admin can change it. Choose another name."
        if name not in own and len(own) >= MAX_STYLES:
            return f"This room has {MAX_STYLES} styles, and that's the limit. Remove one first."
        made = sum(style.made_by == message.sender for style in own.values())
        if name not in own and made >= MAX_STYLES_A_PERSON:
            return f"You made {made} styles here, and that's the limit. Remove one first."
        await self._store.keep_style(message.room_id, Style(name, terms, message.sender))
        return f"@{name} now means: {terms}"

    async def _remove(self, message: Message, name: str) -> str:
        name = name.removeprefix("@").lower()
        own = {style.name: style for style in await self._store.styles(message.room_id)}
        if name in own:
            if not await self._ownership.may_change(message.room_id, own[name].made_by, message.sender):
                return f"@{name} is somebody else's. Only they or an admin can remove it."
            answer = f"@{name} is {'back to what it was at first' if name in STARTER_STYLES else 'gone'}."
            await self._store.end_style(message.room_id, name, by=message.asked_by, answer=answer)
            return answer
        if name in STARTER_STYLES:
            return f"@{name} comes with Easel. To change it here: !easel style add {name} = …"
        near = nearest(name, own)
        return f"This room has no style {quoted(name)}." + (f" Did you mean @{near}?" if near else "")

    async def _sheets(self, message: Message, subject: str) -> str:
        """One subject in all of the room's styles, on as many sheets as they need."""
        names = sorted(with_starter_styles(await self._store.styles(message.room_id)))
        known = await self._store.capabilities()
        sheets = ceil(len(names) / (known.limits.max_recipes_per_job if known else MAX_ON_A_SHEET))
        # All have the same seed, so that they can be compared.
        seed = secrets.randbelow(SEED_CHOICES)
        for number in range(sheets):
            # Spread evenly, so that the last sheet never has a single picture.
            choices = " | ".join(f"@{name}" for name in names[number::sheets])
            text = f"{subject} | style: {{{choices}}}"
            if not await self._draw_commands.draw(message, text, asked_by=f"{message.asked_by} {number}", seed=seed):
                # The job itself answers why.
                return ""
        return f"Drawing {brief(subject)} in {len(names)} styles, on {sheets} sheet{'s' * (sheets > 1)}."
