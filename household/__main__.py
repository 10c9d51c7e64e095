"""`make run`: a household on this machine, and a chat with its bot in the terminal.

$SAY is a single message to send; the exit status is then 0 if picture and recipe came. Without it the terminal is a
chat. $EASEL_HOUSEHOLD is the folder of the household's state, by default `.household` in the checkout. $DENDRITE is the
path of a Dendrite to take as the homeserver; its household lives in `.household-dendrite`.
"""

import asyncio
import io
import logging
import os
import signal
import sys
from pathlib import Path

from deploy.plugin import ROOT, CannotBuild
from household.chat import Chat
from household.errors import HouseholdError
from household.home import Household, household
from household.person import Person

ROOM = "Easel"
PERSON = "you"
# Accounts and rooms of one homeserver are no use on the other.
OWN_FOLDER = ROOT / (".household-dendrite" if os.environ.get("DENDRITE") else ".household")
FOLDER = Path(os.environ.get("EASEL_HOUSEHOLD") or OWN_FOLDER).absolute()


async def room_with_bot(home: Household, person: Person) -> str:
    """Return the id of the encrypted room that person and bot share, which the first run makes."""
    room_id: str | None = home.memory.recall("room")
    if room_id is None:
        room_id = await person.make_room(ROOM, encrypted=True, invite=(home.bot.user_id,))
        home.memory.remember("room", room_id)
    await person.wait_for_member(room_id, home.bot.user_id)
    return room_id


async def who_draws(home: Household) -> str:
    """Describe the default model in a sentence, and what brings a larger one."""
    capabilities = await home.generator.capabilities()
    card = next(card for card in capabilities["models"] if card["name"] == capabilities["default_model"])
    described = f"{card['name']} draws here: {card['about']}." if card["about"] else f"{card['name']} draws here."
    if card["name"] != "pocket":
        return described
    return f"{described}\nFor large pictures of anything: .venv/bin/python -m generator fetch ssd-1b"


async def live(folder: Path, say: str) -> bool:
    """Start everything, then send ``say``, or chat. Returns whether the pictures came; True after a chat."""
    print("Starting a homeserver, maubot and the generator ...", file=sys.stderr)
    async with household(folder) as home:
        person = await home.person(PERSON)
        room_id = await room_with_bot(home, person)
        chat = Chat(person, room_id=room_id, bot=home.bot.user_id, folder=folder / "pictures")
        print(await who_draws(home), file=sys.stderr)
        if say:
            return await home.unless_it_fails(chat.say_once(say))
        print(
            f"Any Matrix client on this machine can log in:\n"
            f"  homeserver  {home.url}\n"
            f"  user        {person.account.user_id}\n"
            f"  password    {person.account.password}\n"
            f"The bot is {home.bot.user_id}; its recovery key is in {folder / 'recovery-key.txt'}\n"
            f"Type a message, for example: !draw otter, cowboy hat (Ctrl-D ends)"
        )
        await home.unless_it_fails(chat.talk())
        return True


async def main() -> int:
    """Run the household; return the exit status."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for stop in (signal.SIGTERM, signal.SIGHUP):
        # nohup has SIGHUP ignored, and it stays so.
        if signal.getsignal(stop) is not signal.SIG_IGN:
            loop.add_signal_handler(stop, task.cancel)
    # The client library's warnings about keys and devices would disturb the chat.
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    # A chat in a pipe is a chat, too: each line is shown at once.
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        return 0 if await live(FOLDER, os.environ.get("SAY", "")) else 1
    except (HouseholdError, CannotBuild) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
