"""The texts of ``!easel help``. The flags come from the language's own table."""

from ..language import FLAGS, SLOTS, nearest, quoted

EXAMPLE = "!draw otter, cowboy hat | style: watercolor"

HELLO = f"Hello, I am Easel. I draw what you type after !draw, for example: {EXAMPLE}"

UNREADABLE = "❓"

DRAW = f"""Type what you want to see after !draw, for example:
{EXAMPLE}
!easel help tells more."""

DRAW_FROM_PHOTO = """Say what to make of the photo, for example in a reply to it:
!draw otter, cowboy hat --strength 0.6"""

# What follows !easel, and what it does.
EASEL_COMMANDS = {
    "help": "this; !easel help flags tells flags; also slots, weights, gestures, replies, photos, lists, style, find",
    "queue": "whose turn it is, and when",
    "cancel": "cancels your last picture here, or the one you reply to; !easel cancel all cancels all of yours here",
    "models": "what can draw, at which sizes",
    "style": "the words that this room has names for, as @watercolor in a prompt; !easel help style tells more",
    "find": "pictures of this room by their words; !easel help find tells more",
    "history": "your own last pictures here",
    "status": "whether the generator is there, and how it is",
}

_OVERVIEW = f"""!draw and your words, separated by commas, draw a picture; its recipe comes with it:
{EXAMPLE}
A recipe pasted after !draw draws that picture again.

""" + "\n".join(f"!easel {command}: {does}" for command, does in EASEL_COMMANDS.items())

_SLOTS = f"""A prompt has slots: {", ".join(SLOTS)}. Plain words are the subject. The others follow a | or stand on a \
line of their own:
!draw otter, cowboy hat | outfit: denim jacket | style: (watercolor)+
Each is a flag, too: --outfit "boots, scarf\""""

_WEIGHTS = """A + behind a word or brackets means more of it, a - means less, and several mean much more:
!draw otter, (cowboy hat)++ | environment: crowd--
(cowboy hat)1.3 says it in a number, and (cowboy hat:1.3) is understood as well."""

_GESTURES = """Delete your !draw message or react to it with ❌, and it is not drawn.
Edit it, and the new words are drawn instead; what is being drawn already comes as well.
React to your picture with 🗑️, and it is removed with its recipe.
React to any picture with 🎲, and it is drawn again with another seed; with 📋, and I say the command that draws it.
With ⬆️ it is drawn half as large again. With ⭐ it is a favourite, until you take the star away.
A ❓ of mine means that I could not read your message, mostly since its key did not reach me: say it again."""

_REPLIES = """Reply to a picture or a recipe, and it is drawn anew with what you say changed:
!draw outfit: pirate coat   replaces that slot, and plain words replace the subject
!draw +scarf   adds it, !draw style: +cosy in that slot
!draw -hat   takes it away
!draw --steps 30   overrides; --seed new is the same with another seed"""

_PHOTOS = """Reply to a photo with !draw, or send a photo with !draw as its caption, and it is drawn from:
!draw otter, cowboy hat | style: watercolor --strength 0.6
The higher the strength, up to 1, the less of the photo is left."""

_LISTS = """Each choice of a list is drawn, and all come on one sheet:
!draw otter | style: {watercolor | pop art | 16-bit}
!draw otter --steps 10,20,30 --cfg 7,12
Lists multiply. --model, --sampler, --tier and --seed take lists, too, and -n 4 varies the seed.
React to the sheet with 1️⃣ to 9️⃣ to have that picture in full size, with 🎲 to have all of them with another seed."""

STYLE = """A name for words, for everybody in this room:
!easel style add cosy = (watercolor)+, soft light, cosy
!draw otter | style: @cosy
!easel style add grandpa-cat = fat orange tabby, one white paw
!draw @grandpa-cat, top hat
!easel style lists all, !easel style remove cosy takes one away, and !easel style sheet otter draws an otter in all."""


FIND = """Pictures of this room whose prompts have all these words, the newest first:
!easel find otter watercolor
by:ada or by:"Ada Lovelace" are those of one person, model:ssd-1b those of one model, ⭐ the favourites:
!easel find otter by:ada ⭐
!easel history are your own."""


def help_text(topic: str) -> str:
    """The help on a topic, "" for the overview. An unknown topic gets the nearest one."""
    topics = {
        "": _OVERVIEW,
        "draw": DRAW,
        "flags": _flags(),
        "slots": _SLOTS,
        "weights": _WEIGHTS,
        "gestures": _GESTURES,
        "replies": _REPLIES,
        "photos": _PHOTOS,
        "lists": _LISTS,
        "style": STYLE,
        "find": FIND,
    }
    if topic in topics:
        return topics[topic]
    near = nearest(topic, filter(None, topics))
    hint = f"Did you mean !easel help {near}?" if near else f"There is: {', '.join(filter(None, topics))}."
    return f"There is no help on {quoted(topic)}. {hint}"


def _flags() -> str:
    return "\n".join(f"{flag.usage}: {flag.help}" for flag in FLAGS)
