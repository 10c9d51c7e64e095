"""The terminal as a small chat: sends what is typed, shows the bot's messages, saves its pictures."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from itertools import chain, count
from pathlib import Path

from household.errors import HouseholdError
from household.heard import Heard
from household.person import Person

# The bot marks a command as read within a second, and says nothing to much that is no command.
COMMAND_LIMIT_S = 60

# SSD-1B on a CPU needs many minutes for a picture; if none will come, the bot itself answers long before.
PICTURE_LIMIT_S = 60 * 60

# The kinds that the bot marks its events with: a final answer without a picture, the two events of every picture, and
# the two of a sheet.
ANSWER, PICTURE, RECIPE, SHEET, RECIPES = "answer", "picture", "recipe", "sheet", "recipes"


class Chat:
    """One person's view of one room with the bot in it. Files are saved to ``folder``."""

    def __init__(self, person: Person, *, room_id: str, bot: str, folder: Path) -> None:
        self._person, self._room_id, self._bot, self._folder = person, room_id, bot, folder

    async def say_once(self, text: str) -> bool:
        """Send a message; print the paths of its pictures and recipes, and captions and other answers to stderr.

        Returns False if no picture came.
        """
        message = await self._person.say(self._room_id, text)

        def replies(*kinds: str) -> list[Heard]:
            return [
                event for event in self._person.heard if event.reply_to == message and event.mark.get("kind") in kinds
            ]

        def has_ended() -> bool:
            # Recipes come before their pictures.
            pictures = replies(PICTURE)
            are_all_here = bool(pictures) and len(pictures) == pictures[0].mark["count"]
            return bool(replies(ANSWER)) or bool(replies(SHEET)) or are_all_here

        def is_understood() -> bool:
            return has_ended() or self._person.sees_read(self._room_id, self._bot) == message

        try:
            await self._person.until(is_understood, timeout_s=COMMAND_LIMIT_S)
        except TimeoutError:
            print("The bot says nothing to that. A command is, for example: !draw otter, cowboy hat", file=sys.stderr)
            return False
        try:
            await self._person.until(has_ended, timeout_s=PICTURE_LIMIT_S)
        except TimeoutError:
            print(f"No answer within {PICTURE_LIMIT_S // 60} minutes.", file=sys.stderr)
        for event in replies(ANSWER, PICTURE, SHEET):
            print(event.body, file=sys.stderr)
        # Each picture, then its recipe.
        files = sorted(replies(PICTURE, RECIPE, SHEET, RECIPES), key=lambda event: (event.mark["n"], is_recipe(event)))
        for event in files:
            print(await self._save(event))
        return bool(replies(PICTURE, SHEET))

    async def talk(self) -> None:
        """Send each typed line as a message, and show each of the bot's events, until the end of the input."""
        showing = asyncio.create_task(self._show(), name="show what is heard")
        try:
            async for line in typed_lines():
                if line.strip():
                    await self._say(line)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def _say(self, line: str) -> None:
        try:
            await self._person.say(self._room_id, line)
        except HouseholdError as error:
            print(error, file=sys.stderr)

    async def _show(self) -> None:
        async for event in self._person.listen():
            if event.room_id == self._room_id and event.sender == self._bot:
                await self._show_event(event)

    async def _show_event(self, event: Heard) -> None:
        # A recipe comes as a notice with a file, and an edit makes it one.
        if event.content.get("m.relates_to", {}).get("rel_type") == "m.replace" and "filename" in event.content:
            return
        if "filename" in event.content:
            caption = event.body if event.body != event.content["filename"] else ""
            print("\n".join(f"Easel: {line}" for line in (caption, str(await self._save(event))) if line))
        elif event.content.get("msgtype") in ("m.text", "m.notice"):
            print(f"Easel: {event.body}")
        elif event.type == "m.reaction":
            print(f"Easel reacts: {event.content['m.relates_to']['key']}")

    async def _save(self, event: Heard) -> Path:
        """Save the event's file under its own name, ignoring any folder in that name; return the path."""
        data = await self._person.fetch(event.content)
        return await asyncio.to_thread(write, self._folder / Path(event.content["filename"]).name, data)


def is_recipe(event: Heard) -> bool:
    return event.mark["kind"] in (RECIPE, RECIPES)


def write(path: Path, data: bytes) -> Path:
    """Write a new file, with a number behind its name if there is one of that name; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    free = next(name for name in chain([path], numbered) if not name.exists())
    free.write_bytes(data)
    return free


async def typed_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input. Uses no thread, since one that reads cannot be stopped."""
    loop, stdin, lines = asyncio.get_running_loop(), sys.stdin.fileno(), asyncio.StreamReader()

    def read() -> bool:
        """Read what there is; return False at the end of the input."""
        data = os.read(stdin, 64 * 1024)
        if data:
            lines.feed_data(data)
        else:
            loop.remove_reader(stdin)
            lines.feed_eof()
        return bool(data)

    try:
        loop.add_reader(stdin, read)
    except PermissionError:
        # A file on disk cannot be polled, and reading it never blocks.
        while read():
            pass
    try:
        async for line in lines:
            yield line.decode(errors="replace").rstrip("\n")
    finally:
        loop.remove_reader(stdin)
