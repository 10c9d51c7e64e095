"""The terminal as a small chat: what is typed is said in the room, what is heard is shown, pictures are saved."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from household.errors import HouseholdError
from household.heard import Heard
from household.person import Person

# SSD-1B on a CPU needs many minutes for a picture; the bot itself says long before when nothing will come.
PICTURE_LIMIT_S = 60 * 60

# What the bot says of its events: a last word without a picture, the two that every picture consists of, and the two of
# a sheet.
ANSWER, PICTURE, RECIPE, SHEET, RECIPES = "answer", "picture", "recipe", "sheet", "recipes"


class Chat:
    """One person's view of one room with the bot in it. Files are saved to ``folder``."""

    def __init__(self, person: Person, *, room_id: str, bot: str, folder: Path) -> None:
        self._person, self._room_id, self._bot, self._folder = person, room_id, bot, folder

    async def say_once(self, text: str) -> bool:
        """Send one message and print the paths of its pictures and recipes, captions and other words on stderr.

        False if no picture came.
        """
        message = await self._person.say(self._room_id, text)

        def replies(*kinds: str) -> list[Heard]:
            return [
                event for event in self._person.heard if event.reply_to == message and event.mark.get("kind") in kinds
            ]

        def has_ended() -> bool:
            recipes = replies(RECIPE)
            is_whole_sheet = bool(replies(SHEET)) and bool(replies(RECIPES))
            return (
                bool(replies(ANSWER)) or is_whole_sheet or (bool(recipes) and len(recipes) == recipes[0].mark["count"])
            )

        try:
            await self._person.until(has_ended, timeout_s=PICTURE_LIMIT_S)
        except TimeoutError:
            print(f"No answer within {PICTURE_LIMIT_S // 60} minutes.", file=sys.stderr)
        for event in replies(ANSWER, PICTURE, SHEET):
            print(event.body, file=sys.stderr)
        for event in replies(PICTURE, RECIPE, SHEET, RECIPES):
            print(await self._save(event))
        return bool(replies(RECIPE, RECIPES))

    async def talk(self) -> None:
        """Until the end of the input: each line typed is a message, each event of the bot's is shown."""
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
        kind = event.content.get("msgtype", event.type)
        if kind in ("m.text", "m.notice"):
            print(f"Easel: {event.body}")
        elif kind in ("m.image", "m.file"):
            caption = event.body if event.body != event.content.get("filename") else ""
            print("\n".join(f"Easel: {line}" for line in (caption, str(await self._save(event))) if line))
        elif kind == "m.reaction":
            print(f"Easel reacts: {event.content['m.relates_to']['key']}")

    async def _save(self, event: Heard) -> Path:
        """Keep the file under the name that the bot gave it, without whatever folder that name may hold."""
        data = await self._person.fetch(event.content)
        return await asyncio.to_thread(write, self._folder / Path(event.content["filename"]).name, data)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def typed_lines() -> AsyncIterator[str]:
    """The lines of standard input, without a thread that could not be stopped."""
    loop, stdin, lines = asyncio.get_running_loop(), sys.stdin.fileno(), asyncio.StreamReader()

    def read() -> bool:
        """Whether there was something to read."""
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
        # A file on disk: it never makes one wait, and cannot be waited for.
        while read():
            pass
    try:
        async for line in lines:
            yield line.decode(errors="replace").rstrip("\n")
    finally:
        loop.remove_reader(stdin)
