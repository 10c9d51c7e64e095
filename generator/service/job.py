"""A job: one request, its state, and the pictures it has so far. Knows neither its place nor who draws it."""

from itertools import count
from typing import NamedTuple

from generator.api.types import Error, JobRequest, JobState, Picture, Recipe
from generator.service.eta import NO_WORK, Eta, Work, work_left
from generator.service.fair_queue import Place
from generator.service.state import ImpossibleMove
from generator.service.stream import Stream
from generator.workers.messages import Shape, shape_of

_MOVES = {
    # A job whose pictures are all on disk already is done without running.
    JobState.QUEUED: {JobState.RUNNING, JobState.CANCELLED, JobState.DONE},
    JobState.RUNNING: {JobState.QUEUED, JobState.DONE, JobState.FAILED, JobState.CANCELLED},
}


# An id may be asked for anew while its first drawing still leaves the card.
_numbers = count()


class Demand(NamedTuple):
    """What a job asks of a worker: these models, and that it is none of those where it does not fit, or that died.

    ``next`` is the model of its next picture; the later ones may be drawn elsewhere.
    """

    models: frozenset[str]
    unfit: frozenset[str] = frozenset()
    next: str = ""


class Job:
    """One request and its state. Only `Jobs` changes it."""

    def __init__(self, job_id: str, request: JobRequest, recipes: tuple[Recipe, ...], pictures: tuple[Picture, ...]):
        self.id = job_id
        self._number = next(_numbers)
        self.request = request
        self.recipes = recipes
        self.pictures = list(pictures)
        self.state = JobState.QUEUED
        self.error: Error | None = None
        self.step = 0
        self.started: float | None = None
        self.ended: float | None = None
        self.place: Place | None = None
        # The speed of the worker that draws it.
        self.eta: Eta | None = None
        # Why it cannot be drawn, by the name of a worker whose card is too small for it.
        self.does_not_fit: dict[str, Error] = {}
        # The workers that did not start when it was their turn to draw it.
        self.did_not_start: set[str] = set()
        # How often it was started, and how often the worker died of it or beside it.
        self.starts = self.deaths = 0
        # The worker that died last, if another one should take the job.
        self.died_on: str | None = None
        # A job that was drawn beside others when the worker died is drawn alone from then on: any may be the cause.
        self.has_company = self.must_be_alone = False
        self.streams: set[Stream] = set()

    @property
    def recipes_left(self) -> tuple[Recipe, ...]:
        """The recipes of the pictures that are yet to be drawn."""
        return self.recipes[len(self.pictures) :]

    @property
    def work_left(self) -> Work:
        works = (work_left(recipe, step=self.step * (n == 0)) for n, recipe in enumerate(self.recipes_left))
        return sum(works, NO_WORK)

    @property
    def demand(self) -> Demand:
        """What it asks of a worker for the pictures that are left."""
        unfit = frozenset((*self.does_not_fit, self.died_on) if self.died_on else self.does_not_fit)
        models = [recipe.model for recipe in self.recipes_left]
        return Demand(frozenset(models), unfit, models[0] if models else "")

    @property
    def shapes(self) -> frozenset[Shape]:
        """The shapes of the drawings that are left. With a single one, they can share the model's calls with others."""
        return frozenset(shape_of(recipe) for recipe in self.recipes_left)

    @property
    def labels(self) -> tuple[Demand | Shape, ...]:
        """By what a worker finds this job in the queue: its demand, and its shape if it can be drawn beside others."""
        sociable = not self.must_be_alone and not self.does_not_fit and len(self.shapes) == 1
        return (self.demand, *self.shapes) if sociable else (self.demand,)

    def drawing_id(self, n: int) -> str:
        """The name of the drawing of picture ``n`` since the last start: an earlier one is another drawing."""
        return f"{self.id}/{self._number}/{n}/{self.starts}"

    def move(self, state: JobState) -> None:
        """Go to another state. Raises ImpossibleMove."""
        if state not in _MOVES.get(self.state, ()):
            raise ImpossibleMove(f"job {self.id} is {self.state} and cannot become {state}")
        self.state = state
