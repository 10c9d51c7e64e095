"""The generator is polled only while a job waits, and its machine is woken once for each wait by a real packet."""

import asyncio
import logging
import socket

import pytest

from bot.easel.generator.errors import NotRunning, NotUnderstood
from bot.easel.generator.wake import magic_packet, wake
from bot.easel.generator.watch import GeneratorWatch


class Machine:
    """A generator's machine that answers after a number of questions."""

    def __init__(self, answers_after: int) -> None:
        self.left, self.asked, self.woken = answers_after, 0, 0
        self._news = asyncio.Event()

    async def is_asked_again(self) -> None:
        """Wait for the next question."""
        self._news.clear()
        await self._news.wait()

    async def ask(self) -> None:
        self.asked += 1
        self._news.set()
        if self.left:
            self.left -= 1
            raise NotRunning

    async def wake(self) -> None:
        self.woken += 1


def watch(machine: Machine) -> GeneratorWatch:
    return GeneratorWatch(machine.ask, machine.wake, logging.getLogger("test"), first_pause_s=0.01, pause_s=0.01)


async def test_all_waiting_jobs_continue_together_and_the_machine_is_woken_once():
    machine = Machine(answers_after=4)
    watched = watch(machine)
    await asyncio.gather(*(watched.until_back(NotRunning()) for _ in range(10)))
    assert (machine.asked, machine.woken) == (5, 1)
    assert watched.away is None


async def test_it_is_woken_once_for_each_wait():
    machine = Machine(answers_after=1)
    watched = watch(machine)
    await watched.until_back(NotRunning())
    machine.left = 2
    await watched.until_back(NotRunning())
    assert machine.woken == 2


async def test_a_generator_that_is_back_at_once_is_not_woken():
    machine = Machine(answers_after=0)
    await watch(machine).until_back(NotRunning())
    assert (machine.asked, machine.woken) == (1, 0)


async def test_without_waiting_jobs_nothing_is_polled():
    machine = Machine(answers_after=1000)
    watched = watch(machine)
    first, second = [asyncio.create_task(watched.until_back(NotRunning())) for _ in range(2)]
    await machine.is_asked_again()
    first.cancel()
    await asyncio.wait([first])
    await machine.is_asked_again()
    (asking,) = asyncio.all_tasks() - {asyncio.current_task(), second}
    second.cancel()
    await asyncio.wait([second, asking])
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert watched.away is None


async def test_a_job_that_arrives_as_the_last_one_leaves_still_waits():
    machine = Machine(answers_after=2)
    watched = watch(machine)
    leaving = asyncio.create_task(watched.until_back(NotRunning()))
    await asyncio.sleep(0.001)
    leaving.cancel()
    coming = asyncio.create_task(watched.until_back(NotRunning()))
    await coming
    assert leaving.cancelled()
    assert watched.away is None


async def test_an_answer_other_than_unavailable_ends_the_wait():
    async def ask() -> None:
        raise NotUnderstood

    machine = Machine(answers_after=0)
    watched = GeneratorWatch(ask, machine.wake, logging.getLogger("test"), first_pause_s=0.01, pause_s=0.01)
    await watched.until_back(NotRunning())


async def test_a_packet_that_cannot_be_sent_ends_no_wait(caplog):
    async def fail_to_wake() -> None:
        raise OSError("no network")

    machine = Machine(answers_after=1)
    watched = GeneratorWatch(machine.ask, fail_to_wake, logging.getLogger("test"), first_pause_s=0.01, pause_s=0.01)
    await watched.until_back(NotRunning())
    assert "no network" in caplog.text


@pytest.mark.parametrize("mac", ["01:23:45:67:89:ab", "01-23-45-67-89-AB", "0123456789ab"])
def test_the_packet_has_the_magic_format(mac):
    packet = magic_packet(mac)
    assert packet == b"\xff" * 6 + b"\x01\x23\x45\x67\x89\xab" * 16
    assert len(packet) == 102


async def test_the_packet_arrives():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        # Listening on port 9 needs a privilege; sending to it does not.
        listener.bind(("127.0.0.1", 0))
        await wake("01:23:45:67:89:ab", "127.0.0.1", port=listener.getsockname()[1])
        assert listener.recv(200) == magic_packet("01:23:45:67:89:ab")
