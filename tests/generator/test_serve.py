"""The `serve` process from start to exit status, with real signals."""

import asyncio
import json
import os
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from generator.client import NotRunning, call
from generator.settings import Settings
from tests.helpers.running_generator import eventually
from tests.helpers.stand_in import stand_in_settings

SCRIPT = """
import logging, sys
from pathlib import Path
from tests.helpers import bad_engines
from generator.service.server import serve
from generator.settings import load_settings
if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    sys.exit(serve(load_settings(Path(sys.argv[1])), getattr(bad_engines, sys.argv[2], None)))
"""

# Importing torch takes long on a busy machine.
START_S = 60
PUT = {"requester": "@ann:home", "recipes": [{"slots": {"subject": ["otter"]}, "steps": 20, "width": 64, "height": 64}]}


@dataclass
class Service:
    process: asyncio.subprocess.Process
    settings: Settings

    @property
    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession("http://easel", connector=aiohttp.UnixConnector(str(self.settings.socket)))

    async def ended(self) -> tuple[int, str]:
        """Wait for the end and return exit status and stderr."""
        _, err = await asyncio.wait_for(self.process.communicate(), START_S)
        return self.process.returncode, err.decode()


Serve = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start `serve` in its own process, and kill it at the end if it still runs."""

    @asynccontextmanager
    async def start(engine: str = "Slow", *, env: dict[str, str] | None = None, **more: Any) -> AsyncIterator[Service]:
        keys = {"socket": str(tmp_path / "run/generator.sock"), "pictures": str(tmp_path / "pictures"), **more}
        (tmp_path / "settings.yml").write_text(yaml.safe_dump({"device": "cpu", **keys}))
        (tmp_path / "serve_with.py").write_text(SCRIPT)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(tmp_path / "serve_with.py"),
            str(tmp_path / "settings.yml"),
            engine,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Service(process, Settings(**keys))
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return start


async def ready(service: Service) -> None:
    async def is_ready() -> bool:
        assert service.process.returncode is None, "serve ended"
        with suppress(NotRunning):
            return (await call(service.settings, "GET", "/v1/health"))[1]["state"] == "ready"
        return False

    await eventually(is_ready)


async def start_job(session: aiohttp.ClientSession, job: str = "job-1", **recipe: Any) -> aiohttp.ClientResponse:
    """Return the job's stream once its first step is done."""
    await session.put(f"/v1/jobs/{job}", json={**PUT, "recipes": [PUT["recipes"][0] | recipe]})
    stream = await session.get(f"/v1/jobs/{job}/events")
    async for line in stream.content:
        if json.loads(line)["event"] == "progress":
            return stream
    raise AssertionError("the stream ended")


async def rest_of(stream: aiohttp.ClientResponse) -> list[str]:
    return [json.loads(line)["event"] async for line in stream.content]


async def test_sigterm_lets_the_running_job_end_and_refuses_new_ones(serve, tmp_path):
    async with serve() as service, service.session as session:
        await ready(service)
        stream = await start_job(session)
        await session.put("/v1/jobs/waiting", json=PUT)
        waiting = await session.get("/v1/jobs/waiting/events")
        service.process.send_signal(signal.SIGTERM)
        await eventually(lambda: is_draining(session))
        refused = await session.put("/v1/jobs/late", json=PUT)
        assert refused.status == 503
        assert (await refused.json())["error"]["message"].startswith("The drawing computer is shutting down")
        for command in ("pause", "resume"):
            assert (await session.post(f"/v1/{command}")).status == 503
        assert (await rest_of(stream))[-1] == "done"
        assert set(await rest_of(waiting)) <= {"state", "position"}
        status, _ = await service.ended()
        assert status == 0
        assert len(list((tmp_path / "pictures").rglob("*.png"))) == 1
        assert not service.settings.socket.exists()


@pytest.mark.parametrize("second", [False, True], ids=["after the drain's limit", "at a second signal"])
async def test_a_job_that_takes_too_long_is_given_back(serve, second):
    async with serve(drain_timeout_s=60 if second else 0.2) as service, service.session as session:
        await ready(service)
        stream = await start_job(session, steps=100)
        service.process.send_signal(signal.SIGTERM)
        if second:
            service.process.send_signal(signal.SIGINT)
        events = await rest_of(stream)
        assert "position" in events
        assert not {"done", "failed", "cancelled"} & set(events)
        assert (await service.ended())[0] == 0


async def test_the_real_engine_draws_and_the_server_never_loads_torch(serve, stand_in_folder):
    async with serve("the real one", **stand_in_settings(stand_in_folder)) as service, service.session as session:
        await ready(service)
        stream = await start_job(session, steps=1, slots={"subject": ["a secret otter"], "style": ["secret"]})
        assert (await rest_of(stream))[-1] == "done"
        server, worker = service.process.pid, worker_of(service.process.pid)
        assert has_loaded("libtorch", worker)
        assert not has_loaded("libtorch", server)
        service.process.terminate()
        _, err = await service.ended()
        assert "job job-1 done for @ann:home" in err
        assert "secret" not in err


async def test_an_idle_service_ends_at_once(serve):
    async with serve() as service:
        await ready(service)
        service.process.send_signal(signal.SIGINT)
        assert (await service.ended())[0] == 0


async def test_a_second_generator_on_the_same_socket_ends_with_a_sentence(serve):
    async with serve() as first:
        await ready(first)
        async with serve() as second:
            status, err = await second.ended()
            assert status == 1
            assert "A generator is listening on" in err
        assert (await call(first.settings, "GET", "/v1/health"))[0] == 200


async def test_after_a_crash_the_socket_is_taken_over_and_the_worker_is_gone(serve):
    async with serve() as crashed, crashed.session as session:
        await ready(crashed)
        await start_job(session, steps=100)
        worker = worker_of(crashed.process.pid)
        crashed.process.kill()
        await crashed.process.wait()
        await eventually(lambda: has_ended(worker))
    async with serve() as service:
        await ready(service)


async def test_a_bug_that_stops_the_drawing_ends_the_service(serve):
    """systemd starts it again. A service that answers but never draws would be worse."""
    async with serve("Unsendable") as service:
        status, err = await service.ended()
        assert status == 1
        assert "the dispatcher met a bug" in err
        assert not service.settings.socket.exists()


async def is_draining(session: aiohttp.ClientSession) -> bool:
    async with session.get("/v1/health") as answer:
        return (await answer.json())["state"] == "draining"


async def has_ended(pid: int) -> bool:
    # A zombie has a process id but no program.
    return not await asyncio.to_thread(Path(f"/proc/{pid}/exe").exists)


def has_loaded(library: str, pid: int) -> bool:
    return library in Path(f"/proc/{pid}/maps").read_text()


def worker_of(pid: int) -> int:
    """The server's child process that is not multiprocessing's helper."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("\n", "is empty")])
async def test_tcp_needs_a_token_file_with_a_token(serve, tmp_path, content, words):
    if content is not None:
        (tmp_path / "token").write_text(content)
    async with serve(tcp_host="127.0.0.1", token_file=str(tmp_path / "token")) as service:
        status, err = await service.ended()
        assert status == 1
        assert words in err


async def test_tcp_and_the_socket_at_once(serve, tmp_path):
    """A Host other than localhost is allowed because the generator listens on it."""
    (tmp_path / "token").write_text("secret\n")
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    async with serve(tcp_host="127.0.0.2", tcp_port=port, token_file=str(tmp_path / "token")) as service:
        await ready(service)
        address = f"http://127.0.0.2:{port}/v1/health"
        async with aiohttp.request("GET", address, headers={"Authorization": "Bearer secret"}) as answer:
            assert answer.status == 200
        service.process.send_signal(signal.SIGTERM)
        status, err = await service.ended()
        assert status == 0
        assert "secret" not in err


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that stays open while no generator runs, as held by systemd."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "systemd.sock"))
        listener.listen()
        os.set_inheritable(listener.fileno(), True)
        yield listener


async def activate(listener: socket.socket, **settings: Any) -> asyncio.subprocess.Process:
    """Pass the socket like `systemd-socket-activate`: descriptor 3, LISTEN_FDS, and the process's own LISTEN_PID."""
    folder = Path(listener.getsockname()).parent
    (folder / "serve_with.py").write_text(SCRIPT)
    keys = {"pictures": str(folder / "pictures"), "device": "cpu", **settings}
    (folder / "settings.yml").write_text(yaml.safe_dump(keys))
    move = f"exec 3<&{listener.fileno()} && LISTEN_FDS=1 LISTEN_PID=$$ exec"
    return await asyncio.create_subprocess_exec(
        "/bin/bash",
        "-c",
        f"{move} {sys.executable} serve_with.py settings.yml Colour",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        pass_fds=[listener.fileno()],
    )


async def test_a_socket_from_systemd_is_used(listener):
    path = listener.getsockname()
    process = await activate(listener)
    try:
        status, health = await call(Settings(socket=path), "GET", "/v1/health")
        assert (status, health["running"]) == (200, 0)
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert Path(path).is_socket(), "systemd's socket stays"  # noqa: ASYNC240


async def test_an_idle_service_ends_and_the_next_job_starts_it_again(listener):
    for job in ("job-1", "job-2"):
        async with aiohttp.ClientSession(
            "http://easel", connector=aiohttp.UnixConnector(listener.getsockname())
        ) as session:
            # The connection waits in the socket until a generator accepts it.
            asking = asyncio.create_task(session.put(f"/v1/jobs/{job}", json=PUT))
            readable, _, _ = await asyncio.to_thread(select.select, [listener], [], [], START_S)
            assert readable, "this is when systemd starts the service"
            process = await activate(listener, exit_when_idle_minutes=0.01)
            assert (await asking).status == 201
            async with session.get(f"/v1/jobs/{job}/events") as stream:
                assert (await rest_of(stream))[-1] == "done"
        assert await asyncio.wait_for(process.wait(), START_S) == 0


async def test_the_client_reports_that_no_generator_listens(tmp_path):
    with pytest.raises(NotRunning, match=r"No generator answers on .*s\.sock"):
        await call(Settings(socket=tmp_path / "s.sock"), "GET", "/v1/health")
