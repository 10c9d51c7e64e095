"""The messages of a worker's process, one by one. test_bad_engines covers real processes."""

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
# Far longer than one message takes; only a failing test waits as long.
ANSWER_S = 10


@contextmanager
def worker(factory: EngineFactory) -> Iterator[Connection]:
    ours, theirs = Pipe()
    thread = Thread(target=child.converse, args=(theirs, factory))
    thread.start()
    with ours:
        yield ours
    thread.join(ANSWER_S)
    assert not thread.is_alive(), "the worker ends with its pipe"
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
    """The next messages, all about that drawing."""
    messages = hear(pipe, count)
    assert {message.id for message in messages} == {drawing_id}
    return [message.event for message in messages]


@pytest.fixture(autouse=True)
def every_step_is_reported(monkeypatch):
    """The default of these tests, which a test can change."""
    monkeypatch.setattr(child, "REPORT_EVERY_S", 0.0)


def test_a_drawing_from_hello_to_picture():
    with worker(bad_engines.Colour) as pipe:
        assert hear(pipe, 1) == [Hello("paint box", state(0))]
        pipe.send(DRAW)
        *steps, last = hear_of(pipe, "one", 5)
        assert steps == [Progress(step, 3, state(step)) for step in range(4)]
        assert isinstance(last, Drawn)
        assert last.image.size == (64, 96)


def test_of_many_short_steps_few_are_reported(monkeypatch):
    monkeypatch.setattr(child, "REPORT_EVERY_S", 3600.0)
    with worker(bad_engines.Colour) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        *steps, last = hear_of(pipe, "one", 4)
        assert [event.step for event in steps] == [0, 1, 3], "the first, and the last"
        assert isinstance(last, Drawn)


def test_the_next_recipe_is_prepared_beside_the_drawing_and_may_fail():
    prepared = []

    class Foresighted(bad_engines.Colour):
        def prepare(self, recipe):
            prepared.append(recipe.prompt)
            raise ZeroDivisionError("reported only if it is drawn")

    with worker(Foresighted) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        pipe.send(Prepare(GOOD.recipe))
        assert isinstance(hear_of(pipe, "one", 5)[-1], Drawn)
    assert prepared == ["good otter"]


def test_a_cancel_during_loading_ends_the_drawing_before_the_first_step():
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


def test_a_cancel_for_no_current_drawing_is_ignored():
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
    """The second drawing joins after the first's second step. The first is cancelled and the second finished."""

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
        messages = []
        while not messages or not isinstance(messages[-1].event, Drawn):
            messages += hear(pipe, 1)
        order = [(message.id, getattr(message.event, "step", type(message.event).__name__)) for message in messages]
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
def test_a_failure_in_shared_calls_fails_no_other_drawing(factory, order):
    class Together(factory):
        """Starts both drawings before the first step."""

        def start(self, draw):
            if draw.id == order[0].id:
                pipe.send(order[1])
            return super().start(draw)

    with worker(Together) as pipe:
        hear(pipe, 1)
        pipe.send(order[0])
        messages = []
        while not {"one", "two"} <= {message.id for message in messages if not isinstance(message.event, Progress)}:
            messages += hear(pipe, 1)
        ends = {message.id: type(message.event) for message in messages if not isinstance(message.event, Progress)}
        assert ends == {"one": Failed if factory is bad_engines.Raising else Drawn, "two": Drawn}


def test_a_drawing_after_its_last_step_is_finished_though_another_fails():
    class Uneven(bad_engines.Colour):
        """Fails when one of two drawings has had its last step."""

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
        messages = []
        while not {"one", "two"} <= {message.id for message in messages if not isinstance(message.event, Progress)}:
            messages += hear(pipe, 1)
        ends = {message.id: type(message.event) for message in messages if not isinstance(message.event, Progress)}
        assert ends == {"one": Drawn, "two": Drawn}


def test_an_engine_that_cannot_start_reports_the_reason_and_the_process_ends():
    with worker(bad_engines.Weightless) as pipe:
        assert hear(pipe, 1)[0].error.code == "weights_missing"


def test_a_factory_that_fails_is_reported_too():
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
def test_out_of_memory_errors_of_the_cuda_libraries_are_recognised(error, code):
    def fails() -> None:
        raise error

    failed = child.or_failed(fails)
    assert isinstance(failed, Failed) and failed.error.code == code
