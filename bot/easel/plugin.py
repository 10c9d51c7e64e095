"""The plugin: maubot's side of Easel. Builds the parts, hands them what happens in rooms, ends what it started."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar, cast

from maubot.handlers import event
from maubot.plugin_base import Plugin
from mautrix.client import InternalEventType
from mautrix.types import EncryptedEvent, Event, EventType
from mautrix.util.async_db import Database, UpgradeTable

from .commands.draw import DrawCommands
from .commands.easel import EaselCommands
from .commands.reactions import ReactionCommands
from .commands.styles import Styles
from .generator.client import GeneratorClient
from .generator.wake import wake
from .generator.watch import GeneratorWatch
from .jobs.runner import JobRunner
from .jobs.schema import upgrade_table
from .jobs.store import Store
from .policy.ownership import Ownership
from .policy.policy import Policy
from .room.history import RoomHistory
from .room.photos import Photos
from .room.replies import Replies
from .room.routing import Routing
from .room.sync import Sync
from .sending.homeserver import Homeserver
from .sending.posts import JobPosts
from .sending.send_queue import RateLimit, SendQueue
from .sending.sent_once import SentOnce
from .sending.typing_notices import TypingNotices
from .settings import Config, InvalidSettings, Settings

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])


def on(event_type: EventType) -> Callable[[Handler], Handler]:
    """maubot's ``event.on``, whose annotations do not say what it does."""
    return cast(Callable[[Handler], Handler], event.on(event_type))


class EaselBot(Plugin):
    """Handlers here only pass on events; what they start ends with the plugin."""

    homeserver: Homeserver
    send_queue: SendQueue
    runner: JobRunner
    settings: Settings

    @classmethod
    def get_config_class(cls) -> type[Config]:
        return Config

    @classmethod
    def get_db_upgrade_table(cls) -> UpgradeTable:
        return upgrade_table

    async def pre_start(self) -> None:
        """Build everything that the handlers need: maubot registers them next. Nothing here asks anybody."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._config = cast(Config, self.config)
        self._version = str(self.loader.meta.version)
        settings, generator = self._first_settings()

        self.homeserver = Homeserver(self.client, self.log)
        self._store = Store(cast(Database, self.database))
        history = RoomHistory(self.client, self.homeserver)
        self._typing = TypingNotices(self.homeserver.set_typing)
        self.send_queue = SendQueue(self.homeserver, _rate_limit(settings), self.log, sent_to=self._typing.interrupted)
        self._sent_once = SentOnce(self.send_queue, self._store, history.find_own)
        self._replied = Replies(self._store, history, self.homeserver)
        self._photos = Photos(history, self.homeserver)
        self._routing = Routing(
            own_id=self.client.mxid,
            homeserver=self.homeserver,
            history=history,
            store=self._store,
            start=self._start,
            log=self.log,
        )
        self._own_sync = Sync(self.client, self.log)
        self._use(settings, generator)

    async def start(self) -> None:
        """Go on with what was left, and hear what was missed."""
        self._start(self.send_queue.run(), "send queue")
        await self.runner.resume()
        self.client.add_event_handler(InternalEventType.SYNC_SUCCESSFUL, self._read_gaps)
        self.client.add_event_handler(InternalEventType.SYNC_ERRORED, self._sync_failed)
        self._own_sync.start()
        self._start(self._catch_up(), "catching up")

    async def on_external_config_update(self) -> None:
        """Take the edited settings, or keep the old ones and log why. What is under way goes on with the new ones."""
        try:
            settings = self._config.settings()
            generator = GeneratorClient(settings, self._version)
        except InvalidSettings as error:
            self.log.error(f"{error}. The old settings stay in force")
            return
        await self.runner.stop()
        self._use(settings, generator)
        await self.runner.resume()

    async def stop(self) -> None:
        self._own_sync.stop()
        self.client.remove_event_handler(InternalEventType.SYNC_SUCCESSFUL, self._read_gaps)
        self.client.remove_event_handler(InternalEventType.SYNC_ERRORED, self._sync_failed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runner.stop()

    def _first_settings(self) -> tuple[Settings, GeneratorClient]:
        try:
            settings = self._config.settings()
            return settings, GeneratorClient(settings, self._version)
        except InvalidSettings as error:
            self.log.error(f"{error}. Until that is corrected, every setting has its default")
            settings = self._config.defaults()
            return settings, GeneratorClient(settings, self._version)

    def _use(self, settings: Settings, generator: GeneratorClient) -> None:
        """Connect the parts that the settings change."""
        self.settings = settings
        self.send_queue.rate_limit = _rate_limit(settings)
        wake_up = partial(_wake, settings.wake_mac, settings.wake_address)
        rules = Policy(settings)
        watch = GeneratorWatch(generator.capabilities, wake_up, self.log)
        posts = JobPosts(
            generator=generator,
            homeserver=self.homeserver,
            store=self._store,
            sent_once=self._sent_once,
            settings=settings,
        )
        self.runner = JobRunner(
            generator=generator,
            watch=watch,
            store=self._store,
            posts=posts,
            photos=self._photos,
            send_queue=self.send_queue,
            sent_once=self._sent_once,
            typing=self._typing,
            settings=settings,
            rules=rules,
            log=self.log,
        )
        self._routing.permissions = rules.permissions
        self._routing.reactions = settings.reactions
        self._routing.max_age_s = settings.catch_up_minutes * 60
        styles = Styles(self._store)
        draw_commands = DrawCommands(
            generator=generator,
            watch=watch,
            runner=self.runner,
            store=self._store,
            replied=self._replied,
            rules=rules,
            styles=styles,
            log=self.log,
        )
        ownership = Ownership(rules.permissions, self.homeserver, self.log)
        self._routing.draw_commands = draw_commands
        self._routing.reaction_commands = ReactionCommands(
            draw_commands=draw_commands,
            runner=self.runner,
            store=self._store,
            sent_once=self._sent_once,
            ownership=ownership,
            permissions=rules.permissions,
        )
        self._routing.answers = EaselCommands(
            draw_commands=draw_commands,
            generator=generator,
            watch=watch,
            runner=self.runner,
            store=self._store,
            homeserver=self.homeserver,
            sent_once=self._sent_once,
            ownership=ownership,
            permissions=rules.permissions,
            styles=styles,
            version=self._version,
            log=self.log,
        )

    @on(EventType.ROOM_ENCRYPTED)
    async def note_encrypted(self, evt: EncryptedEvent) -> None:
        await self._routing.take_encrypted(evt)

    @on(EventType.ROOM_MESSAGE)
    @on(EventType.REACTION)
    @on(EventType.ROOM_REDACTION)
    @on(EventType.ROOM_MEMBER)
    async def take(self, evt: Event) -> None:
        # Ours to end: a homeserver that is away may keep an event waiting when the plugin stops.
        await asyncio.wait({self._start(self._routing.take(evt), f"event {evt.event_id}")})

    async def _catch_up(self) -> None:
        await self._routing.catch_up_with_all(await self.homeserver.joined_rooms())

    async def _read_gaps(self, data: dict[str, Any]) -> None:
        """A sync leaves out the oldest of many events, and says so."""
        joined = data["data"].get("rooms", {}).get("join", {})
        rooms = [room_id for room_id, room in joined.items() if room.get("timeline", {}).get("limited")]
        if rooms:
            self._start(self._routing.catch_up(rooms), "catching up")

    async def _sync_failed(self, data: dict[str, Any]) -> None:
        self.homeserver.sync_failed()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something in the background until it ends or the plugin stops."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _wake(mac: str, address: str) -> None:
    if mac:
        await wake(mac, address)


def _rate_limit(settings: Settings) -> RateLimit:
    return RateLimit(settings.rate_limit_burst, settings.rate_limit_per_second, time.monotonic)
