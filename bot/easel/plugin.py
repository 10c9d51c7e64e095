"""The plugin: maubot's side of Easel. Builds the parts, passes on events, ends what it started."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from maubot.handlers import event
from maubot.plugin_base import Plugin
from mautrix.client import InternalEventType
from mautrix.types import EncryptedEvent, Event, EventType
from mautrix.util.async_db import Database, UpgradeTable

from .background import Background
from .commands.defaults import OwnDefaults
from .commands.draw import DrawCommands
from .commands.easel import EaselCommands
from .commands.edits import Edits
from .commands.every import EveryDay
from .commands.gallery import GalleryCommands
from .commands.hints import Hints
from .commands.reactions import ReactionCommands
from .commands.recipe_files import RecipeFiles
from .commands.shortest import ShortestCommands
from .commands.styles import Styles
from .doctor import Doctor, SlowDowns
from .gallery.guard import Guard
from .gallery.keeping import Keeping
from .gallery.pages import Pages
from .gallery.pictures import PictureFiles
from .gallery.reading import Reading
from .gallery.room_names import RoomNames
from .gallery.routes import Routes
from .gallery.sessions import Sessions
from .gallery.sight import Sight
from .gallery.stars import Stars
from .garbage import freeze_what_is_loaded
from .generator.client import GeneratorClient
from .generator.wake import wake
from .generator.watch import GeneratorWatch
from .jobs.delivery import Delivery
from .jobs.runner import JobRunner
from .jobs.schedule import Schedule
from .jobs.schema import upgrade_table
from .jobs.store import Store
from .jobs.submission import Submission
from .jobs.unwanted import Unwanted
from .jobs.waiting import Outlooks
from .policy.ownership import Ownership
from .policy.permissions import Permissions
from .policy.policy import Policy
from .room.catching_up import CatchingUp
from .room.direct_chats import DirectChats
from .room.envelope import Malformed
from .room.history import RoomHistory
from .room.invitations import Invitations
from .room.messages import SeenEncrypted
from .room.origins import Origins
from .room.photos import Photos
from .room.replies import Replies
from .room.routing import Routing
from .room.sync import Sync
from .sending.homeserver import Homeserver
from .sending.media import Media
from .sending.offers import Offers
from .sending.posts import JobPosts
from .sending.rate_limit import limit_of
from .sending.room_notes import RoomNotes
from .sending.send_queue import SendQueue
from .sending.sent_once import SentOnce
from .sending.typing_notices import TypingNotices
from .sending.waits import Waits
from .settings import Config
from .settings_in_force import SettingsInForce
from .side_thread import SideThread
from .transactions import make_transactions_whole

# Of an instance by the name that the documents suggest, where maubot does not say it.
USUAL_PATH = "/_matrix/maubot/plugin/easel/"

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])


def on(event_type: EventType) -> Callable[[Handler], Handler]:
    """maubot's ``event.on`` with annotations that match what it does."""
    return cast(Callable[[Handler], Handler], event.on(event_type))


class EaselBot(Plugin):
    """Handlers here only pass on events; what they start ends with the plugin."""

    settings: SettingsInForce
    homeserver: Homeserver
    generator: GeneratorClient
    send_queue: SendQueue
    runner: JobRunner

    @classmethod
    def get_config_class(cls) -> type[Config]:
        return Config

    @classmethod
    def get_db_upgrade_table(cls) -> UpgradeTable:
        return upgrade_table

    async def pre_start(self) -> None:
        """Build every part, once: maubot registers the handlers next. Nothing here uses the network."""
        make_transactions_whole()
        self._has_stopped = False
        version, log = str(self.loader.meta.version), self.log
        self.background = Background(log)
        self._start = self.background.start
        store = Store(cast(Database, self.database))
        self.settings = settings = SettingsInForce(cast(Config, self.config), store, log)
        await settings.take()
        permissions = Permissions(settings)
        policy = Policy(settings, permissions)
        side_thread = SideThread()

        # The two sides: the homeserver with its rooms, and the generator.
        self.homeserver = Homeserver(self.client, log)
        media = Media(self.client, self.homeserver, log)
        history = RoomHistory(self.client, self.homeserver)
        self.generator = GeneratorClient(settings.server, version)
        watch = GeneratorWatch(self.generator.capabilities, self._wake, log)

        # What is kept, and what is sent.
        typing = TypingNotices(self.homeserver.set_typing)
        slow_downs = SlowDowns(self.homeserver)
        self.send_queue = SendQueue(slow_downs, limit_of(settings()), log, sent_to=typing.interrupted)
        sent_once = SentOnce(self.send_queue, store, history.find_own)
        posts = JobPosts(
            generator=self.generator,
            media=media,
            store=store,
            sent_once=sent_once,
            content_of=history.content_of,
            keeping=Keeping(store),
            settings=settings,
        )
        offers = Offers(store=store, sent_once=sent_once, settings=settings, side_thread=side_thread)

        # Jobs.
        unwanted = Unwanted(self.generator, watch, store)
        submission = Submission(
            generator=self.generator,
            unwanted=unwanted,
            store=store,
            policy=policy,
            photos=Photos(history, media),
            side_thread=side_thread,
        )
        outlooks, waits = Outlooks(), Waits(RoomNotes(sent_once, store), log)
        delivery = Delivery(
            generator=self.generator, posts=posts, waits=waits, outlooks=outlooks, settings=settings, log=log
        )
        self.runner = JobRunner(
            watch=watch,
            submission=submission,
            delivery=delivery,
            outlooks=outlooks,
            unwanted=unwanted,
            store=store,
            posts=posts,
            offers=offers,
            waits=waits,
            send_queue=self.send_queue,
            sent_once=sent_once,
            typing=typing,
            settings=settings,
            log=log,
        )

        self._doctor = Doctor(
            self.client,
            homeserver=self.homeserver,
            generator=self.generator,
            slow_downs=slow_downs,
            settings=settings,
            version=version,
            log=log,
        )

        # Commands.
        ownership = Ownership(permissions, self.homeserver, log)
        replies = Replies(store, history, media)
        recipe_files = RecipeFiles(store, media, sent_once, side_thread)
        draw_commands = DrawCommands(
            generator=self.generator,
            watch=watch,
            runner=self.runner,
            store=store,
            replies=replies,
            policy=policy,
            permissions=permissions,
            side_thread=side_thread,
            log=log,
        )
        self._schedule = Schedule(
            store, lambda message, text, asked_by: draw_commands.draw(message, text, asked_by=asked_by), settings, log
        )
        shortest = ShortestCommands(store, policy, side_thread)
        reaction_commands = ReactionCommands(
            draw_commands=draw_commands,
            runner=self.runner,
            unwanted=unwanted,
            store=store,
            sent_once=sent_once,
            ownership=ownership,
            permissions=permissions,
            recipe_files=recipe_files,
            shortest=shortest,
            side_thread=side_thread,
            log=log,
        )
        sessions = Sessions(store)
        self.gallery_commands = gallery_commands = GalleryCommands(
            store=store,
            homeserver=self.homeserver,
            sessions=sessions,
            direct_chats=DirectChats(self.homeserver, self.client.mxid),
            sent_once=sent_once,
            ownership=ownership,
            settings=settings,
            usual_path=self.webapp_url.path if self.webapp_url else USUAL_PATH,
            log=log,
        )
        easel_commands = EaselCommands(
            generator=self.generator,
            watch=watch,
            runner=self.runner,
            outlooks=outlooks,
            store=store,
            homeserver=self.homeserver,
            sent_once=sent_once,
            ownership=ownership,
            permissions=permissions,
            styles=Styles(store, self.homeserver, draw_commands, ownership),
            recipe_files=recipe_files,
            own_defaults=OwnDefaults(store),
            every_day=EveryDay(store, self.homeserver, self._schedule, draw_commands, ownership),
            gallery_commands=gallery_commands,
            settings=settings,
            hints=Hints(self.homeserver),
            doctor=self._doctor,
            version=version,
            log=log,
        )

        # The gallery's web pages.
        files = PictureFiles(store, history, self.homeserver, media, log)
        stars = Stars(store, history, sent_once)
        reading = Reading(
            store=store,
            sight=Sight(store, self.homeserver, permissions),
            files=files,
            stars=stars,
            room_names=RoomNames(self.homeserver, self.client.mxid),
            shortest=shortest,
            ownership=ownership,
            side_thread=side_thread,
            settings=settings,
        )
        pages = Pages.read(self.loader)
        self.gallery = Routes(
            guard=Guard(sessions, pages, settings, log),
            sessions=sessions,
            reading=reading,
            files=files,
            stars=stars,
            remove=reaction_commands.remove,
            pages=pages,
            settings=settings,
            start=self._start,
        )

        # Events, from the sync and from the past, to the commands.
        seen_encrypted = SeenEncrypted()
        self._routing = Routing(
            own_id=self.client.mxid,
            draw_commands=draw_commands,
            edits=Edits(draw_commands=draw_commands, easel_commands=easel_commands, replies=replies, history=history),
            replies=replies,
            reaction_commands=reaction_commands,
            easel_commands=easel_commands,
            gallery_commands=gallery_commands,
            permissions=permissions,
            homeserver=self.homeserver,
            invitations=Invitations(self.homeserver.join, store, log),
            store=store,
            seen_encrypted=seen_encrypted,
            settings=settings,
            start=self._start,
            log=log,
        )
        self._catching_up = CatchingUp(
            self._routing,
            history=history,
            store=store,
            origins=Origins(self.client.mxid, settings),
            seen_encrypted=seen_encrypted,
            start=self._start,
            log=log,
        )
        self._own_sync = Sync(
            self.client, failed=self._take_unreadable, failed_inside=self._catching_up.take_failed, log=log
        )

    async def start(self) -> None:
        """Continue open jobs, and read missed events."""
        try:
            await self._begin()
        except BaseException:
            # maubot does not stop what did not start.
            await self.internal_stop()
            raise

    async def _begin(self) -> None:
        freeze_what_is_loaded()
        if self.webapp is not None:
            self.gallery.add_to(self.webapp)
        self._start(self.send_queue.run(), "send queue")
        await self.runner.resume()
        # Before the sync brings new invitations, which would be followed twice.
        await self._routing.resume()
        self._start(self._schedule.run(), "schedule")
        self._start(self._give_avatar(), "avatar")
        # Its events are handled after that.
        self.client.add_event_handler(InternalEventType.SYNC_SUCCESSFUL, self._sync_came, wait_sync=True)
        self.client.add_event_handler(InternalEventType.SYNC_ERRORED, self._sync_failed)
        self.homeserver.devices.start()
        self._own_sync.start()
        self._start(self._catch_up(), "catching up")
        self._start(self._doctor.log_findings(), "doctor")

    async def on_external_config_update(self) -> None:
        """Take the edited settings, or keep the old ones and log why. Jobs under way continue with the new ones."""
        before = self.settings()
        if not await self.settings.take() or self._has_stopped:
            return
        now = self.settings()
        self.generator.server = self.settings.server
        # What was learned of the homeserver still holds.
        if any(getattr(before, key) != getattr(now, key) for key in ("rate_limit_burst", "rate_limit_per_second")):
            self.send_queue.rate_limit = limit_of(now)
        await asyncio.wait({self._start(self.runner.restart(), "new settings")})

    async def stop(self) -> None:
        self._has_stopped = True
        self._own_sync.stop()
        self.client.remove_event_handler(InternalEventType.SYNC_SUCCESSFUL, self._sync_came)
        self.client.remove_event_handler(InternalEventType.SYNC_ERRORED, self._sync_failed)
        await self.background.stop()
        await self.runner.stop()

    @on(EventType.ROOM_ENCRYPTED)
    async def note_encrypted(self, evt: EncryptedEvent) -> None:
        await self._catching_up.take_encrypted(evt)

    @on(EventType.ROOM_MESSAGE)
    @on(EventType.REACTION)
    @on(EventType.ROOM_REDACTION)
    @on(EventType.ROOM_MEMBER)
    @on(EventType.ROOM_TOMBSTONE)
    async def take(self, evt: Event) -> None:
        # A task of ours, which `stop` ends: a homeserver that is away may keep an event waiting.
        await asyncio.wait({self._start(self._catching_up.take(evt), f"event {evt.event_id}")})

    async def _take_unreadable(self, outline: Any, error: Malformed) -> None:
        await asyncio.wait({self._start(self._catching_up.take_unreadable(outline, error), "event that is malformed")})

    async def _give_avatar(self) -> None:
        await self.homeserver.give_avatar(self.loader.sync_read_file("avatar.png"))

    async def _catch_up(self) -> None:
        await self._catching_up.all_rooms(await self.homeserver.joined_rooms())

    async def _sync_came(self, data: dict[str, Any]) -> None:
        if data["data"].get("device_lists", {}).get("changed"):
            self.homeserver.devices.changed()
        self._catching_up.note(data["data"])

    async def _sync_failed(self, data: dict[str, Any]) -> None:
        self.homeserver.devices.may_have_missed()

    async def _wake(self) -> None:
        if self.settings().wake_mac:
            await wake(self.settings().wake_mac, self.settings().wake_address)
