"""The server's child with Ray: leads the cluster, and carries messages between the server and each machine's actor.

A process of its own, since Ray ends the one that loses the cluster; then the server starts another. Knows neither jobs
nor pictures.
"""

import logging
import os
import secrets
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Any

from generator.cluster import node
from generator.cluster.machine import Machine, version
from generator.cluster.messages import Beat, Greeting, Joined, Lost, Place, Say, ToMachine
from generator.log_lines import start_log
from generator.workers.messages import Draw, EngineFactory

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
# To import what it needs on a busy machine.
START_LIMIT_S = 120.0
# It says something every two seconds; Ray does not notice a process that is frozen.
SILENT_S = 10.0
LONGEST_PAUSE_S = 60.0

# Where a machine that joins finds what runs here, and which run of this process it is.
VERSION_KEY, RUN_KEY, NAMESPACE = b"version", b"run", b"easel"


def main(pipe: Connection, place: Place, engine: EngineFactory | None, log_level: int) -> None:
    """Run the process until the server closes the pipe, or the cluster is lost."""
    os.environ.update(node.environment(place))
    start_log(log_level)
    ignore_signals()
    import ray
    from ray.experimental.internal_kv import _internal_kv_put

    head = node.start(place)
    try:
        ray.init(address=head.address, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=str(place.folder))
        _internal_kv_put(RUN_KEY, secrets.token_bytes(), namespace=NAMESPACE)
        _internal_kv_put(VERSION_KEY, version().encode(), namespace=NAMESPACE)
        node.warn_of_open_sockets(place.address)
        log.info("other machines can join at %s", head.address)
        machines = _Machines(pipe, engine, own_node=ray.get_runtime_context().get_node_id())
        Thread(target=machines.hear, name="server", daemon=True).start()
        while not node.died(head) and not machines.is_over:
            machines.look()
            machines.beat()
            time.sleep(LOOK_EVERY_S)
    except Exception:
        log.exception("the cluster met a bug")
    finally:
        node.stop(head)
        os._exit(0)


def ignore_signals() -> None:
    """Leave it to the parent when this process ends. Those that it starts do end on a signal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # What is to be ignored would be ignored by them, too; a handler is not passed on.
        signal.signal(number, lambda *_: None)


@dataclass
class _Talk:
    """What one machine says, and how its start goes: ``actor`` is Ray's handle, ``name`` is known once it greeted."""

    node_id: str
    actor: Any = None
    name: str | None = None
    failures: int = 0
    next_try: float = 0.0
    is_under_way: bool = False


class _Machines:
    """The machines that are there, each with an actor that this process owns."""

    def __init__(self, pipe: Connection, engine: EngineFactory | None, *, own_node: str) -> None:
        self._pipe, self._engine, self._own_node = pipe, engine, own_node
        self._sending = Lock()
        self._talks: dict[str, _Talk] = {}
        self.is_over = False

    def hear(self) -> None:
        """Pass the server's messages on, until it says None or is gone."""
        try:
            while (message := self._pipe.recv()) is not None:
                self._pass_on(message)
        except (EOFError, OSError) as error:
            log.debug("the server is gone: %r", error)
        except Exception:
            # Deaf, this process would be of no use. The server starts another one.
            log.exception("a message cannot be passed on")
        self.is_over = True

    def beat(self) -> None:
        """Tell the server that this process still runs."""
        self._send(Beat())

    def look(self) -> None:
        """Begin to talk with every machine that is new, or that is worth another try."""
        import ray

        alive = {each["NodeID"] for each in ray.nodes() if each["Alive"]} - {self._own_node}
        for node_id in [node_id for node_id in self._talks if node_id not in alive]:
            talk = self._talks[node_id]
            if not talk.is_under_way:
                del self._talks[node_id]
        for node_id in alive:
            talk = self._talks.setdefault(node_id, _Talk(node_id))
            if not talk.is_under_way and time.monotonic() >= talk.next_try:
                talk.is_under_way = True
                Thread(target=self._talk, args=(talk,), name=f"talk {node_id[:8]}", daemon=True).start()

    # ---- inside

    def _send(self, message: object) -> None:
        try:
            with self._sending:
                self._pipe.send(message)
        except OSError:
            self.is_over = True

    def _pass_on(self, message: ToMachine) -> None:
        talk = next((talk for talk in self._talks.copy().values() if talk.name == message.machine), None)
        # The machine may be lost from here on, in the thread that talks with it.
        actor = talk.actor if talk is not None else None
        if actor is None:
            return
        if isinstance(message, Say) and isinstance(message.message, Draw) and message.message.image is not None:
            try:
                message = replace(message, photo=message.message.image.read_bytes())
            except OSError as error:
                log.warning("a photo cannot be read: %s", error.strerror)
        actor.take.options(concurrency_group="take").remote(message)

    def _talk(self, talk: _Talk) -> None:
        """Start the machine's actor, and pass on what it says until it is lost."""
        import ray
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        how = "it said nothing"
        try:
            there = NodeAffinitySchedulingStrategy(talk.node_id, soft=False)
            actor_class = ray.remote(num_cpus=0, max_restarts=0, concurrency_groups={"talk": 1, "take": 1})(Machine)
            talk.actor = actor_class.options(scheduling_strategy=there).remote(self._engine)
            said = talk.actor.talk.options(num_returns="streaming", concurrency_group="talk").remote()
            limit_s = START_LIMIT_S
            while ray.wait([said], timeout=limit_s)[0]:
                limit_s = SILENT_S
                self._received(talk, ray.get(next(said)))
            how = f"it said nothing for {limit_s:g} s"
        except _Refused as refused:
            how = str(refused)
        except (RayError, StopIteration) as error:
            how = str(error).partition("\n")[0] or type(error).__name__
        finally:
            if talk.actor is not None:
                ray.kill(talk.actor)
            if talk.name is not None:
                talk.failures = 0
                # As long as it has its name, no other machine joins under it.
                self._send(Lost(talk.name, how))
            else:
                talk.failures += 1
                log.error("a machine cannot take part: %s", how)
            talk.name = talk.actor = None
            talk.next_try = time.monotonic() + min(2**talk.failures, LONGEST_PAUSE_S) - 1
            talk.is_under_way = False

    def _received(self, talk: _Talk, message: object) -> None:
        match message:
            case Beat():
                pass
            case Greeting(name, its_version, cards, models):
                if its_version != version():
                    raise _Refused(f"{name} has {its_version}, and this machine {version()}")
                if any(other.name == name for other in self._talks.copy().values()):
                    raise _Refused(f"there is another machine called {name}")
                talk.name = name
                self._send(Joined(name, cards, models))
            case _:
                self._send(message)


class _Refused(Exception):
    """The machine must not take part. ``str()`` says why."""
