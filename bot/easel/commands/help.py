"""Every text of ``!easel help``, the hello, and the answer to a bare ``!draw``.

A person taps an example to copy it, so examples stand in code. The flags come from the language's own table.
"""

from ..language import FLAGS, HELP_TOPICS, SLOTS, listed, nearest, quoted
from ..sending.rich import Rich, Text, blocks, code, points, written

EXAMPLE = "!draw otter, cowboy hat | style: watercolor"

# When the bot comes into a room.
HELLO = f"""Hello, I'm Easel, and I draw. Try `{EXAMPLE}`
Reply to a picture to change it, or react to it: 🎲 rolls again. `!easel help` shows the rest."""

# On a message whose key is lost.
UNREADABLE = "❓"

# On a bare !draw.
DRAW = f"""Say what you want to see:
`{EXAMPLE}`
`!easel help` shows more."""

DRAW_FROM_PHOTO = """Say what to make of the photo, for example in a reply to it:
!draw otter, cowboy hat --strength 0.6"""

# What follows !easel, and what it does.
EASEL_COMMANDS = {
    "help": "how to begin, and help on one topic",
    "queue": "whose turn it is, and when",
    "cancel": "stops your last picture; cancel all stops all",
    "models": "what can draw, at which sizes",
    "defaults": "your own model, style, size and steps",
    "every": "a picture for this room every day at 7, say",
    "style": "this room's saved styles, such as @watercolor",
    "find": "finds pictures of this room by their words",
    "history": "your own last pictures here",
    "gallery": "all your pictures in the browser",
    "frame": "this room's stars on a tablet",
    "recipe": "the recipe of your last picture, or of the one you reply to",
    "status": "how the drawing computer is",
    "doctor": "what is wrong, for admins",
}

_EXAMPLES = (EXAMPLE, "!draw {otter | owl}, scarf", "!draw otter, top hat --ar 3:4 --seed 7")

_BEGIN = """Reply to a picture with `+scarf` or `-hat` to change it.
React to it: 🎲 another roll, ⬆️ larger, ⭐ favourite, 📋 its command, 🗑️ remove.
`!easel queue` shows whose turn it is, `!easel cancel` stops your picture.

`!easel help commands` lists the rest."""

_SLOTS = f"""A prompt has slots: {", ".join(SLOTS)}. Plain words are the subject, the others follow a | or \
stand on a line of their own:

• `!draw otter, cowboy hat | outfit: denim jacket | style: (watercolor)+`

Each slot is a flag too: `--outfit "boots, scarf"`"""

_WEIGHTS = """A + behind a word or brackets means more of it, a - means less. More signs mean much more or less:

• `!draw otter, (cowboy hat)++ | environment: crowd--`

`(cowboy hat)1.3` says it as a number, and `(cowboy hat:1.3)` works too."""

_GESTURES = """On your own message:

• Delete it or react with ❌ to cancel.
• Edit it to get the new words instead. A picture that is half done still comes.

On a picture:

• 🎲 rolls again, ⬆️ draws it half as large again.
• ⭐ makes it a favourite, until you take the star away.
• 📋 brings its command, 📄 its recipe.
• 🗑️ removes it, if it's yours.

A ❓ from me means that I couldn't read your message. Please send it again."""

_REPLIES = """Reply to a picture or a recipe to change it:

• `!draw +scarf` adds it, `!draw style: +cosy` to that slot
• `!draw -hat` takes it away
• `!draw outfit: pirate coat` replaces the slot
• `!draw owl` replaces the subject
• `!draw make the hat red` says it in words, as do `!draw at night` and `!draw an owl instead`
• `!draw --steps 30` changes a setting
• `!draw --seed new` rolls again: the same words, another seed"""

_PHOTOS = """Reply to a photo, or send one with this as its caption:

• `!draw otter, cowboy hat | style: watercolor --strength 0.6`

The strength says how much of the photo changes: 0.3 changes details, 1 nearly everything."""

_LISTS = """Lists in braces come on one sheet:

• `!draw otter | style: {watercolor | pop art | 16-bit}`
• `!draw otter --steps 10,20,30 --cfg 7,12`
• `!draw otter -n 4`

Lists multiply. `--model`, `--sampler`, `--tier` and `--seed` take lists too.
React to the sheet with a number to have that picture in full size, with 🎲 to roll all of them again."""

_STYLE = """Give words a name, for everybody in this room:

• `!easel style add cosy = (watercolor)+, soft light, cosy`
• `!draw otter | style: @cosy`
• `!easel style add grandpa-cat = fat orange tabby, one white paw`
• `!draw @grandpa-cat, top hat`

`!easel style` lists all, `!easel style remove cosy` removes one, `!easel style sheet otter` draws all."""

_FIND = """Find this room's pictures by their words:

• `!easel find otter watercolor`
• `!easel find otter by:ada ⭐`

`by:ada` or `by:"Ada Lovelace"` means one person's, `model:ssd-1b` one model's, ⭐ favourites. `!easel history` lists \
your own."""

_TOPICS = {
    "draw": DRAW,
    "slots": _SLOTS,
    "weights": _WEIGHTS,
    "gestures": _GESTURES,
    "replies": _REPLIES,
    "photos": _PHOTOS,
    "lists": _LISTS,
    "style": _STYLE,
    "find": _FIND,
}


def help_text(topic: str) -> Text:
    """The help on a topic or a command, "" for the overview. An unknown topic gets the nearest one."""
    if not topic:
        return _overview()
    if topic == "flags":
        return points(code(flag.usage) + f": {flag.help}" for flag in FLAGS)
    if topic == "commands":
        return points(map(_what_it_does, EASEL_COMMANDS))
    if topic in _TOPICS:
        return written(_TOPICS[topic])
    if topic in EASEL_COMMANDS:
        return _what_it_does(topic)
    near = nearest(topic, (*HELP_TOPICS, *EASEL_COMMANDS))
    hint = f"Did you mean !easel help {near}?" if near else f"Try one of {', '.join(HELP_TOPICS)}."
    return f"I have no help on {quoted(topic)}. {hint}"


def _what_it_does(command: str) -> Rich:
    return code(f"!easel {command}") + f": {EASEL_COMMANDS[command]}"


def _overview() -> Rich:
    """Three examples to copy, then what everybody needs, on one screen of a phone."""
    topics = f"There's also help on {listed(topic for topic in HELP_TOPICS if topic != 'commands')}."
    return blocks(points(map(code, _EXAMPLES)), written(_BEGIN), topics, gap="\n\n")
