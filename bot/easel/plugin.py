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

from .database import Store
from .delivery import Delivery
from .desk import Desk
from .drawing import Draughtsman
from .easel_answers import EaselAnswers
from .generator_client import GeneratorClient
from .generator_watch import GeneratorWatch
from .gestures import Gestures
from .homeserver import Homeserver
from .house_rules import HouseRules
from .intake import Intake
from .job_posts import JobPosts
from .outbox import Outbox, RateLimit
from .owners import Owners
from .photos import Photos
from .replied_recipes import RepliedRecipes
from .room_history import RoomHistory
from .schema import upgrade_table
from .settings import Config, InvalidSettings, Settings
from .styles import Styles
from .syncing import OwnSync
from .typing_notices import TypingNotices
from .wake import wake

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])


def on(event_type: EventType) -> Callable[[Handler], Handler]:
    """maubot's ``event.on``, whose annotations do not say what it does."""
    return cast(Callable[[Handler], Handler], event.on(event_type))


class EaselBot(Plugin):
    """Handlers here only pass on events; what they start ends with the plugin."""

    homeserver: Homeserver
    outbox: Outbox
    draughtsman: Draughtsman
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
        self.outbox = Outbox(self.homeserver, _rate_limit(settings), self.log, sent_to=self._typing.interrupted)
        self._delivery = Delivery(self.outbox, self._store, history.find_own)
        self._replied = RepliedRecipes(self._store, history, self.homeserver)
        self._photos = Photos(history, self.homeserver)
        self._intake = Intake(
            own_id=self.client.mxid,
            homeserver=self.homeserver,
            history=history,
            store=self._store,
            start=self._start,
            log=self.log,
        )
        self._own_sync = OwnSync(self.client, self.log)
        self._use(settings, generator)

    async def start(self) -> None:
        """Go on with what was left, and hear what was missed."""
        self._start(self.outbox.run(), "outbox")
        await self.draughtsman.resume()
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
        await self.draughtsman.stop()
        self._use(settings, generator)
        await self.draughtsman.resume()

    async def stop(self) -> None:
        self._own_sync.stop()
        self.client.remove_event_handler(InternalEventType.SYNC_SUCCESSFUL, self._read_gaps)
        self.client.remove_event_handler(InternalEventType.SYNC_ERRORED, self._sync_failed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.draughtsman.stop()

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
        self.outbox.rate_limit = _rate_limit(settings)
        wake_up = partial(_wake, settings.wake_mac, settings.wake_address)
        rules = HouseRules(settings)
        watch = GeneratorWatch(generator.capabilities, wake_up, self.log)
        posts = JobPosts(
            generator=generator,
            homeserver=self.homeserver,
            store=self._store,
            delivery=self._delivery,
            settings=settings,
        )
        self.draughtsman = Draughtsman(
            generator=generator,
            watch=watch,
            store=self._store,
            posts=posts,
            photos=self._photos,
            outbox=self.outbox,
            delivery=self._delivery,
            typing=self._typing,
            settings=settings,
            rules=rules,
            log=self.log,
        )
        self._intake.permissions = rules.permissions
        self._intake.reactions = settings.reactions
        self._intake.max_age_s = settings.catch_up_minutes * 60
        styles = Styles(self._store)
        desk = Desk(
            generator=generator,
            watch=watch,
            draughtsman=self.draughtsman,
            store=self._store,
            replied=self._replied,
            rules=rules,
            styles=styles,
            log=self.log,
        )
        owners = Owners(rules.permissions, self.homeserver, self.log)
        self._intake.desk = desk
        self._intake.gestures = Gestures(
            desk=desk,
            draughtsman=self.draughtsman,
            store=self._store,
            delivery=self._delivery,
            owners=owners,
            permissions=rules.permissions,
        )
        self._intake.answers = EaselAnswers(
            desk=desk,
            generator=generator,
            watch=watch,
            draughtsman=self.draughtsman,
            store=self._store,
            homeserver=self.homeserver,
            delivery=self._delivery,
            owners=owners,
            permissions=rules.permissions,
            styles=styles,
            version=self._version,
            log=self.log,
        )

    @on(EventType.ROOM_ENCRYPTED)
    async def note_encrypted(self, evt: EncryptedEvent) -> None:
        await self._intake.take_encrypted(evt)

    @on(EventType.ROOM_MESSAGE)
    @on(EventType.REACTION)
    @on(EventType.ROOM_REDACTION)
    @on(EventType.ROOM_MEMBER)
    async def take(self, evt: Event) -> None:
        # Ours to end: a homeserver that is away may keep an event waiting when the plugin stops.
        await asyncio.wait({self._start(self._intake.take(evt), f"event {evt.event_id}")})

    async def _catch_up(self) -> None:
        await self._intake.catch_up_with_all(await self.homeserver.joined_rooms())

    async def _read_gaps(self, data: dict[str, Any]) -> None:
        """A sync leaves out the oldest of many events, and says so."""
        joined = data["data"].get("rooms", {}).get("join", {})
        rooms = [room_id for room_id, room in joined.items() if room.get("timeline", {}).get("limited")]
        if rooms:
            self._start(self._intake.catch_up(rooms), "catching up")

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
