"""``!easel defaults``: what a person draws with in every room, if a command does not say otherwise."""

from dataclasses import fields, replace

from ..jobs.store import Store
from ..language import DrawRequest, nearest, quoted, same_name
from ..language.chat import parse_chat
from ..policy.own_defaults import FIELDS, described
from ..room.messages import Message
from ..sending.rich import Text, written

NONE = ("off", "none", "clear", "reset", "forget")

# Without any.
HOW = """You have no defaults. Choose a model, a style, a size or steps:

• `!easel defaults --style watercolor --size portrait`
• `!easel defaults --model ssd-1b --steps 20`

`!easel defaults off` forgets them."""
ONLY = "Defaults are --model, --style, --size or --ar, and --steps."
NO_NAMES = "Say the words themselves: an @name belongs to one room."
FORGOTTEN = "Your defaults are gone."


class OwnDefaults:
    """Shows, changes and forgets a person's defaults. Returns the answer's text."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def answer(self, message: Message, typed: str) -> Text:
        """Do what was typed behind the word. Raises ParseError."""
        own = await self._store.own_defaults(message.sender)
        if not typed:
            return f"Your defaults: {described(own)}" if own else written(HOW)
        if typed.lower().rstrip(".!") in NONE:
            await self._store.forget_own_defaults(message.sender)
            return FORGOTTEN
        wanted = parse_chat(typed)
        if not _has_defaults_only(wanted):
            return ONLY
        if any(term.startswith("@") for term in wanted.slots.style):
            return NO_NAMES
        known = await self._store.capabilities()
        names = [card.name for card in known.models] if known else []
        model = same_name(wanted.model, names) if wanted.model else None
        if wanted.model and known and model is None:
            near = nearest(wanted.model, names)
            return f"There's no model {quoted(wanted.model)}." + (f" Did you mean {near}?" if near else "")
        own = (own or DrawRequest()).changed_by(replace(wanted, model=model or wanted.model))
        if not described(own):
            await self._store.forget_own_defaults(message.sender)
            return FORGOTTEN
        await self._store.keep_own_defaults(message.sender, replace(own, notes=(), emptied=()))
        return f"Your defaults: {described(own)}"


def _has_defaults_only(wanted: DrawRequest) -> bool:
    """Whether a request gives a default, and nothing that cannot be one."""
    nothing = DrawRequest()
    given = {field.name for field in fields(DrawRequest) if getattr(wanted, field.name) != getattr(nothing, field.name)}
    has_other_slots = any((wanted.slots.subject, wanted.slots.outfit, wanted.slots.environment, wanted.slots.emotions))
    has_other_slots = has_other_slots or not {*wanted.emptied} <= {"style"}
    return bool(given) and given <= {"slots", "emptied", "notes", *FIELDS} and not has_other_slots
