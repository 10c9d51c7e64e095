"""The household's parts list: builds the parts and connects them, in order."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.plugin import ROOT, build_plugin
from household import dendrite, generator_server, maubot_server, synapse
from household.errors import HouseholdError
from household.generator_server import Generator
from household.homeserver import Account, Homeserver
from household.json_api import JsonApi
from household.maubot_server import Maubot
from household.memory import Memory, write_private
from household.person import Person
from household.processes import Child, claim
from household.synapse import Synapse

INSTANCE = "easel"
PLUGIN_ID = "household.easel"

# Processes of an earlier run end within the time that a stop takes.
LEFTOVERS_S = 30

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Household:
    """A running household: a homeserver with the bot on it, and a generator."""

    folder: Path
    url: str
    homeserver: Homeserver
    maubot: Maubot
    generator: Generator
    bot: Account
    admin: Account
    memory: Memory
    bot_settings: Mapping[str, Any]
    stack: AsyncExitStack

    @property
    def gallery_url(self) -> str:
        return str(self.bot_settings["gallery_url"])

    async def person(self, name: str) -> Person:
        """Log a person in until the household ends, with an account of that name and no rate limit."""
        account = await self.homeserver.account(name)
        await self.homeserver.exempt(account, self.admin)
        person = Person(account, self.url, self.folder / "people" / name)
        self.stack.push_async_callback(person.stop)
        await person.start()
        return person

    async def change_settings(self, **changed: Any) -> None:
        """Change these settings of the bot, and reset all others to the household's own."""
        await self.maubot.set_instance(INSTANCE, PLUGIN_ID, self.bot, {**self.bot_settings, **changed})

    async def unless_it_fails(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result. Raises HouseholdError as soon as a process of the household ends by itself."""
        children = (self.homeserver.child, self.maubot.child, self.generator.child)
        endings = {asyncio.create_task(child.ended()): child for child in children}
        working = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({working, *endings}, return_when=asyncio.FIRST_COMPLETED)
            if working in done:
                return working.result()
            child = next(child for ending, child in endings.items() if ending in done)
            raise HouseholdError(f"The {child.name} has ended by itself. Why is at the end of {child.log}")
        finally:
            for task in (working, *endings):
                task.cancel()
            await asyncio.gather(working, *endings, return_exceptions=True)


def prepare(folder: Path) -> Path:
    """Make the household's folder, readable by its owner alone; return the folder in it for logs.

    Raises HouseholdError.
    """
    logs = folder / "logs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs.mkdir(exist_ok=True)
    except OSError as error:
        advice = "Name another folder: EASEL_HOUSEHOLD=FOLDER"
        raise HouseholdError(f"The household's folder {folder} cannot be used: {error.strerror}. {advice}") from error
    return logs


@asynccontextmanager
async def household(
    folder: Path,
    *,
    exempt: bool = True,
    postgres: str | None = None,
    generator_settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Household]:
    """Start everything, keep its state in ``folder`` (absolute), and stop everything at the end. Raises HouseholdError.

    The homeserver is Synapse, or the Dendrite that $DENDRITE names. ``exempt`` lifts its default rate limits for the
    bot. ``postgres`` is the URL of a database for maubot and its plugins, in place of SQLite.
    """
    logs = prepare(folder)
    async with AsyncExitStack() as stack:
        busy = f"A household is already running from {folder}: use that one, or stop it first"
        stack.callback((await claim(folder / "running", wait_s=0, otherwise=busy)).close)
        left = f"Processes of an earlier run have not ended; `fuser -k {folder}/processes` ends them"
        lock = await claim(folder / "processes", wait_s=LEFTOVERS_S, otherwise=left)
        stack.callback(lock.close)

        memory = Memory(folder / "memory.json")
        socket = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="easel-")), "generator.sock")

        def child(name: str, *command: str, where: Path, **limits: float) -> Child:
            return Child(name, *command, folder=where, log=logs / f"{name}.log", lock=lock, env=env or {}, **limits)

        async def server(port: int) -> JsonApi:
            return await stack.enter_async_context(JsonApi(f"http://127.0.0.1:{port}"))

        python = (sys.executable, "-m")
        port = memory.port("homeserver")
        url = f"http://127.0.0.1:{port}"
        api = await stack.enter_async_context(JsonApi(url))
        homeserver: Homeserver
        if binary := dendrite.binary():
            config = dendrite.write_config(folder / "homeserver", memory, exempt=exempt)
            homeserver = Homeserver(
                child("homeserver", *dendrite.command(binary, config, port), where=folder), api, memory
            )
        else:
            config = synapse.write_config(folder / "homeserver", memory, port)
            homeserver = Synapse(child("homeserver", *synapse.command(config), where=folder), api, memory)

        port = memory.port("maubot")
        config = maubot_server.write_config(folder / "maubot", memory, port, postgres)
        command = (*python, "maubot", "--config", str(config))
        process = child("maubot", *command, where=folder / "maubot", stop_limit_s=maubot_server.STOP_LIMIT_S)
        api = await stack.enter_async_context(JsonApi(f"http://127.0.0.1:{port}"))
        maubot = Maubot(process, api, memory)

        config = generator_server.write_settings(folder / "generator", socket, **(generator_settings or {}))
        process = child("generator", *python, "generator", "--settings", str(config), "serve", where=ROOT)
        generator = Generator(process, await stack.enter_async_context(generator_server.connect(socket)), socket)

        async def matrix() -> None:
            # maubot asks the homeserver for its client as soon as it starts.
            await homeserver.start()
            await maubot.start()

        stack.push_async_callback(homeserver.child.stop)
        stack.push_async_callback(generator.stop)
        stack.push_async_callback(maubot.child.stop)
        await asyncio.gather(matrix(), generator.start())

        admin = await homeserver.account("admin", admin=True)
        bot = await homeserver.account("easel")
        if exempt:
            await homeserver.exempt(bot, admin)
        await maubot.set_client(bot, url)
        if recovery_key := await maubot.cross_sign(bot):
            write_private(folder / "recovery-key.txt", recovery_key)
        await maubot.upload(build_plugin(folder / "plugin").read_bytes())
        # An exempt bot shows all progress from the start, without finding out first.
        settings = {
            "generator_url": f"unix://{socket}",
            "gallery_url": f"http://127.0.0.1:{port}/_matrix/maubot/plugin/{INSTANCE}/",
            **({"rate_limit_per_second": 0} if exempt else {}),
        }
        await maubot.set_instance(INSTANCE, PLUGIN_ID, bot, settings)
        yield Household(
            folder=folder,
            url=url,
            homeserver=homeserver,
            maubot=maubot,
            generator=generator,
            bot=bot,
            admin=admin,
            memory=memory,
            bot_settings=settings,
            stack=stack,
        )
