"""What a worker's process says and hears, word by word. That it is a process of its own is for test_bad_engines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

import pytest

from generator.api.types import Memory
from generator.errors import DrawingFailed
from generator.workers import child
from generator.workers.messages import (
    Cancel,
    Cancelled,
    Draw,
    Drawn,
    EngineFactory,
    Failed,
    Hello,
    Prepare,
    Progress,
    WorkerState,
)
from tests.helpers import bad_engines
from tests.helpers.running_generator import recipe_of

DRAW = Draw("one", recipe_of(subject=("otter",)))
GOOD = Draw("two", recipe_of(subject=("good otter",)))
# Far beyond what one word takes; a test that fails waits as long.
ANSWER_S = 10


@contextmanager
def worker(factory: EngineFactory) -> Iterator[Connection]:
    ours, theirs = Pipe()
    thread = Thread(target=child.converse, args=(theirs, factory))
    thread.start()
    with ours:
        yield ours
    thread.join(ANSWER_S)
    assert not thread.is_alive(), "it ends with its pipe"
    theirs.close()


def state(used_bytes: int) -> WorkerState:
    memory = Memory(used_bytes=used_bytes, total_bytes=bad_engines.PAINT_BOX_BYTES)
    return WorkerState(("stand-in",), memory)


def hear(pipe: Connection, count: int) -> list[object]:
    def one() -> object:
        assert pipe.poll(ANSWER_S)
        return pipe.recv()

    return [one() for _ in range(count)]


def hear_of(pipe: Connection, drawing_id: str, count: int) -> list[object]:
    """The next words, all of that drawing."""
    said = hear(pipe, count)
    assert {word.id for word in said} == {drawing_id}
    return [word.event for word in said]


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch):
    """Unless a test says otherwise."""
    monkeypatch.setattr(child, "REPORT_EVERY_S", 0.0)


def test_a_drawing_from_hello_to_picture():
    with worker(bad_engines.Colour) as pipe:
        assert hear(pipe, 1) == [Hello("paint box", state(0))]
        pipe.send(DRAW)
        *steps, last = hear_of(pipe, "one", 5)
        assert steps == [Progress(step, 3, state(step)) for step in range(4)]
        assert isinstance(last, Drawn)
        assert last.image.size == (64, 96)


def test_of_many_short_steps_few_are_told(monkeypatch):
    monkeypatch.setattr(child, "REPORT_EVERY_S", 3600.0)
    with worker(bad_engines.Colour) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        *steps, last = hear_of(pipe, "one", 4)
        assert [event.step for event in steps] == [0, 1, 3], "the first, and the last"
        assert isinstance(last, Drawn)


def test_what_comes_next_is_prepared_beside_the_drawing_and_may_go_wrong():
    prepared = []

    class Foresighted(bad_engines.Colour):
        def prepare(self, recipe):
            prepared.append(recipe.prompt)
            raise ZeroDivisionError("told when it is drawn, if it is")

    with worker(Foresighted) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        pipe.send(Prepare(GOOD.recipe))
        assert isinstance(hear_of(pipe, "one", 5)[-1], Drawn)
    assert prepared == ["good otter"]


def test_a_cancel_that_waits_for_the_drawing_ends_it_before_the_first_step():
    class CancelledWhileLoading(bad_engines.Colour):
        def start(self, draw):
            pipe.send(Cancel("one"))
            return super().start(draw)

        def finish(self, drawing):
            raise AssertionError("nothing is decoded")

    with worker(CancelledWhileLoading) as pipe:
        pipe.send(DRAW)
        hear(pipe, 1)
        assert hear_of(pipe, "one", 2) == [Progress(0, 3, state(0)), Cancelled()]


def test_a_cancel_after_the_last_step_skips_the_decoding():
    class CancelledLate(bad_engines.Colour):
        def step_one(self, drawing):
            super().step_one(drawing)
            if drawing.step == drawing.steps:
                pipe.send(Cancel("one"))

        def finish(self, drawing):
            raise AssertionError("nothing is decoded")

    with worker(CancelledLate) as pipe:
        pipe.send(DRAW)
        hear(pipe, 1)
        assert hear_of(pipe, "one", 5)[-1] == Cancelled()


def test_a_cancel_that_comes_too_late_is_for_nobody():
    with worker(bad_engines.Colour) as pipe:
        pipe.send(Cancel("one"))
        pipe.send(DRAW)
        hear(pipe, 1)
        assert isinstance(hear_of(pipe, "one", 5)[-1], Drawn)


@pytest.mark.parametrize(
    ("factory", "code"),
    [
        (bad_engines.Raising, "engine_error"),
        (bad_engines.Greedy, "out_of_memory"),
    ],
)
def test_after_an_error_the_next_drawing_works(factory, code):
    with worker(factory) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        while not isinstance(failed := hear_of(pipe, "one", 1)[0], Failed):
            pass
        assert failed.error.code == code
        pipe.send(GOOD)
        assert isinstance(hear_of(pipe, "two", 5)[-1], Drawn)


def test_drawings_join_between_two_steps_and_leave_alone():
    """The second joins after the first's second step; the first is cancelled, and the second is drawn to its end."""

    class Joined(bad_engines.Colour):
        def step_one(self, drawing):
            super().step_one(drawing)
            if drawing.draw.id == "one" and drawing.step == 2:
                pipe.send(GOOD)
            if drawing.draw.id == "two" and drawing.step == 1:
                pipe.send(Cancel("one"))

    long = replace(DRAW, recipe=DRAW.recipe.model_copy(update={"steps": 50}))
    with worker(Joined) as pipe:
        hear(pipe, 1)
        pipe.send(long)
        said = []
        while not said or not isinstance(said[-1].event, Drawn):
            said += hear(pipe, 1)
        order = [(word.id, getattr(word.event, "step", type(word.event).__name__)) for word in said]
        assert order == [
            *(("one", step) for step in range(3)),
            ("two", 0),
            ("one", 3),
            ("two", 1),
            ("one", "Cancelled"),
            ("two", 2),
            ("two", 3),
            ("two", "Drawn"),
        ]


@pytest.mark.parametrize("order", [(GOOD, DRAW), (DRAW, GOOD)], ids=["the bad one last", "the bad one first"])
@pytest.mark.parametrize("factory", [bad_engines.Raising, bad_engines.Crowded])
def test_what_fails_in_company_is_the_end_of_nobody_else(factory, order):
    class Together(factory):
        """Both are there before the first step."""

        def start(self, draw):
            if draw.id == order[0].id:
                pipe.send(order[1])
            return super().start(draw)

    with worker(Together) as pipe:
        hear(pipe, 1)
        pipe.send(order[0])
        said = []
        while not {"one", "two"} <= {word.id for word in said if not isinstance(word.event, Progress)}:
            said += hear(pipe, 1)
        ends = {word.id: type(word.event) for word in said if not isinstance(word.event, Progress)}
        assert ends == {"one": Failed if factory is bad_engines.Raising else Drawn, "two": Drawn}


def test_what_has_had_its_last_step_is_drawn_though_another_fails_then():
    class Uneven(bad_engines.Colour):
        """Fails when one of two is finished, which then has no other step."""

        def start(self, draw):
            if draw.id == "one":
                pipe.send(GOOD)
            return super().start(draw)

        def step_one(self, drawing):
            if drawing.step >= drawing.steps:
                raise IndexError("this has no such step")
            super().step_one(drawing)

        def step(self, drawings):
            super().step(drawings[::-1])
            if len(drawings) > 1 and any(drawing.step == drawing.steps for drawing in drawings):
                raise ZeroDivisionError

    long = replace(DRAW, recipe=DRAW.recipe.model_copy(update={"steps": 9}))
    with worker(Uneven) as pipe:
        hear(pipe, 1)
        pipe.send(long)
        said = []
        while not {"one", "two"} <= {word.id for word in said if not isinstance(word.event, Progress)}:
            said += hear(pipe, 1)
        ends = {word.id: type(word.event) for word in said if not isinstance(word.event, Progress)}
        assert ends == {"one": Drawn, "two": Drawn}


def test_an_engine_that_cannot_start_says_why_and_the_process_ends():
    with worker(bad_engines.Weightless) as pipe:
        assert hear(pipe, 1)[0].error.code == "weights_missing"


def test_a_factory_that_fails_is_told_too():
    def factory():
        raise DrawingFailed("no_card", "There is no card.")

    with worker(factory) as pipe:
        assert hear(pipe, 1)[0].error.message == "There is no card."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "out_of_memory"),
        (RuntimeError("CUDA error: out of memory"), "out_of_memory"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "out_of_memory"),
        (RuntimeError("GET was unable to find an engine to execute this computation"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "engine_error"),
        (ValueError("CUDA error: out of memory"), "engine_error"),
    ],
)
def test_what_the_libraries_of_cuda_say_of_memory_is_known(error, code):
    def fails() -> None:
        raise error

    failed = child.or_failed(fails)
    assert isinstance(failed, Failed) and failed.error.code == code
