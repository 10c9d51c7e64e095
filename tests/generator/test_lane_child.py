"""What a lane's process says and hears, word by word. That it is a process of its own is for test_bad_engines."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

import bad_engines
import pytest
from running_generator import recipe_of

from generator.api import Memory
from generator.errors import DrawingFailed
from generator.lane import Cancel, Cancelled, Draw, Drawn, EngineFactory, Failed, Hello, Progress
from generator.service import lane_child

DRAW = Draw(recipe_of(subject=("otter",)))
GOOD = Draw(recipe_of(subject=("good otter",)))
# Far beyond what one word takes; a test that fails waits as long.
ANSWER_S = 10


@contextmanager
def lane(factory: EngineFactory) -> Iterator[Connection]:
    ours, theirs = Pipe()
    thread = Thread(target=lane_child.converse, args=(theirs, factory))
    thread.start()
    with ours:
        yield ours
    thread.join(ANSWER_S)
    assert not thread.is_alive(), "it ends with its pipe"
    theirs.close()


def memory(used_bytes: int) -> Memory:
    return Memory(used_bytes=used_bytes, total_bytes=bad_engines.PAINT_BOX_BYTES)


def hear(pipe: Connection, count: int) -> list[object]:
    def one() -> object:
        assert pipe.poll(ANSWER_S)
        return pipe.recv()

    return [one() for _ in range(count)]


def test_a_drawing_from_hello_to_picture():
    with lane(bad_engines.Colour) as pipe:
        assert hear(pipe, 1) == [Hello("paint box", ("stand-in",), memory(0))]
        pipe.send(DRAW)
        *steps, last = hear(pipe, 5)
        assert steps == [Progress(step, 3, ("stand-in",), memory(step)) for step in range(4)]
        assert isinstance(last, Drawn)
        assert last.image.size == (64, 96)


def test_a_cancel_that_waits_for_the_drawing_ends_it_before_the_first_step():
    class CancelledWhileLoading(bad_engines.Colour):
        def start(self, draw):
            pipe.send(Cancel())
            return super().start(draw)

        def finish(self, drawing):
            raise AssertionError("nothing is decoded")

    with lane(CancelledWhileLoading) as pipe:
        pipe.send(DRAW)
        assert hear(pipe, 3)[1:] == [Progress(0, 3, ("stand-in",), memory(0)), Cancelled()]


def test_a_cancel_after_the_last_step_skips_the_decoding():
    class CancelledLate(bad_engines.Colour):
        def step(self, drawing):
            super().step(drawing)
            if drawing.step == drawing.steps:
                pipe.send(Cancel())

        def finish(self, drawing):
            raise AssertionError("nothing is decoded")

    with lane(CancelledLate) as pipe:
        pipe.send(DRAW)
        assert hear(pipe, 6)[-1] == Cancelled()


def test_a_cancel_that_comes_too_late_is_for_nobody():
    with lane(bad_engines.Colour) as pipe:
        pipe.send(Cancel())
        pipe.send(DRAW)
        assert isinstance(hear(pipe, 6)[-1], Drawn)


@pytest.mark.parametrize(
    ("factory", "code"),
    [
        (bad_engines.Raising, "engine_error"),
        (bad_engines.Greedy, "out_of_memory"),
    ],
)
def test_after_an_error_the_next_drawing_works(factory, code):
    with lane(factory) as pipe:
        hear(pipe, 1)
        pipe.send(DRAW)
        while not isinstance(failed := hear(pipe, 1)[0], Failed):
            pass
        assert failed.error.code == code
        pipe.send(GOOD)
        assert isinstance(hear(pipe, 5)[-1], Drawn)


def test_an_engine_that_cannot_start_says_why_and_the_process_ends():
    with lane(bad_engines.Weightless) as pipe:
        assert hear(pipe, 1)[0].error.code == "weights_missing"


def test_a_factory_that_fails_is_told_too():
    def factory():
        raise DrawingFailed("no_card", "There is no card.")

    with lane(factory) as pipe:
        assert hear(pipe, 1)[0].error.message == "There is no card."
