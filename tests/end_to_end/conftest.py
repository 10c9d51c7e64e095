"""A real homeserver, maubot with the built plugin, and generator. The people's client shares no code with the bot.

One household serves nearly all tests. The other has a homeserver's default rate limits, which make everything wait.
Each test looks only at the replies to its own commands, so tests share rooms as well.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
import yaml
from PIL import Image

from household.heard import Heard
from household.home import Household, household
from household.person import Person

# Default limits allow one event in five seconds: the last of eight pictures waits long.
LONG_S = 240

HOLDING = "!draw owl -n 3 --steps 100"


@dataclass(frozen=True)
class Drawn:
    """The picture and the recipe that answer one command."""

    command: str
    picture: Heard
    recipe: Heard
    png: bytes
    yaml: str

    @property
    def pixels(self) -> bytes:
        return Image.open(BytesIO(self.png)).tobytes()

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = yaml.safe_load(self.yaml)
        return record


@dataclass(frozen=True)
class Talk:
    """A person who talks to the bot in one room."""

    home: Household
    person: Person
    room_id: str
    is_encrypted: bool

    async def say(self, text: str, **content: Any) -> str:
        return await self.person.say(self.room_id, text, **content)

    def replies(self, event_id: str, *kinds: str) -> list[Heard]:
        """The bot's replies to that message so far, of these kinds or of any."""
        heard = [event for event in self.person.heard if event.sender == self.home.bot.user_id]
        return [
            event
            for event in heard
            if event_id in (event.reply_to, event.content.get("m.relates_to", {}).get("event_id"))
            and (not kinds or event.mark.get("kind") in kinds)
        ]

    async def reply(self, event_id: str, *kinds: str) -> Heard:
        return (await self.replies_in_all(event_id, *kinds, number=1))[0]

    async def replies_in_all(self, event_id: str, *kinds: str, number: int) -> list[Heard]:
        """Wait for this many replies and return them."""
        return await self.person.until(
            lambda: found if len(found := self.replies(event_id, *kinds)) >= number else None, timeout_s=LONG_S
        )

    async def sign(self, event_id: str, key: str) -> Heard:
        """Wait for the bot's progress sign on that message."""

        def shown() -> list[Heard]:
            signs = self.replies(event_id, "reaction")
            return [event for event in signs if event.content["m.relates_to"]["key"] == key]

        return (await self.person.until(shown, timeout_s=LONG_S))[0]

    def notes(self) -> list[Heard]:
        """The bot's notes in the room that it has not ended, on what everybody waits for."""
        return [
            event
            for event in self.person.heard
            if event.room_id == self.room_id
            and event.mark.get("kind") == "note"
            and not self.replies(event.event_id, "note-end")
        ]

    async def note(self, words: str) -> Heard:
        """Wait for the room's note that has these words and return it. The end of an earlier one may be under way."""
        return await self.person.until(
            lambda: next((note for note in self.notes() if words in note.body), None), timeout_s=LONG_S
        )

    async def taken(self, event_id: str) -> None:
        """Wait for the bot's receipt for that message. Unlike reactions, receipts have no rate limit."""
        bot = self.home.bot.user_id
        await self.person.until(lambda: self.person.sees_read(self.room_id, bot) == event_id, timeout_s=LONG_S)

    async def gone(self, event_id: str) -> None:
        """Wait until this person's client sees the event redacted."""
        await self.person.hear(
            lambda event: event.type == "m.room.redaction" and event.content.get("redacts") == event_id,
            timeout_s=LONG_S,
        )

    async def end_of(self, event_id: str) -> str:
        """The bot's final reaction on that message."""
        key: str = (await self.reply(event_id, "ended")).content["m.relates_to"]["key"]
        return key

    @asynccontextmanager
    async def holding(self, text: str = HOLDING) -> AsyncIterator[str]:
        """Keep the card busy with one command. Delete the command at the end, so that no test waits for it."""
        generator = self.home.generator
        await generator.child.wait_until(generator.is_idle)
        command = await self.say(text)
        await generator.child.wait_until(generator.is_drawing)
        try:
            yield command
        finally:
            await self.person.redact(self.room_id, command)

    async def answer(self, text: str, **content: Any) -> str:
        """Send it and return the answer in words. A picture instead fails the test."""
        event = await self.reply(await self.say(text, **content), "answer", "picture")
        assert event.mark["kind"] == "answer"
        return event.body

    async def draw(self, text: str, **content: Any) -> Drawn:
        """Send it and return the picture and its recipe. An answer in words instead fails the test."""
        return await self.drawn(await self.say(text, **content))

    def written_ns(self, drawn: Drawn) -> int:
        """When the generator wrote the picture. Pictures may arrive in another order, and recipes know only seconds."""
        job = drawn.picture.mark["job"]
        (file,) = (self.home.folder / "generator" / "pictures").rglob(f"*-{job}-0.png")
        return file.stat().st_mtime_ns

    async def drawn(self, command: str) -> Drawn:
        """Wait for the picture and the recipe of that command."""
        picture = await self.reply(command, "picture", "answer")
        assert picture.mark["kind"] == "picture", picture.body
        recipe = await self.reply(command, "recipe")
        png, text = await self.person.fetch(picture.content), await self.person.fetch(recipe.content)
        return Drawn(command, picture, recipe, png, text.decode())


async def talk_in_new_room(home: Household, person: Person, *, encrypted: bool, guest: Person | None = None) -> Talk:
    """A new room with that person, the bot, and the guest in it."""
    invited = (home.bot.user_id, *([guest.account.user_id] if guest else []))
    room_id = await person.make_room("a room", encrypted=encrypted, invite=invited)
    if guest:
        await guest.join(room_id)
    for one in (person, guest):
        for user_id in invited if one else ():
            await one.wait_for_member(room_id, user_id)
    return Talk(home, person, room_id, encrypted)


StartTalk = Callable[..., Awaitable[Talk]]


@pytest.fixture(scope="session")
def env() -> dict[str, str]:
    # One thread for torch: homeserver, maubot and tests run at the same time.
    return {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def generator_settings(miniatures: dict[str, Any]) -> dict[str, Any]:
    # Pocket is the default even where there is a card; the large models are miniatures. One job runs at a time, so
    # that a test can hold the card.
    return {"default_model": "pocket", "models": miniatures, "max_at_once": 1}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def home(
    tmp_path_factory: pytest.TempPathFactory, generator_settings: dict[str, Any], env: dict[str, str]
) -> AsyncIterator[Household]:
    """A household whose homeserver has no rate limits."""
    async with household(tmp_path_factory.mktemp("home"), generator_settings=generator_settings, env=env) as home:
        yield home


ChangeSettings = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="session")
async def change_settings(home: Household) -> AsyncIterator[ChangeSettings]:
    """Change the bot's settings until the test ends."""
    yield home.change_settings
    await home.change_settings()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def family(home: Household, ada: Person) -> tuple[Person, ...]:
    """Four people."""
    return ada, *[await home.person(name) for name in ("bo", "cleo", "dan")]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rooms(home: Household, family: tuple[Person, ...]) -> dict[bool, tuple[Talk, ...]]:
    """A plain and an encrypted room with all four people: by whether the room is encrypted, a talk for each person."""
    ada, bo, *others = family
    talks = {}
    for encrypted in (False, True):
        talk = await talk_in_new_room(home, ada, encrypted=encrypted, guest=bo)
        for person in others:
            await ada.invite(talk.room_id, person.account.user_id)
            await person.join(talk.room_id)
        for person in family:
            for other in family:
                await person.wait_for_member(talk.room_id, other.account.user_id)
        talks[encrypted] = tuple(replace(talk, person=person) for person in family)
    return talks


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ada(home: Household) -> Person:
    return await home.person("ada")


@pytest.fixture(scope="session")
def start_talk() -> StartTalk:
    return talk_in_new_room


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain(home: Household, ada: Person) -> Talk:
    return await talk_in_new_room(home, ada, encrypted=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def encrypted(home: Household, ada: Person) -> Talk:
    return await talk_in_new_room(home, ada, encrypted=True)


@pytest.fixture(params=["plain", "encrypted"])
def talk(request: pytest.FixtureRequest, plain: Talk, encrypted: Talk) -> Talk:
    """A talk in a plain room, then one in an encrypted room."""
    return plain if request.param == "plain" else encrypted
