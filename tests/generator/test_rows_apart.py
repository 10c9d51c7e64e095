"""A lone guided picture by two engines: the same one, only where that is faster, and whatever the other one does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, cycle
from multiprocessing import Pipe
from threading import Thread

import pytest
import torch

from generator.api.types import Recipe
from generator.engine.diffusion import DiffusionEngine
from generator.engine.loop import Drawing, RunAhead, step_all
from generator.engine.rows_apart import TRIES, RowsApart, weights_of
from generator.workers.assistance import Assistant, Guests, Line
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.miniatures import NAMES
from tests.helpers.running_generator import recipe_of

STEPS = 4 * TRIES


@pytest.fixture(scope="module")
def engine(miniatures) -> DiffusionEngine:
    return engine_of(miniatures)


@pytest.fixture(scope="module")
def other(miniatures) -> DiffusionEngine:
    return engine_of(miniatures)


def asked_of(model: str, **changes) -> Recipe:
    asked = recipe_of(subject=("otter", "cowboy hat"))
    return asked.model_copy(update={"model": model, "steps": STEPS, "guidance_scale": 7.0, **changes})


class Counting(Assistant):
    """Counts the rows that it was sent, and may do something before one of them."""

    def __init__(self, line) -> None:
        super().__init__(line)
        self.rows = 0
        self.before = {}

    def begin(self, work) -> None:
        self.rows += 1
        self.before.get(self.rows, lambda: None)()
        super().begin(work)


class OtherWorker:
    """A worker's idle loop around an engine, in a thread."""

    def __init__(self, engine: DiffusionEngine) -> None:
        pipe, far_end = Pipe()
        self.line = Line(pipe)
        self._server, self._inside = Pipe()
        self.is_broken = False
        self._engine = engine
        self._guests = Guests(engine.can_assist, self._assist)
        self._guests.add("one", Line(far_end))
        self._thread = Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self._guests.help_until(self._inside)
        self._guests.leave()

    def _assist(self, weights, work):
        return None if self.is_broken else self._engine.assist(weights, work)

    def gets_a_drawing(self) -> None:
        self._server.send("draw")
        self._thread.join()


@contextmanager
def assisted(engine: DiffusionEngine, model: str) -> Iterator[tuple[Counting, OtherWorker]]:
    """An assistant that is willing to compute for the model."""
    weights = weights_of(engine.models.get(model).model)
    worker = OtherWorker(engine)
    assistant = Counting(worker.line)
    while not assistant.is_willing(weights):
        time.sleep(0.01)
    try:
        yield assistant, worker
    finally:
        worker.gets_a_drawing()
        worker.line.hang_up()


def apart(assistant: Assistant, *, apart_s: float) -> RowsApart:
    """By its clock, a step takes a second on one card, and so long on two."""
    tried = chain([1.0] * TRIES, [apart_s] * TRIES, cycle([0.0]))
    ticks = chain.from_iterable((0.0, seconds) for seconds in tried)
    rows = RowsApart(clock=lambda: next(ticks))
    rows.add("two", assistant)
    return rows


@torch.inference_mode()
def denoised(engine: DiffusionEngine, asked: Recipe, rows: RowsApart) -> Drawing:
    drawing = engine.start(Draw("drawing", asked))
    while drawing.step < drawing.steps:
        step_all([drawing], at_once={drawing.recipe.pixels: 1}, ahead=RunAhead(), apart=rows)
    return drawing


def deviation(one: Drawing, other: Drawing) -> float:
    return float((one.latents - other.latents).abs().max() / other.latents.std())


@pytest.mark.parametrize("model", NAMES)
def test_two_engines_draw_the_picture_of_one(engine, other, model):
    asked = asked_of(model)
    alone = denoised(engine, asked, RowsApart())
    with assisted(other, model) as (assistant, _):
        shared = denoised(engine, asked, apart(assistant, apart_s=0.6))
    assert (alone.cards, shared.cards) == (1, 2)
    assert assistant.rows == STEPS - TRIES, "all but those that measured one card"
    assert deviation(shared, alone) < 1e-4


@pytest.mark.parametrize("apart_s", [0.97, 1.1])
def test_a_way_that_is_hardly_faster_is_given_up_after_its_trial(engine, other, apart_s):
    with assisted(other, "sd-1.5") as (assistant, _):
        rows = apart(assistant, apart_s=apart_s)
        denoised(engine, asked_of("sd-1.5"), rows)
        denoised(engine, asked_of("sd-1.5"), rows)
    assert assistant.rows == TRIES


@pytest.mark.parametrize("changes", [{"guidance_scale": 1.0}, {"tier": "fast"}])
def test_what_has_one_row_or_keeps_features_stays_on_one_card(engine, other, changes):
    with assisted(other, "sd-1.5") as (assistant, _):
        drawing = denoised(engine, asked_of("sd-1.5", **changes), apart(assistant, apart_s=0.6))
    assert (drawing.cards, assistant.rows) == (1, 0)


def test_steps_without_guidance_stay_on_one_card(engine, other):
    with assisted(other, "sd-1.5") as (assistant, _):
        denoised(engine, asked_of("sd-1.5", tier="balanced"), apart(assistant, apart_s=0.6))
    assert assistant.rows == int(0.6 * STEPS) - TRIES


def ends(worker):
    worker.gets_a_drawing()
    worker.line.hang_up()


def fails(worker):
    worker.is_broken = True


@pytest.mark.parametrize("what", [OtherWorker.gets_a_drawing, ends, fails])
def test_whatever_happens_to_the_other_engine_the_picture_is_the_same(engine, other, what):
    asked = asked_of("sd-1.5")
    alone = denoised(engine, asked, RowsApart())
    with assisted(other, "sd-1.5") as (assistant, worker):
        assistant.before[2] = lambda: what(worker)
        shared = denoised(engine, asked, apart(assistant, apart_s=0.6))
    assert assistant.rows == 2, "it takes no more"
    assert deviation(shared, alone) < 1e-4
