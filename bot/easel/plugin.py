"""The plugin: maubot's side of Easel. Builds the parts, hands them what happens in rooms, ends what it started."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from maubot.handlers import event
from maubot.plugin_base import Plugin
from mautrix.types import EncryptedEvent, EventType, Membership, MemberStateEventContent, MessageEvent, StateEvent
from mautrix.util.async_db import Database, UpgradeTable

from . import help_texts
from .acknowledgement import TypingNotices
from .database import Store, upgrade_table
from .desk import Desk
from .drawing import Draughtsman
from .generator_client import GeneratorClient
from .homeserver import Homeserver
from .incoming import MAX_AGE_MS, Message, SeenEncrypted, read_message
from .job import job_id
from .language import Command, read_command
from .outbox import NotSent, Outbox, Outgoing, RateLimit
from .picture_post import answer_content, mark
from .settings import Config, InvalidSettings, Settings

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])


def on(event_type: EventType) -> Callable[[Handler], Handler]:
    """maubot's ``event.on``, whose annotations do not say what it does."""
    return cast(Callable[[Handler], Handler], event.on(event_type))


class EaselBot(Plugin):
    """Handlers here only read events; what they start is done by the desk, in tasks that end with the plugin."""

    homeserver: Homeserver
    outbox: Outbox
    desk: Desk
    settings: Settings

    @classmethod
    def get_config_class(cls) -> type[Config]:
        return Config

    @classmethod
    def get_db_upgrade_table(cls) -> UpgradeTable:
        return upgrade_table

    async def pre_start(self) -> None:
        """Build everything that the handlers need: maubot registers them next. Nothing here asks the generator."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[str] = set()
        self._seen_encrypted = SeenEncrypted()
        self._config = cast(Config, self.config)
        self._version = str(self.loader.meta.version)
        self.homeserver = Homeserver(self.client, self.log)
        self._typing = TypingNotices(self.homeserver.set_typing)
        try:
            settings = self._config.settings()
            generator = GeneratorClient(settings, self._version)
        except InvalidSettings as error:
            self.log.error(f"{error}. Until that is corrected, every setting has its default")
            settings = self._config.defaults()
            generator = GeneratorClient(settings, self._version)
        self.outbox = Outbox(self.homeserver, _rate_limit(settings), self.log, sent_to=self._typing.interrupted)
        self._use(settings, generator)
        self._start(self.outbox.run(), "outbox")

    async def on_external_config_update(self) -> None:
        """Take the edited settings, or keep the old ones and log why."""
        try:
            settings = self._config.settings()
            generator = GeneratorClient(settings, self._version)
        except InvalidSettings as error:
            self.log.error(f"{error}. The old settings stay in force")
            return
        self._use(settings, generator)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _use(self, settings: Settings, generator: GeneratorClient) -> None:
        """Connect the parts. What is under way keeps the generator that it began with."""
        self.settings = settings
        self.outbox.rate_limit = _rate_limit(settings)
        store = Store(cast(Database, self.database))
        draughtsman = Draughtsman(
            generator=generator, store=store, homeserver=self.homeserver, outbox=self.outbox, log=self.log
        )
        self.desk = Desk(
            generator=generator,
            draughtsman=draughtsman,
            store=store,
            outbox=self.outbox,
            typing=self._typing,
            version=self._version,
            log=self.log,
        )

    @on(EventType.ROOM_ENCRYPTED)
    async def note_encrypted(self, evt: EncryptedEvent) -> None:
        self._seen_encrypted.note(evt.event_id)

    @on(EventType.ROOM_MESSAGE)
    async def read(self, evt: MessageEvent) -> None:
        message = read_message(evt, own_id=self.client.mxid, now_ms=_now_ms())
        command = read_command(message.body) if message else None
        if message and command and message.event_id not in self._serving:
            self._serving.add(message.event_id)
            self._start(self._serve(message, command), f"command {message.event_id}")

    @on(EventType.ROOM_MEMBER)
    async def say_hello(self, evt: StateEvent) -> None:
        now, before = _membership(evt.content), _membership(evt.prev_content)
        joined_now = now == Membership.JOIN != before and _now_ms() - evt.timestamp < MAX_AGE_MS
        if joined_now and evt.state_key == self.client.mxid:
            self._start(self._hello(evt), f"hello in {evt.room_id}")

    async def _serve(self, message: Message, command: Command) -> None:
        try:
            if message.event_id not in self._seen_encrypted and await self.homeserver.is_encrypted(message.room_id):
                self.log.warning(f"Left out {message.event_id}: not encrypted, in the encrypted room {message.room_id}")
                return
            # Not before the command: commands must reach the desk in the order in which they were typed.
            self._start(self.homeserver.mark_read(message.room_id, message.event_id), f"receipt {message.event_id}")
            await self.desk.serve(message, command)
        except NotSent as error:
            self.log.error(f"Left out {message.event_id}: whether {message.room_id} is encrypted is unknown: {error}")
        finally:
            self._serving.discard(message.event_id)

    async def _hello(self, evt: StateEvent) -> None:
        job = job_id(evt.event_id)
        content = {**answer_content(help_texts.HELLO), **mark(job, "hello")}
        try:
            await self.outbox.send(Outgoing(room_id=evt.room_id, txn_id=f"{job}-hello", content=content))
        except NotSent as error:
            self.log.warning(f"No hello in {evt.room_id}: {error}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something in the background until it ends or the plugin stops."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _membership(content: object) -> Membership | None:
    return content.membership if isinstance(content, MemberStateEventContent) else None


def _rate_limit(settings: Settings) -> RateLimit:
    return RateLimit(settings.rate_limit_burst, settings.rate_limit_per_second, time.monotonic)


def _now_ms() -> int:
    return int(time.time() * 1000)
