"""Several machines: each card of each machine that is there is one more worker of the dispatcher. Knows no Ray.

Ray lives in a child process, which is started anew whenever it ends.
"""

import asyncio
import logging
import time
from functools import partial
from importlib.util import find_spec

from generator.cluster.messages import Farewell, HasModels, Joined, Leaving, Lost, Place
from generator.cluster.models import LOOK_EVERY_S, Models
from generator.cluster.remote import Driver, private_folder
from generator.service.dispatcher import Dispatcher
from generator.settings import ClusterSettings, InvalidSettings
from generator.workers.conversation import ConversingWorker
from generator.workers.messages import EngineFactory, WorkerDied

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
# A driver that ran for so long did not end because of its settings.
STEADY_S = 60.0
# Ray takes ten seconds to start, on a busy machine several times that. From then on something comes twice a second.
START_LIMIT_S, SILENT_S = 180.0, 30.0


class Cluster:
    """The other machines, for the dispatcher."""

    def __init__(
        self,
        settings: ClusterSettings,
        models: Models,
        *,
        engine: EngineFactory | None = None,
        load_timeout_s: float,
        step_timeout_s: float,
        drain_timeout_s: float,
    ) -> None:
        """``engine`` replaces the real one on all machines. Raises InvalidSettings."""
        if find_spec("ray") is None:
            raise InvalidSettings("cluster needs Ray: run make setup CLUSTER=1")
        self.models = models
        self._settings, self._engine = settings, engine
        self._load_timeout_s, self._step_timeout_s = load_timeout_s, step_timeout_s
        self._drain_timeout_s = drain_timeout_s
        # The names of the cards of each machine that is there.
        self._machines: dict[str, tuple[str, ...]] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        # Those that asked to leave.
        self._leaving: set[str] = set()

    async def run(self, dispatcher: Dispatcher) -> None:
        """Lead the cluster until this is cancelled."""
        looking = asyncio.create_task(self._look_here(dispatcher), name="own models")
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._lead(dispatcher)
                except OSError as error:
                    log.error("the cluster's process cannot start: %s", error)
                pause_s = FIRST_PAUSE_S if time.monotonic() - began >= STEADY_S else pause_s
                log.error("the cluster's process has ended; another one starts in %g s", pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            for task in (looking, *self._farewells):
                task.cancel()

    async def _lead(self, dispatcher: Dispatcher) -> None:
        """Run one driver to its end. Its machines have left by then."""
        news: asyncio.Queue[object] = asyncio.Queue()
        with private_folder() as folder:
            settings = self._settings
            place = Place(
                str(settings.listen), settings.port, settings.token_file, folder, settings.store_mb * 1_000_000
            )
            driver = Driver(place, self._engine, news.put_nowait)
            try:
                limit_s = START_LIMIT_S
                while (message := await _next(news, limit_s)) is not None:
                    limit_s = SILENT_S
                    await self._handle(message, driver, dispatcher)
            finally:
                try:
                    # The jobs are not to blame, so this is no attempt.
                    for machine in list(self._machines):
                        await self._remove(machine, driver, dispatcher, "the cluster's process has ended")
                finally:
                    await driver.close()

    async def _handle(self, message: object, driver: Driver, dispatcher: Dispatcher) -> None:
        match message:
            case Joined(machine, cards, models):
                log.info("%s has joined with %s and %s", machine, ", ".join(cards), ", ".join(sorted(models)))
                self.models.learn(machine, models)
                self._machines[machine] = cards
                self._leaving.discard(machine)
                for card in cards:
                    worker = ConversingWorker(
                        partial(driver.start_worker, machine, card),
                        load_timeout_s=self._load_timeout_s,
                        step_timeout_s=self._step_timeout_s,
                    )
                    await dispatcher.join(f"{machine}/{card}", worker, partial(self.models.draws, machine))
            case HasModels(machine, models):
                log.info("%s has %s now", machine, ", ".join(sorted(models)))
                self.models.learn(machine, models)
                dispatcher.team_changed()
            case Leaving(machine):
                task = asyncio.create_task(self._say_farewell(machine, driver, dispatcher), name=f"farewell {machine}")
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            case Lost(machine, how):
                if machine in self._leaving:
                    log.info("%s has left", machine)
                else:
                    log.error("%s is lost: %s", machine, how)
                await self._remove(machine, driver, dispatcher, how, died=WorkerDied(f"its machine is lost: {how}"))

    async def _say_farewell(self, machine: str, driver: Driver, dispatcher: Dispatcher) -> None:
        self._leaving.add(machine)
        log.info("%s is leaving: what it draws now may take another %g s", machine, self._drain_timeout_s)
        names = [f"{machine}/{card}" for card in self._machines.get(machine, ())]
        await asyncio.gather(*(dispatcher.leave(name, patience_s=self._drain_timeout_s) for name in names))
        driver.send(Farewell(machine))

    async def _remove(
        self, machine: str, driver: Driver, dispatcher: Dispatcher, how: str, *, died: WorkerDied | None = None
    ) -> None:
        for card in self._machines.pop(machine, ()):
            await dispatcher.leave(f"{machine}/{card}", died=died)
        driver.lost(machine, how)
        self.models.left(machine)
        dispatcher.team_changed()

    async def _look_here(self, dispatcher: Dispatcher) -> None:
        while True:
            if await asyncio.to_thread(self.models.look_here):
                dispatcher.team_changed()
            await asyncio.sleep(LOOK_EVERY_S)


async def _next(news: asyncio.Queue[object], limit_s: float) -> object:
    """The next message of the driver; None once it has ended, or said nothing for so long."""
    try:
        async with asyncio.timeout(limit_s):
            return await news.get()
    except TimeoutError:
        log.error("the cluster's process said nothing for %g s", limit_s)
        return None
