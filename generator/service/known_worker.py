"""What the server knows of a worker, and learns from it: its models, its speed. Knows neither states nor the queue."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

from generator.api.types import Recipe
from generator.service.eta import Eta
from generator.service.job import Demand, Job
from generator.workers.messages import Draw, Hello, Progress, Worker, WorkerEvent, WorkerState

log = logging.getLogger(__name__)


class KnownWorker:
    """A worker, under its name."""

    def __init__(self, name: str, worker: Worker, has: Callable[[str], bool] = lambda _: True) -> None:
        """``has`` says whether it draws with a model, or says why not."""
        self.name = name
        self.has = has
        self.worker = worker
        self.eta = Eta()
        self.hello: Hello | None = None
        self.state = WorkerState()
        # How many jobs like those under way it draws together; one, until it has begun the first of them.
        self.at_once = 1
        # The model that it draws with, or loads to do so.
        self.model: str | None = None
        # The recipe last announced to the worker.
        self._announced: Recipe | None = None

    async def greet(self, team: Iterable["KnownWorker"]) -> None:
        """Start it if necessary, and learn what it is. Raises WorkerDied and DrawingFailed.

        A new process meets those of the ``team`` that have equal cards.
        """
        hello = await self.worker.hello()
        if hello is not self.hello:
            self.hello, self.state = hello, hello.state
            self.eta.loaded = hello.state.models[0] if hello.state.models else None
            self.model = self.model or self.eta.loaded
            log.info("%s is ready on %s", self.name, hello.device)
            for other in team:
                if other is not self and other.hello is not None and other.hello.device == hello.device:
                    self.worker.meet(self.name, other.worker, other.name)

    def facts(self) -> dict[str, Any]:
        """What its health says of it."""
        return {
            "device": self.hello.device if self.hello else None,
            "models": self.state.models,
            "arrangement": self.state.arrangement,
            "memory": self.state.memory,
            "steps_per_second": self.eta.steps_per_second,
        }

    def begins(self, *, alone: bool) -> None:
        """Note that a picture begins. If it is ``alone``, what the worker said of the last one may not hold for it."""
        if alone:
            self.at_once = 1

    async def run(self, draw: Draw, *, beside: Collection[Job]) -> AsyncIterator[WorkerEvent]:
        """Draw, and learn its speed meanwhile. The jobs ``beside`` each other share its time. Raises WorkerDied."""
        recipe, is_switch = draw.recipe, self.must_load_for(draw.recipe)
        before, done = time.monotonic(), 0
        async for event in self.worker.run(draw):
            if isinstance(event, Progress):
                now = time.monotonic()
                if event.step > done:
                    self.eta.note(recipe, (now - before) / len(beside), steps=event.step - done)
                elif is_switch and event.step == 0:
                    self.eta.note_load(recipe.model, event.state.load_s)
                before, done = now, event.step
            yield event

    def learn(self, state: WorkerState, model: str) -> bool:
        """Note its state, and the model that it draws with. Returns whether it has room for more drawings now."""
        has_more_room = state.at_once > self.at_once
        self.state, self.at_once, self.model, self.eta.loaded = state, state.at_once, model, model
        return has_more_room

    def forget(self) -> None:
        """Its process has ended, or is about to."""
        self.hello, self.state, self._announced = None, WorkerState(), None
        self.model = self.eta.loaded = None

    async def close(self) -> None:
        """End its process."""
        self.forget()
        await self.worker.close()

    def announce(self, recipe: Recipe) -> None:
        """Tell it once which recipe likely comes next."""
        if recipe is not self._announced:
            self._announced = recipe
            self.worker.prepare(recipe)

    def can_draw(self, demand: Demand) -> bool:
        return self.name not in demand.unfit and self.has(demand.next)

    def has_loaded(self, demand: Demand) -> bool:
        return demand.models <= set(self.state.models)

    def must_load_for(self, recipe: Recipe) -> bool:
        """Whether it must start, or change models."""
        return not self.worker.is_ready or recipe.model not in self.state.models
