"""Two workers of which one helps the other, over a real pipe: who waits for whom, and for how long."""

import time
from multiprocessing import Pipe
from threading import Thread

import pytest

from generator.workers.assistance import Ask, Assistant, Busy, Guests, Part, Result, Willing


class Helper:
    """The far end of an assistant, which this test speaks for."""

    def __init__(self) -> None:
        pipe, self.pipe = Pipe()
        self.assistant = Assistant(pipe)

    def says(self, *messages) -> None:
        for message in messages:
            self.pipe.send(message)

    def heard(self) -> list[object]:
        messages = []
        while self.pipe.poll(0):
            messages.append(self.pipe.recv())
        return messages


def willing() -> Helper:
    helper = Helper()
    assert not helper.assistant.is_willing("ssd-1b")
    helper.says(Willing("ssd-1b"))
    assert helper.assistant.is_willing("ssd-1b")
    assert helper.heard() == [Ask("ssd-1b")]
    return helper


def test_it_is_asked_once_and_waited_for_by_nobody():
    helper = Helper()
    assert [helper.assistant.is_willing("ssd-1b") for _ in range(3)] == [False] * 3
    assert helper.heard() == [Ask("ssd-1b")]


def test_a_part_is_answered():
    helper = willing()
    helper.assistant.begin("a row")
    assert helper.heard() == [Part(1, "ssd-1b", "a row")]
    helper.says(Result(1, "its prediction"))
    assert helper.assistant.end(timeout_s=1) == "its prediction"


def test_one_that_becomes_busy_gives_no_result_and_is_asked_anew():
    helper = willing()
    helper.assistant.begin("a row")
    helper.says(Busy())
    assert helper.assistant.end(timeout_s=1) is None
    assert not helper.assistant.is_willing("ssd-1b")
    assert helper.heard() == [Part(1, "ssd-1b", "a row"), Ask("ssd-1b")]


def test_a_late_result_is_not_taken_for_the_next():
    helper = willing()
    helper.assistant.begin("one")
    helper.says(Busy())
    assert helper.assistant.end(timeout_s=1) is None
    assert not helper.assistant.is_willing("ssd-1b")
    helper.says(Result(1, "late"), Willing("ssd-1b"))
    assert helper.assistant.is_willing("ssd-1b")
    helper.assistant.begin("two")
    helper.says(Result(2, "in time"))
    assert helper.assistant.end(timeout_s=1) == "in time"


def test_willing_for_one_model_is_not_for_another():
    helper = willing()
    assert not helper.assistant.is_willing("pocket")
    assert not helper.assistant.is_willing("pocket")
    assert helper.heard() == [Ask("pocket")]


@pytest.mark.parametrize("hangs", [True, False])
def test_one_that_hangs_or_ends_is_asked_no_more(hangs):
    helper = willing()
    helper.assistant.begin("a row")
    if not hangs:
        helper.pipe.close()
    assert helper.assistant.end(timeout_s=0.05) is None
    assert helper.assistant.is_gone and not helper.assistant.is_willing("ssd-1b")


class Guest:
    """One that a worker helps, and that worker's idle loop in a thread."""

    def __init__(self, has=("ssd-1b",), do=lambda model, work: f"{work} by {model}") -> None:
        self.pipe, far_end = Pipe()
        self._server, self._inside = Pipe()
        self.guests = Guests(lambda model: model in has, do)
        self.guests.add(far_end)
        self.idle()

    def idle(self) -> None:
        self._thread = Thread(target=self.guests.help_until, args=(self._inside,))
        self._thread.start()

    def gets_a_drawing(self) -> None:
        self._server.send("draw")
        self._thread.join()
        assert self._inside.recv() == "draw"
        self.guests.leave()

    def says(self, *messages) -> None:
        for message in messages:
            self.pipe.send(message)

    def hears(self) -> object:
        assert self.pipe.poll(5)
        return self.pipe.recv()


@pytest.fixture
def guest():
    guest = Guest()
    yield guest
    guest.gets_a_drawing()


def test_an_idle_worker_helps_with_the_model_that_it_has(guest):
    guest.says(Ask("pocket"), Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    guest.says(Part(1, "ssd-1b", "a row"))
    assert guest.hears() == Result(1, "a row by ssd-1b")


def test_with_a_drawing_of_its_own_it_sends_guests_away_and_ignores_what_they_sent_before_they_heard(guest):
    guest.says(Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    guest.gets_a_drawing()
    assert guest.hears() == Busy()
    guest.says(Part(1, "ssd-1b", "too late"), Ask("ssd-1b"))
    guest.idle()
    assert guest.hears() == Willing("ssd-1b")
    guest.says(Part(2, "ssd-1b", "a row"))
    assert guest.hears() == Result(2, "a row by ssd-1b")


def test_what_it_cannot_do_ends_its_help():
    guest = Guest(do=lambda model, work: None)
    guest.says(Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    guest.says(Part(1, "ssd-1b", "a row"))
    with pytest.raises(EOFError):
        guest.hears()
    guest.gets_a_drawing()


def test_a_guest_that_ends_is_forgotten(guest):
    guest.says(Ask("ssd-1b"))
    assert guest.hears() == Willing("ssd-1b")
    guest.pipe.close()
    time.sleep(0.05)
    guest.gets_a_drawing()
    guest.idle()
