"""The sockets that the generator listens on, and who may connect."""

import grp
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from generator.service.sockets import CannotListen, tcp_socket, unix_socket
from tests.helpers.running_generator import RunningGenerator

START = """
import sys
from pathlib import Path
from pathlib import Path
from generator.service.sockets import CannotListen, unix_socket
print("ready", flush=True)
sys.stdin.readline()
try:
    with unix_socket(Path(sys.argv[1]), None):
        print("listening", flush=True)
        sys.stdin.readline()
except CannotListen:
    print("refused", flush=True)
"""

TOKEN = "correct horse battery staple"


def test_a_missing_folder_is_created_for_its_owner_alone(tmp_path):
    path = tmp_path / "run" / "easel" / "generator.sock"
    with unix_socket(path, None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
    assert not path.exists()


def test_a_missing_folder_lets_the_group_through(tmp_path):
    path, group = tmp_path / "run" / "generator.sock", grp.getgrgid(os.getgid()).gr_name
    with unix_socket(path, group):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o710
        assert path.parent.stat().st_gid == path.stat().st_gid == os.getgid()


def test_an_existing_folder_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o750)
    with unix_socket(tmp_path / "generator.sock", None):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "generator.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    with unix_socket(path, None) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_live_socket_is_left_alone(tmp_path):
    path = tmp_path / "generator.sock"
    with unix_socket(path, None):
        with pytest.raises(CannotListen, match="is listening on"), unix_socket(path, None):
            pass
        assert path.is_socket()


def test_of_generators_that_start_at_once_on_a_stale_socket_one_lives(tmp_path):
    path, script = tmp_path / "generator.sock", tmp_path / "start.py"
    script.write_text(START)
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as crashed:
            crashed.bind(str(path))
        command = [sys.executable, str(script), str(path)]
        started = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(Path.cwd())}
            )
            for _ in range(3)
        ]
        for process in started:
            assert process.stdout.readline() == b"ready\n"
        for process in started:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        said = sorted(process.stdout.readline() for process in started)
        for process in started:
            process.kill()
            process.communicate()
        assert said == [b"listening\n", b"refused\n", b"refused\n"]
        path.unlink()


def test_another_file_in_its_place_is_left_alone(tmp_path):
    path = tmp_path / "generator.sock"
    path.write_text("mine")
    with pytest.raises(CannotListen, match="cannot be listened on"), unix_socket(path, None):
        pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["s", "run/s"])
def test_an_unknown_group_is_refused_with_a_sentence(tmp_path, name):
    with pytest.raises(CannotListen, match="no-such-group"), unix_socket(tmp_path / name, "no-such-group"):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
def test_a_folder_of_another_user_is_not_trusted(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    with pytest.raises(CannotListen, match="belongs to another user"), unix_socket(folder / "s", None):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's link")
@pytest.mark.parametrize("link", ["run", "run/easel"])
def test_another_users_link_is_not_followed(tmp_path, link):
    """As when somebody puts a link to a folder of ours where we look for our own, below /tmp."""
    ours, theirs = tmp_path / "ours", tmp_path / link
    (ours / "easel").mkdir(parents=True)
    theirs.parent.mkdir(exist_ok=True)
    theirs.symlink_to(ours)
    os.chown(theirs, 12345, -1, follow_symlinks=False)
    with pytest.raises(CannotListen, match="belongs to another user"):
        unix_socket(tmp_path / "run" / "easel" / "s", None).__enter__()
    assert not list(ours.rglob("s"))


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "s.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotListen, match="cannot be opened"), unix_socket(tmp_path / "s", None):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_port_that_is_taken_is_reported():
    with tcp_socket("127.0.0.1", 0) as taken, pytest.raises(CannotListen, match="in use"):
        tcp_socket("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["pc..home", ".home", "x" * 64])
def test_what_can_be_no_host_is_refused_with_a_sentence(host):
    with pytest.raises(CannotListen, match=f"^{host}:7801 cannot be listened on: "):
        tcp_socket(host, 7801)


@pytest.fixture
async def tcp_address(start_generator) -> str:
    """A generator on a UNIX socket and on TCP."""
    generator: RunningGenerator = await start_generator(token=TOKEN, allowed_hosts=("studio.home", "fe80::1"))
    listener = tcp_socket("127.0.0.1", 0)
    await generator.listen(listener)
    assert (await generator.call("GET", "/v1/health")).status == 200, "the UNIX socket needs no token"
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "localhost:7801"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "[::1]:7801"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "Studio.Home"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "[fe80::1]:7801"}, 200),
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "localhost.evil.example:7801"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/v1/health", "/metrics", "/openapi.json"])
async def test_over_tcp_host_and_token_are_checked(tcp_address, headers, status, path):
    async with aiohttp.request("GET", f"{tcp_address}{path}", headers=headers) as response:
        assert response.status == status
        if status != 200:
            assert (await response.json())["error"]["code"] in ("unauthorized", "wrong_host")


async def test_without_a_token_nobody_enters_over_tcp(start_generator):
    generator = await start_generator()
    listener = tcp_socket("127.0.0.1", 0)
    await generator.listen(listener)
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/health"
        async with aiohttp.request("GET", address, headers=headers) as response:
            assert response.status == 401
