"""A worker in a child process, so that killing it frees the card at once, whatever it is doing.

This is the server's half, which runs on the event loop and never waits for the card; the child's half is
`generator.workers.child`.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.reduction import ForkingPickler
from types import MappingProxyType

from generator.workers import child
from generator.workers.conversation import ConversingWorker, Inbox
from generator.workers.messages import EngineFactory, Help, Meet, Worker
from generator.workers.pipes import ChildProcess, caller_in_loop, spawn

# How long a child that has closed its pipe may take to free the card and exit, before it is killed.
EXIT_TIMEOUT_S = 5.0


class Child(ChildProcess):
    """One child process with an engine. ``received`` gets its messages, then ``ended`` is called: both in a thread."""

    def __init__(
        self,
        factory: EngineFactory,
        environment: Mapping[str, str],
        *,
        received: Callable[[object], None],
        ended: Callable[[], None],
    ) -> None:
        super().__init__(child.main, factory, environment, name="easel-worker", received=received, ended=ended)

    def ending(self) -> str:
        """Say in a clause how it has ended. Waits for a child that is about to."""
        exitcode = self.wait(EXIT_TIMEOUT_S)
        if exitcode is not None and exitcode < 0:
            return f"the drawing process was killed by {signal.Signals(-exitcode).name}"
        return "the drawing process " + ("hung up" if exitcode is None else f"ended by itself with status {exitcode}")


class _LocalChild:
    """The carrier to a child of this process."""

    def __init__(self, factory: EngineFactory, environment: Mapping[str, str], inbox: Inbox) -> None:
        in_loop = caller_in_loop()
        self.child = Child(
            factory, environment, received=partial(in_loop, inbox.put), ended=partial(in_loop, inbox.end)
        )
        self.send = self.child.send

    @property
    def is_alive(self) -> bool:
        return self.child.is_alive

    async def ending(self) -> str:
        return await asyncio.to_thread(self.child.ending)

    async def kill(self) -> None:
        self.child.kill()
        await asyncio.to_thread(self.child.wait)


class WorkerProcess(ConversingWorker):
    """A Worker (see `generator.workers.messages`) whose engine runs in a child process, started when needed."""

    def __init__(
        self,
        factory: EngineFactory,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        load_timeout_s: float,
        step_timeout_s: float,
    ) -> None:
        """``environment`` is the child's own, on top of this process's."""
        environment = dict(environment)
        super().__init__(
            lambda inbox: _LocalChild(factory, environment, inbox),
            load_timeout_s=load_timeout_s,
            step_timeout_s=step_timeout_s,
        )

    @property
    def pid(self) -> int | None:
        """The child's process id, or None without a child."""
        return self._child.pid if self._child else None

    def meet(self, name: str, other: Worker, others_name: str) -> None:
        if not isinstance(other, WorkerProcess) or not self._child or not other._child:
            return
        for helps, its_name, helped, helped_name in (
            (self._child, name, other._child, others_name),
            (other._child, others_name, self._child, name),
        ):
            ends = spawn.Pipe()
            pipe, far_end = (bytes(ForkingPickler.dumps(end)) for end in ends)
            for end in ends:
                end.close()
            helps.send(Help(helped_name, pipe))
            helped.send(Meet(its_name, far_end))

    @property
    def _child(self) -> Child | None:
        return self._carrier.child if isinstance(self._carrier, _LocalChild) else None
