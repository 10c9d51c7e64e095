"""The command of every other machine: takes part in the cluster, and joins again whenever it was lost.

Ray lives in a child process, which ends when the main machine is lost.
"""

import logging
import os
import signal
import socket
import sys
import time
from functools import cache
from io import FileIO
from multiprocessing.connection import Connection
from pathlib import Path
from platform import node as host_name
from threading import Event, Thread
from typing import Any, cast

from generator.cluster import machine, node
from generator.cluster.driver import NAMESPACE, RUN_KEY, VERSION_KEY, ignore_signals
from generator.cluster.machine import version
from generator.cluster.messages import Place
from generator.cluster.remote import END_LIMIT_S, private_folder
from generator.log_lines import start_log
from generator.workers.pipes import spawn

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 10.0
# A network that takes longer is of no use for photos.
CONNECT_LIMIT_S = 5.0
# How long the main machine may let running pictures end when this one wants to leave.
FAREWELL_LIMIT_S = 80.0
LOOK_EVERY_S = 0.5
# A main machine that is silent for longer is taken for lost.
ANSWER_LIMIT_S = 10.0
# What Ray says, as of a wrong token, to who asked the main machine before it started anew.
_STARTED_ANEW = "WrongClusterID"

_END_OF_LOG = b"\0\n"


class CannotJoin(Exception):
    """This machine must not join as it is. ``str()`` is a sentence that says what to do."""


def join(
    main: tuple[str, int], token_file: Path, *, name: str | None, listen: str | None, port: int, store_mb: int
) -> int:
    """Take part in the cluster of ``main``, a host and a port, until SIGTERM or SIGINT. Returns the exit status.

    A second signal does not wait for running pictures.
    """
    address = f"{main[0]}:{main[1]}"
    leaving, hurried = Event(), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (hurried if leaving.is_set() else leaving).set())
    pause_s = FIRST_PAUSE_S
    while not leaving.is_set():
        own_address = _own_address(main)
        if own_address is not None:
            with private_folder() as folder:
                place = Place(listen or own_address, port, token_file.resolve(), folder, store_mb * 1_000_000)
                began = time.monotonic()
                refusal = _take_part(address, place, name or host_name(), leaving, hurried)
            if refusal is not None:
                print(refusal, file=sys.stderr)
                return 1
            pause_s = FIRST_PAUSE_S if time.monotonic() - began > LONGEST_PAUSE_S else pause_s
        if not leaving.is_set():
            log.warning("%s is away; the next try is in %g s", address, pause_s)
            leaving.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    return 0


def _own_address(main: tuple[str, int]) -> str | None:
    """The address of this machine in the network of the main one; None if that does not answer."""
    try:
        with socket.create_connection(main, CONNECT_LIMIT_S) as connection:
            return str(connection.getsockname()[0])
    except OSError:
        return None


def _take_part(main: str, place: Place, name: str, leaving: Event, hurried: Event) -> str | None:
    """Run the child until it ends. Returns the sentence of a refusal."""
    os.mkfifo(place.folder / machine.LOG)
    # Opened for both, so that the last writer's end is not the end of it.
    lines = (place.folder / machine.LOG).open("rb+", buffering=0)
    Thread(target=_copy_log, args=(lines,), name="log", daemon=True).start()
    pipe, far_end = spawn.Pipe()
    child = spawn.Process(target=_host, args=(far_end, main, place, name, version()), name="easel-machine")
    child.start()
    far_end.close()
    refusal = None
    while child.is_alive() and not leaving.is_set():
        if pipe.poll(LOOK_EVERY_S):
            try:
                refusal = pipe.recv()
            except EOFError:
                break
    if leaving.is_set():
        log.info("leaving as soon as nothing is drawn here")
        (place.folder / machine.LEAVE).touch()
        deadline = time.monotonic() + FAREWELL_LIMIT_S
        while child.is_alive() and not (place.folder / machine.LEFT).exists() and time.monotonic() < deadline:
            if hurried.wait(LOOK_EVERY_S):
                break
    pipe.close()
    child.join(END_LIMIT_S)
    child.kill()
    child.join()
    lines.write(_END_OF_LOG)
    return refusal


def _host(pipe: Connection, main: str, place: Place, name: str, ours: str) -> None:
    """Run Ray's processes in the child, until they or the parent end. Sends the parent a refusal, if there is one."""
    os.environ.update(node.environment(place))
    os.environ.update({machine.NAME: name, machine.FOLDER: str(place.folder)})
    start_log(logging.INFO)
    ignore_signals()
    try:
        run = _check(main, ours)
    except CannotJoin as error:
        pipe.send(str(error))
        return
    if run is None:
        return
    started = node.start(place, main)
    try:
        log.info("joined %s as %s", main, name)
        node.warn_of_open_sockets(place.address)
        # Nothing comes through the pipe but its end. Raylet alone does not notice for a while that another run has
        # taken the place of the one it knows, and keeps both processors busy meanwhile.
        while not node.died(started) and _run_of(main) == run and not pipe.poll(LOOK_EVERY_S):
            pass
    except Exception:
        log.exception("taking part met a bug")
    finally:
        node.stop(started)
        os._exit(0)


def _check(main: str, ours: str) -> bytes | None:
    """Compare this machine's version with the main one's; return the run that it is in, None if it does not answer.

    Raises CannotJoin.
    """
    from ray.exceptions import AuthenticationError, RayError

    try:
        # It answers a moment before it is ready.
        while (theirs := _ask(main, VERSION_KEY)) is None:
            time.sleep(LOOK_EVERY_S)
    except (RayError, OSError) as error:
        if isinstance(error, AuthenticationError) and _STARTED_ANEW not in str(error):
            raise CannotJoin(f"{main} refuses the token: copy its token file to this machine.") from error
        log.info("the main machine does not answer: %s", error)
        return None
    if theirs.decode() != ours:
        raise CannotJoin(f"{main} runs {theirs.decode()}, and this machine {ours}: bring both to the same versions.")
    return _run_of(main)


def _run_of(main: str) -> bytes | None:
    """The run that the main machine is in; None if it does not answer."""
    from ray.exceptions import RayError

    try:
        return _ask(main, RUN_KEY)
    except (RayError, OSError) as error:
        log.info("the main machine does not answer: %s", error)
        return None


@cache
def _client(main: str) -> Any:
    import ray._raylet

    return ray._raylet.GcsClient(address=main)


def _ask(main: str, key: bytes) -> bytes | None:
    return cast(bytes | None, _client(main).internal_kv_get(key, namespace=NAMESPACE, timeout=ANSWER_LIMIT_S))


def _copy_log(lines: FileIO) -> None:
    with lines:
        while not (line := lines.readline()).endswith(_END_OF_LOG):
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
