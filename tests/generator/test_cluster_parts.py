"""Parts of a cluster alone: what leads it, its driver, a machine, and one that joins again."""

import asyncio
import queue
import tempfile
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import AuthenticationError, RayError, RpcError

from generator.cluster import cluster, join, remote
from generator.cluster.cluster import Cluster
from generator.cluster.driver import _Machines, _Refused, _Talk
from generator.cluster.machine import Machine, version
from generator.cluster.messages import Farewell, Greeting, Joined, Lost, Place, Say
from generator.cluster.models import Models
from generator.settings import ClusterSettings
from generator.workers.messages import Cancelled, Draw, DrawingEvent
from tests.helpers.running_generator import recipe_of, stand_in_capabilities

# ---- what leads the cluster


class Driver:
    """In the place of the process: says what it is told to say."""

    def __init__(self, news: Callable[[object], None], said: list[object]) -> None:
        self.is_closed = False
        for message in said:
            news(message)

    def lost(self, machine: str, how: str) -> None: ...

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def lead(tmp_path, monkeypatch):
    """Lead a cluster whose processes say these messages, for a dispatcher with these methods."""
    monkeypatch.setattr(cluster, "FIRST_PAUSE_S", 0.01)

    def lead(said: list[object], **dispatcher: Callable[..., object]) -> tuple[asyncio.Task[None], list[Driver]]:
        drivers: list[Driver] = []
        monkeypatch.setattr(
            cluster, "Driver", lambda _place, _engine, news: drivers.append(Driver(news, said)) or drivers[-1]
        )
        led = Cluster(
            ClusterSettings(listen="127.0.0.1", token_file=tmp_path / "token"),
            Models(tmp_path / "machines.json", stand_in_capabilities),
            load_timeout_s=1,
            step_timeout_s=1,
            drain_timeout_s=1,
        )
        running = led.run(SimpleNamespace(team_changed=lambda: None, **dispatcher))
        return asyncio.create_task(running), drivers

    return lead


async def test_a_cluster_whose_process_cannot_start_tries_again(tmp_path, monkeypatch, lead, caplog):
    """As when the disk is full."""
    folder = tmp_path / "tmp"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    leading, drivers = lead([])
    while "cannot start" not in caplog.text and not leading.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    folder.mkdir()
    while not drivers and not leading.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert not leading.done()
    leading.cancel()
    await asyncio.wait([leading])
    assert leading.cancelled()


async def test_a_cluster_ends_while_its_machines_leave(lead):
    """The server is asked to stop as the cluster's process ends by itself."""
    leaves = asyncio.Event()

    async def join(*_: object) -> None: ...

    async def leave(*_: object, **__: object) -> None:
        leaves.set()
        await asyncio.Event().wait()

    leading, drivers = lead([Joined("attic", ("cpu",), frozenset()), None], join=join, leave=leave)
    await leaves.wait()
    leading.cancel()
    await asyncio.wait([leading], timeout=5)
    assert leading.cancelled()
    assert [driver.is_closed for driver in drivers] == [True]


async def test_a_driver_that_hangs_is_killed_though_the_server_stops_just_then():
    """The server's own end would wait for it."""

    class Hanging:
        killed, waited = threading.Event(), threading.Event()

        def kill(self) -> None:
            self.killed.set()

        def wait(self, timeout_s: float | None = None) -> None:
            self.waited.set()
            self.killed.wait(timeout_s)

    driver = remote.Driver.__new__(remote.Driver)
    driver._process, driver.send = Hanging(), lambda _: None
    closing = asyncio.create_task(driver.close())
    await asyncio.to_thread(Hanging.waited.wait, 10)
    closing.cancel()
    await asyncio.wait([closing])
    assert Hanging.killed.is_set()


# ---- its driver


def test_a_machine_that_is_lost_while_its_photo_is_read_makes_the_driver_deaf_to_none():
    heard: list[object] = []
    actor = SimpleNamespace(take=SimpleNamespace(options=lambda **_: SimpleNamespace(remote=heard.append)))
    attic, cellar = _Talk("a", actor, "attic"), _Talk("b", actor, "cellar")

    class Photo:
        def read_bytes(self) -> bytes:
            # As the thread that talks with the machine does at its loss.
            attic.name = attic.actor = None
            return b"photo"

    said = [Say("attic", "k", Draw("1", recipe_of(subject=("otter",)), image=Photo())), Farewell("cellar"), None]
    cluster = _Machines(SimpleNamespace(recv=lambda: said.pop(0)), None, own_node="own")
    cluster._talks = {"a": attic, "b": cellar}
    cluster.hear()
    assert heard[-1] == Farewell("cellar")
    assert cluster.is_over


def test_a_driver_that_cannot_pass_on_a_message_ends_and_is_no_deaf_one():
    """There is no room for a photo, in memory or on disk."""

    def remote(_: object) -> None:
        raise RayError("no room")

    actor = SimpleNamespace(take=SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote)))
    said = [Farewell("attic"), None]
    machines = _Machines(SimpleNamespace(recv=lambda: said.pop(0)), None, own_node="own")
    machines._talks = {"a": _Talk("a", actor, "attic")}
    machines.hear()
    assert machines.is_over


def test_a_machine_is_lost_before_another_one_has_its_name(monkeypatch):
    said: list[object] = []
    machines = _Machines(SimpleNamespace(send=said.append), None, own_node="own")
    old, new = _Talk("a", name="attic"), _Talk("b")
    machines._talks = {"a": old, "b": new}

    def send(message: object) -> None:
        if isinstance(message, Lost):
            with pytest.raises(_Refused):
                machines._received(new, Greeting("attic", version(), ("cpu",), frozenset()))
        said.append(message)

    monkeypatch.setattr(machines, "_send", send)
    # Ray knows no such node, so there is nothing to talk about.
    with pytest.raises(ValueError, match="node"):
        machines._talk(old)
    machines._received(new, Greeting("attic", version(), ("cpu",), frozenset()))
    assert [type(message) for message in said] == [Lost, Joined]


# ---- a machine


class Drawer:
    """A machine's worker: notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Draw] = []
        self.send = self.heard.append

    def ending(self) -> str:
        return "it ended"


@pytest.fixture
def machine(tmp_path):
    machine = Machine.__new__(Machine)
    machine._said, machine._workers, machine._photos = queue.SimpleQueue(), {}, SimpleNamespace(name=tmp_path)
    return machine


def draw_from_a_photo(machine: Machine, key: str, drawing_id: str = "one") -> Draw:
    draw = Draw(drawing_id, recipe_of(subject=("otter",)), image=Path("there"))
    machine.take(Say("attic", key, draw, b"photo"))
    return draw


def test_a_machine_and_a_job_may_have_the_longest_names(machine, tmp_path):
    key = f"{'é' * 64}/cuda:0#12345"
    machine._workers[key] = worker = Drawer()
    draw = draw_from_a_photo(machine, key, f"{'j' * 64}/1/2/3")
    assert worker.heard[0].image.read_bytes() == b"photo"
    machine._received(key, DrawingEvent(draw.id, Cancelled()))
    assert not [*tmp_path.iterdir()]


def test_a_worker_that_ends_takes_its_own_photos_with_it(machine, tmp_path):
    machine._workers |= {"attic/cpu#1": Drawer(), "attic/cpu#10": Drawer()}
    for key in machine._workers:
        draw_from_a_photo(machine, key)
    machine._ended("attic/cpu#1")
    assert len([*tmp_path.iterdir()]) == 1


def test_a_photo_of_a_worker_that_ends_while_it_arrives_is_deleted(machine, tmp_path, monkeypatch):
    machine._workers["attic/cpu#1"] = Drawer()
    write = Path.write_bytes

    def ends_first(path: Path, data: bytes) -> int:
        machine._ended("attic/cpu#1")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", ends_first)
    draw_from_a_photo(machine, "attic/cpu#1")
    assert not [*tmp_path.iterdir()]
    assert machine._said.qsize() == 1, "its end is told once"


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        (AuthenticationError("InvalidAuthToken: Invalid token."), True),
        (AuthenticationError("WrongClusterID: Perhaps the client is accessing GCS after it has restarted."), False),
        (RpcError("Timed out while waiting for GCS to become available."), False),
    ],
)
def test_only_a_wrong_token_is_refused_as_one(monkeypatch, error, is_refused):
    """A main machine that has just started anew, or is slow, is asked again by the next try."""

    def ask(*_: object) -> None:
        raise error

    monkeypatch.setattr(join, "_ask", ask)
    with pytest.raises(join.CannotJoin, match="refuses the token") if is_refused else nullcontext():
        assert join._check("x:1", version()) is None


def test_joining_again_leaves_no_thread_and_no_file_open(tmp_path, monkeypatch):
    monkeypatch.setattr(join, "_host", _ends_at_once)

    def join_once(n: int) -> None:
        folder = tmp_path / str(n)
        folder.mkdir()
        place = Place("127.0.0.1", 1, tmp_path, folder, 1)
        assert join._take_part("x:1", place, "attic", threading.Event(), threading.Event()) is None
        for thread in threading.enumerate():
            if thread.name == "log":
                thread.join(10)
                assert not thread.is_alive()

    join_once(0)
    open_files = len([*Path("/proc/self/fd").iterdir()])
    for n in range(1, 4):
        join_once(n)
    assert len([*Path("/proc/self/fd").iterdir()]) <= open_files


def _ends_at_once(*_: object) -> None:
    """In the place of the child that takes part."""
