"""A room's styles: what ``!easel style`` does. Every room has the starter set, and may replace each of it."""

from collections.abc import Mapping

from ..jobs.store import Store
from ..jobs.style_table import Style
from ..language import ParseError, brief, nearest, quoted, read_style
from ..policy.ownership import Ownership
from ..room.messages import Message
from ..room.names import shown_name
from ..sending.homeserver import Homeserver
from ..sending.rich import Text, blocks, code, points, text
from .starter_styles import STARTER_STYLES

# As many as a person can look through on a phone, and half of them, so that nobody fills a room alone.
MAX_STYLES = 100
MAX_STYLES_A_PERSON = 50

# A longer list shows long styles cut short.
MAX_IN_FULL = 20


class Styles:
    """Lists, adds and removes the styles of rooms. Each method but ``of_room`` returns the answer's text."""

    def __init__(self, store: Store, homeserver: Homeserver, ownership: Ownership) -> None:
        self._store, self._homeserver, self._ownership = store, homeserver, ownership

    async def of_room(self, room_id: str) -> Mapping[str, str]:
        """The terms of every name in that room."""
        return STARTER_STYLES | {style.name: style.words for style in await self._store.styles(room_id)}

    async def listed(self, room_id: str) -> Text:
        own, names = await self._store.styles(room_id), await self._homeserver.display_names(room_id)
        shown = brief if len(own) > MAX_IN_FULL else str
        items = [
            code(f"@{style.name}") + f": {shown(style.words)} (by {shown_name(style.made_by, names)})" for style in own
        ]
        replaced = {style.name for style in own}
        items += [code(f"@{name}") + f": {terms}" for name, terms in STARTER_STYLES.items() if name not in replaced]
        return blocks(text("Use one in any prompt: ") + code("!draw otter | style: @watercolor"), points(items))

    async def add(self, message: Message, typed: str) -> str:
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

    async def remove(self, message: Message, name: str) -> str:
        name = name.removeprefix("@").lower()
        own = {style.name: style for style in await self._store.styles(message.room_id)}
        if name in own:
            if not await self._ownership.may_change(message.room_id, own[name].made_by, message.sender):
                return f"@{name} is somebody else's. Only they or an admin can remove it."
            await self._store.forget_style(message.room_id, name)
            return f"@{name} is gone." if name not in STARTER_STYLES else f"@{name} is back to what it was at first."
        if name in STARTER_STYLES:
            return f"@{name} comes with Easel. To change it here: !easel style add {name} = …"
        near = nearest(name, own)
        return f"This room has no style {quoted(name)}." + (f" Did you mean @{near}?" if near else "")
