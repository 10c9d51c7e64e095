"""Parts of a cluster alone: its driver, and the machine that joins again."""

import threading
from pathlib import Path
from types import SimpleNamespace

from generator.cluster import join
from generator.cluster.driver import _Machines, _Talk
from generator.cluster.messages import Farewell, Place, Say
from generator.workers.messages import Draw
from tests.helpers.running_generator import recipe_of


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
