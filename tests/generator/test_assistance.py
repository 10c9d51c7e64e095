"""Two workers of which one helps the other, over a real pipe: who waits for whom, and for how long."""

from multiprocessing import Pipe
from threading import Event, Thread

import pytest

from generator.workers import assistance
from generator.workers.assistance import Ask, Assistant, Busy, Guests, Line, Part, Result, Willing

# More than a pipe holds.
LARGE = "x" * 2**20


class FarEnd:
    """The other end of a line, which this test speaks for."""

    def __init__(self, pipe) -> None:
        self.pipe = pipe

    def says(self, *messages) -> None:
        for message in messages:
            self.pipe.send(message)

    def hears(self) -> object:
        assert self.pipe.poll(5)
        return self.pipe.recv()

    def hears_nothing(self) -> bool:
        return not self.pipe.poll(0.05)


class Helper(FarEnd):
    """A worker that may help, and what the one that it helps knows of it."""

    def __init__(self) -> None:
        pipe, far_end = Pipe()
        super().__init__(far_end)
        self.line = Line(pipe)
        self.assistant = Assistant(self.line)


@pytest.fixture
def helper():
    helper = Helper()
    yield helper
    helper.line.hang_up()
    helper.pipe.close()


@pytest.fixture
def willing(helper):
    assert not helper.assistant.is_willing("ssd-1b")
    assert helper.hears() == Ask("ssd-1b")
    helper.says(Willing("ssd-1b"))
    assert helper.assistant.is_willing("ssd-1b")
    return helper


def test_it_is_asked_once_and_waited_for_by_nobody(helper):
    assert [helper.assistant.is_willing("ssd-1b") for _ in range(3)] == [False] * 3
    assert helper.hears() == Ask("ssd-1b") and helper.hears_nothing()


def test_a_part_is_answered(willing):
    willing.assistant.begin("a row")
    assert willing.hears() == Part(1, "ssd-1b", "a row")
    willing.says(Result(1, "its prediction"))
    assert willing.assistant.end(timeout_s=1) == "its prediction"


def test_one_that_becomes_busy_gives_no_result_and_is_asked_anew(willing):
    willing.assistant.begin("a row")
    willing.says(Busy())
    assert willing.assistant.end(timeout_s=1) is None
    assert not willing.assistant.is_willing("ssd-1b")
    assert [willing.hears(), willing.hears()] == [Part(1, "ssd-1b", "a row"), Ask("ssd-1b")]


def test_a_large_part_that_nobody_reads_keeps_nobody_waiting(willing):
    willing.assistant.begin(LARGE)
    willing.says(Busy())
    assert willing.assistant.end(timeout_s=60) is None, "it hears that the other one is busy"


def test_a_late_result_is_not_taken_for_the_next(willing):
    willing.assistant.begin("one")
    willing.says(Busy())
    assert willing.assistant.end(timeout_s=1) is None
    assert not willing.assistant.is_willing("ssd-1b")
    willing.says(Result(1, "late"), Willing("ssd-1b"))
    assert willing.assistant.is_willing("ssd-1b")
    willing.assistant.begin("two")
    willing.says(Result(2, "in time"))
    assert willing.assistant.end(timeout_s=1) == "in time"


def test_willing_for_one_model_is_not_for_another(willing):
    assert not willing.assistant.is_willing("pocket")
    assert not willing.assistant.is_willing("pocket")
    assert willing.hears() == Ask("pocket") and willing.hears_nothing()


@pytest.mark.parametrize("hangs", [True, False])
def test_one_that_hangs_or_ends_is_asked_no_more(willing, hangs):
    willing.assistant.begin(LARGE)
    if not hangs:
        willing.pipe.close()
    assert willing.assistant.end(timeout_s=0.05) is None
    assert willing.line.has_ended and not willing.assistant.is_willing("ssd-1b")


class Worker:
    """A worker's idle loop in a thread, and the guests that this test speaks for."""

    def __init__(self, do=lambda weights, work: f"{work} by {weights}") -> None:
        self._server, self._inside = Pipe()
        self.guests = Guests(lambda weights: weights == "ssd-1b", do)
        self._opened = []
        self._thread = None

    def guest(self, name="one") -> FarEnd:
        pipe, far_end = Pipe()
        self._opened += [Line(far_end)]
        self.guests.add(name, self._opened[-1])
        return FarEnd(pipe)

    def idles(self) -> None:
        self._thread = Thread(target=self.guests.help_until, args=(self._inside,))
        self._thread.start()

    def gets_a_drawing(self) -> None:
        if self._thread is not None:
            self._server.send("draw")
            self._thread.join(5)
            assert not self._thread.is_alive() and self._inside.recv() == "draw"
            self._thread = None
        self.guests.leave()

    def ends(self) -> None:
        self.gets_a_drawing()
        for line in self._opened:
            line.hang_up()


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.ends()


def helped_by(worker: Worker) -> FarEnd:
    guest = worker.guest()
    worker.idles()
    guest.says(Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    return guest


@pytest.fixture
def helped(worker):
    """A guest that this worker helps."""
    return helped_by(worker)


def test_an_idle_worker_helps_with_the_weights_that_it_has(worker):
    guest = worker.guest()
    worker.idles()
    guest.says(Ask("pocket"), Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    guest.says(Part(1, "ssd-1b", "a row"))
    assert guest.hears() == Result(1, "a row by ssd-1b")


def test_with_a_drawing_of_its_own_it_sends_a_guest_away_and_ignores_what_came_before_that_was_heard(worker, helped):
    worker.gets_a_drawing()
    assert helped.hears() == Busy()
    helped.says(Part(1, "ssd-1b", "too late"), Ask("ssd-1b"))
    worker.idles()
    assert helped.hears() == Willing("ssd-1b")
    helped.says(Part(2, "ssd-1b", "a row"))
    assert helped.hears() == Result(2, "a row by ssd-1b")


def test_it_helps_one_at_a_time_and_leaves_one_that_is_silent(monkeypatch, worker, helped):
    other = worker.guest("two")
    worker.gets_a_drawing()
    assert helped.hears() == Busy()
    helped.says(Ask("ssd-1b"))
    worker.idles()
    assert helped.hears() == Willing("ssd-1b")
    other.says(Ask("ssd-1b"))
    assert other.hears_nothing()
    monkeypatch.setattr(assistance, "SILENCE_S", 0.01)
    helped.says(Part(1, "ssd-1b", "the last row"))
    assert [helped.hears(), helped.hears()] == [Result(1, "the last row by ssd-1b"), Busy()]
    assert other.hears() == Willing("ssd-1b")


def test_a_large_result_that_nobody_reads_does_not_keep_it_from_its_own_work():
    began = Event()

    def do(weights, work):
        began.set()
        return LARGE

    worker = Worker(do)
    guest = helped_by(worker)
    guest.says(Part(1, "ssd-1b", "a row"))
    assert began.wait(5)
    worker.ends()
    assert not guest.pipe.closed, "it was there all the time"


def test_what_it_cannot_do_ends_its_help():
    worker = Worker(do=lambda weights, work: None)
    guest = helped_by(worker)
    guest.says(Part(1, "ssd-1b", "a row"))
    with pytest.raises(EOFError):
        guest.hears()
    worker.ends()


def test_a_guest_that_ends_is_forgotten(monkeypatch, worker):
    monkeypatch.setattr(assistance, "SILENCE_S", 3600)
    other = worker.guest("two")
    guest = helped_by(worker)
    other.says(Ask("ssd-1b"))
    assert other.hears_nothing()
    guest.pipe.close()
    assert other.hears() == Willing("ssd-1b")


def test_a_new_process_takes_the_place_of_an_earlier_one(worker):
    first, second = worker.guest(), worker.guest()
    with pytest.raises(EOFError):
        first.hears()
    worker.idles()
    second.says(Ask("ssd-1b"))
    assert second.hears() == Willing("ssd-1b")
