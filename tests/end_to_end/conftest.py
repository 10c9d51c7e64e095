"""Real homeserver, real maubot with the built plugin, real generator; people with a client that shares no code with it.

One household serves most tests. Each looks only at the replies to what it said, so rooms can be shared as well.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
import yaml
from PIL import Image

from deploy.household.heard import Heard
from deploy.household.home import Household, household
from deploy.household.person import Person

# The last of eight pictures waits for a rate limit of one event in five seconds.
LONG_S = 240


@dataclass(frozen=True)
class Drawn:
    """What one command brought."""

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
        """What the bot has said to that message so far, of these kinds or of any."""
        heard = [event for event in self.person.heard if event.sender == self.home.bot.user_id]
        return [
            event
            for event in heard
            if event_id in (event.reply_to, event.content.get("m.relates_to", {}).get("event_id"))
            and (not kinds or event.mark.get("kind") in kinds)
        ]

    async def reply(self, event_id: str, *kinds: str) -> Heard:
        return (await self.person.until(lambda: self.replies(event_id, *kinds), timeout_s=LONG_S))[0]

    async def answer(self, text: str) -> str:
        """Say it; the words that come back. A picture instead fails the test."""
        event = await self.reply(await self.say(text), "answer", "recipe")
        assert event.mark["kind"] == "answer"
        return event.body

    async def draw(self, text: str, **content: Any) -> Drawn:
        """Say it; the picture and the recipe that come back. An answer in words instead fails the test."""
        return await self.drawn(await self.say(text, **content))

    async def drawn(self, command: str) -> Drawn:
        """What that command brought, or will."""
        event = await self.reply(command, "recipe", "answer")
        assert event.mark["kind"] == "recipe", event.body
        picture, recipe = await self.reply(command, "picture"), event
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
def generator_settings() -> dict[str, Any]:
    # Also where there is a card.
    return {"default_model": "pocket"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def home(
    tmp_path_factory: pytest.TempPathFactory, generator_settings: dict[str, Any], env: dict[str, str]
) -> AsyncIterator[Household]:
    """A household whose homeserver limits nobody."""
    async with household(tmp_path_factory.mktemp("home"), generator_settings=generator_settings, env=env) as home:
        yield home


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
    """A room of each kind in turn."""
    return plain if request.param == "plain" else encrypted
