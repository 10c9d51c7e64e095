"""The dispatcher over workers of which anything can be expected: no job is lost, and none drawn twice at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from PIL import Image

from generator.api.types import Error, JobRequest, Picture, RecipeRequest, Slots
from generator.errors import DOES_NOT_FIT, ENGINE_ERROR, CardBusy, DrawingFailed
from generator.pictures.store import PictureStore
from generator.pictures.uploads import Uploads
from generator.service.dispatcher import Dispatcher
from generator.service.eta import Speeds
from generator.service.failures import Pauses
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.service.metrics import Metrics
from generator.service.saving import Saving
from generator.workers.messages import Cancelled, Draw, Drawn, Failed, Hello, Progress, WorkerDied, WorkerState
from tests.helpers.running_generator import recipe_of

PEOPLE = ("ann", "bob", "cat")
MODELS = ("large", "small")
NAMES = ("one", "two", "three")
# They come and go, and have one model only.
GUESTS = ("far/one", "far/two")
# Enough turns of the event loop for whatever follows from one event.
TURNS = 30


class Puppet:
    """A worker that does what the test says: each drawing waits for its outcome."""

    def __init__(self, *, at_once: int) -> None:
        self.is_ready = False
        self.starts = True
        self.loaded: tuple[str, ...] = ()
        self.drawing: dict[str, asyncio.Future[Any]] = {}
        self._at_once = at_once

    async def hello(self) -> Hello:
        await asyncio.sleep(0)
        if not self.starts:
            raise DrawingFailed("unusable_card", "This card is of no use.")
        self.is_ready = True
        return Hello("a puppet", self._state())

    async def run(self, draw: Draw) -> AsyncIterator[Any]:
        outcome = self.drawing[draw.id] = asyncio.get_running_loop().create_future()
        try:
            self.loaded = (draw.recipe.model,)
            yield Progress(0, 1, self._state())
            yield await outcome
        finally:
            del self.drawing[draw.id]

    def end(self, outcome: Any) -> None:
        """End the oldest drawing."""
        future = next(iter(self.drawing.values()))
        if not future.done():
            future.set_result(outcome)

    def die(self) -> None:
        self.is_ready, self.loaded = False, ()
        for future in self.drawing.values():
            if not future.done():
                future.set_exception(WorkerDied("it was killed"))

    def cancel(self, drawing_id: str) -> None:
        if (future := self.drawing.get(drawing_id)) and not future.done():
            future.set_result(Cancelled())

    def prepare(self, recipe: Any) -> None:
        """Nothing to prepare."""

    def meet(self, name: str, other: Any, others_name: str) -> None:
        """Nobody helps."""

    async def close(self) -> None:
        self.die()

    def _state(self) -> WorkerState:
        return WorkerState(self.loaded, at_once=self._at_once)


class Counting(Saving):
    """Keeps no file, and counts how often each picture of a job was saved."""

    saved: Counter[tuple[str, int]]

    async def _save(self, job: Job, n: int, drawn: Drawn, on_failure: Callable[[], None]) -> None:
        self.saved[job.id, n] += 1
        self._jobs.picture(job, Picture.model_construct(n=n))


DRAWN = Drawn(Image.new("RGB", (1, 1)), 1.0, "1", {}, ())


class AnyUse(RuleBasedStateMachine):
    """Workers pause, fail to start, draw, fail and die in any order, while jobs come and are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.workers = {name: Puppet(at_once=1 + (name == "two")) for name in NAMES}
        self.all: list[Job] = []
        self.do(self.begin)

    def do(self, step: Callable[..., Any], *arguments: Any) -> None:
        async def whole() -> None:
            result = step(*arguments)
            if asyncio.iscoroutine(result):
                await result
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.runner.run(whole())

    async def begin(self) -> None:
        folder = Path("/nonexistent")
        speeds, metrics = Speeds(), Metrics()
        self.jobs = Jobs(max_queued=1000, speeds=speeds, metrics=metrics)
        store, uploads = PictureStore(folder), Uploads(folder)
        self.saving = Counting(jobs=self.jobs, store=store, uploads=uploads)
        self.saving.saved = Counter()
        self.dispatcher = Dispatcher(
            self.workers,
            jobs=self.jobs,
            saving=self.saving,
            uploads=uploads,
            speeds=speeds,
            metrics=metrics,
            pauses=Pauses(busy_s=0, rest_s=0),
        )
        await self.dispatcher.resume()

    @rule(person=st.sampled_from(PEOPLE), model=st.sampled_from(MODELS), pictures=st.integers(1, 2))
    def ask(self, person, model, pictures):
        recipe = recipe_of(subject=("otter",)).model_copy(update={"model": model})
        request = JobRequest(requester=person, recipes=(RecipeRequest(slots=Slots(subject=("otter",))),))
        self.all.append(Job(f"job-{len(self.all)}", request, (recipe,) * pictures, ()))
        self.do(self.jobs.add, self.all[-1])

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def cancel(self, data):
        self.do(self.dispatcher.cancel, data.draw(st.sampled_from(self.all)))

    @rule(name=st.sampled_from((*NAMES, None)))
    def pause(self, name):
        self.do(self.dispatcher.pause, name)

    @rule(name=st.sampled_from((*NAMES, None)))
    def resume(self, name):
        self.do(self.dispatcher.resume, name)

    @rule(name=st.sampled_from(GUESTS))
    def join(self, name):
        if name not in self.workers:
            self.workers[name] = Puppet(at_once=1)
            self.do(self.dispatcher.join, name, self.workers[name], lambda model: model == "large")

    @rule(name=st.sampled_from(GUESTS), died=st.booleans())
    def leave(self, name, died):
        if name in self.workers:
            self.do(partial(self.dispatcher.leave, name, died=WorkerDied("it was lost") if died else None))
            assert not self.workers.pop(name).drawing

    @rule(name=st.sampled_from(NAMES), starts=st.booleans())
    def change_whether_it_starts(self, name, starts):
        self.workers[name].starts = starts

    @rule(name=st.sampled_from(NAMES))
    def die(self, name):
        self.do(self.workers[name].die)

    @rule(data=st.data(), code=st.sampled_from((None, None, None, ENGINE_ERROR, DOES_NOT_FIT, CardBusy.CODE)))
    def end_a_drawing(self, data, code):
        if at_work := [name for name, worker in self.workers.items() if worker.drawing]:
            failed = Failed(Error(code=code or "", message="It failed.", limit=1))
            self.do(self.workers[data.draw(st.sampled_from(at_work))].end, failed if code else DRAWN)

    @invariant()
    def each_job_is_in_one_place(self):
        at_work = [drawing.partition("/")[0] for worker in self.workers.values() for drawing in worker.drawing]
        assert len(set(at_work)) == len(at_work), "a job is drawn twice at once"
        states = Counter(job.state for job in self.all)
        assert states["queued"] == self.jobs.queued
        assert states["running"] == self.jobs.running
        assert set(at_work) <= {job.id for job in self.all if job.state == "running" or job.state.is_final}
        assert not self.dispatcher.broken.is_set()

    @invariant()
    def no_picture_is_saved_twice(self):
        assert not [once for once, times in self.saving.saved.items() if times > 1]

    def teardown(self):
        for worker in self.workers.values():
            worker.starts = True
        self.do(self.dispatcher.resume)
        for _ in range(20 * len(self.all) + 20):
            if not self.jobs.queued and not self.jobs.running:
                break
            for worker in self.workers.values():
                if worker.drawing:
                    self.do(worker.end, DRAWN)
            self.do(asyncio.sleep, 0.001)
        assert all(job.state.is_final for job in self.all), "what was accepted is drawn once there are workers"
        for job in self.all:
            assert job.state != "done" or len(job.pictures) == len(job.recipes)
        self.do(self.dispatcher.drain, 0)
        self.runner.close()


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(max_examples=40, stateful_step_count=40)
