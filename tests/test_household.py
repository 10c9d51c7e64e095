"""The household's homeserver: accounts with devices of their own, and Dendrite's settings and command."""

import asyncio
import base64
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from deploy.plugin import ROOT
from household import dendrite
from household.chat import write
from household.errors import HouseholdError
from household.home import prepare
from household.homeserver import SHARED_DEVICE, Homeserver
from household.json_api import JsonApi
from household.memory import Memory
from household.processes import Child, claim


class FakeAdminApi:
    """Registers accounts with the shared secret, each with the same device or with one of its own."""

    def __init__(self, *, is_dendrite: bool) -> None:
        self.is_dendrite, self.passwords, self.logins = is_dendrite, {}, []
        # Whether the connection breaks before the answer to a registration.
        self.cuts_off = False

    def app(self) -> web.Application:
        app = web.Application()
        register = "/_synapse/admin/v1/register"
        app.add_routes(
            [
                web.get(register, self._nonce),
                web.post(register, self._register),
                web.post("/_matrix/client/v3/login", self._login),
            ]
        )
        return app

    async def _nonce(self, request: web.Request) -> web.Response:
        return web.json_response({"nonce": "n"})

    async def _register(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = body["username"]
        if name in self.passwords:
            return web.json_response({"errcode": "M_USER_IN_USE"}, status=400)
        self.passwords[name] = body["password"]
        if self.cuts_off:
            request.transport.abort()
        device = SHARED_DEVICE if self.is_dendrite else f"OWN-{name}"
        return web.json_response({"user_id": f"@{name}:localhost", "access_token": "made", "device_id": device})

    async def _login(self, request: web.Request) -> web.Response:
        self.logins.append(body := await request.json())
        name = body["identifier"]["user"].removeprefix("@").removesuffix(":localhost")
        if self.passwords[name] != body["password"]:
            return web.json_response({"errcode": "M_FORBIDDEN"}, status=403)
        user_id = f"@{name}:localhost"
        return web.json_response({"user_id": user_id, "access_token": "new", "device_id": f"NEW-{user_id}"})


@asynccontextmanager
async def client_of(api: FakeAdminApi) -> AsyncIterator[JsonApi]:
    runner = web.AppRunner(api.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with JsonApi(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        yield client
    await runner.cleanup()


@pytest.mark.parametrize("is_dendrite", [True, False])
async def test_every_account_has_a_device_of_its_own(tmp_path, is_dendrite):
    api = FakeAdminApi(is_dendrite=is_dendrite)
    async with client_of(api) as client:
        homeserver = Homeserver(None, client, Memory(tmp_path / "memory.json"))
        ada, bo = await homeserver.account("ada"), await homeserver.account("bo")
        assert await homeserver.account("ada") == ada
    assert SHARED_DEVICE not in (ada.device_id, bo.device_id) and ada.device_id != bo.device_id
    assert [login["password"] for login in api.logins] == ([ada.password, bo.password] if is_dendrite else [])
    assert ada.access_token == ("new" if is_dendrite else "made")


async def test_an_account_that_was_registered_when_a_run_was_cut_off_is_used_by_the_next(tmp_path):
    api = FakeAdminApi(is_dendrite=False)
    async with client_of(api) as client:
        api.cuts_off = True
        with pytest.raises(aiohttp.ClientError):
            await Homeserver(None, client, Memory(tmp_path / "memory.json")).account("ada")
        ada = await Homeserver(None, client, Memory(tmp_path / "memory.json")).account("ada")
    assert (ada.user_id, ada.password) == ("@ada:localhost", api.passwords["ada"])


def test_a_folder_that_cannot_be_made_is_named_with_a_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HouseholdError, match=r"file/household cannot be used: Not a directory. Name another folder: "):
        prepare(tmp_path / "file/household")


@pytest.mark.parametrize("exempt", [True, False])
def test_dendrites_settings_name_everything_that_it_needs(tmp_path, exempt):
    path = dendrite.write_config(tmp_path / "homeserver", Memory(tmp_path / "memory.json"), exempt=exempt)
    settings = yaml.safe_load(path.read_text())
    assert settings["version"] == 2
    assert settings["client_api"]["registration_shared_secret"]
    assert settings["client_api"]["rate_limiting"] == {"enabled": not exempt, "threshold": 5, "cooloff_ms": 500}
    parts = ("federation_api", "media_api", "room_server", "sync_api")
    databases = [settings[part]["database"] for part in parts] + [settings["user_api"]["account_database"]]
    files = [database["connection_string"] for database in databases]
    assert len(set(files)) == len(files)
    assert all(file.startswith(f"file:{tmp_path}") for file in files)

    key = Path(settings["global"]["private_key"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    begin, name, empty, seed, end = key.read_text().splitlines()
    assert (begin, end) == ("-----BEGIN MATRIX PRIVATE KEY-----", "-----END MATRIX PRIVATE KEY-----")
    assert (name, empty, len(base64.b64decode(seed))) == ("Key-ID: ed25519:easel", "", 32)
    # The next run is the same server.
    again = dendrite.write_config(tmp_path / "homeserver", Memory(tmp_path / "memory.json"), exempt=exempt)
    assert yaml.safe_load(again.read_text()) == settings
    assert key.read_text().splitlines()[3] == seed


def test_the_named_binary_is_the_homeserver(tmp_path, monkeypatch):
    monkeypatch.delenv("DENDRITE", raising=False)
    assert dendrite.binary() is None
    program = tmp_path / "dendrite"
    monkeypatch.setenv("DENDRITE", str(program))
    with pytest.raises(HouseholdError, match="no program is there"):
        dendrite.binary()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert dendrite.binary() == program
    command = dendrite.command(program, tmp_path / "dendrite.yaml", 8008)
    assert command == (str(program), "-config", f"{tmp_path}/dendrite.yaml", "-http-bind-address", "127.0.0.1:8008")


async def test_a_process_that_never_ends_is_killed_after_its_own_limit(tmp_path, capsys):
    """As a maubot does that was busy when it was terminated."""
    log, deaf = tmp_path / "log", ("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")

    async def is_deaf() -> bool:
        return log.read_text() == "deaf\n"

    with (tmp_path / "lock").open("w") as lock:
        child = Child("maubot", *deaf, folder=tmp_path, log=log, lock=lock, env={}, stop_limit_s=0.1)
        await child.start()
        await child.wait_until(is_deaf)
        assert await child.stop() == -signal.SIGKILL
    assert capsys.readouterr().err == "The maubot did not stop within 0.1 s and was killed.\n"


@pytest.mark.parametrize(("hangs_up", "status"), [(signal.SIG_DFL, 130), (signal.SIG_IGN, 1)])
async def test_the_end_of_the_terminal_ends_it_unless_it_was_started_with_nohup(tmp_path, hangs_up, status):
    """It waits for a process of an earlier run, and then finds that its Dendrite is missing."""
    environment = {**os.environ, "EASEL_HOUSEHOLD": str(tmp_path), "DENDRITE": "/nowhere"}
    lock = await claim(tmp_path / "processes", wait_s=0, otherwise="")
    household = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "household",
        cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGHUP, hangs_up),
    )  # fmt: skip
    assert (await household.stderr.readline()).startswith(b"Starting ")
    household.send_signal(signal.SIGHUP)
    if hangs_up is signal.SIG_IGN:
        lock.close()
    await household.communicate()
    lock.close()
    assert household.returncode == status


def test_a_picture_takes_no_other_ones_place(tmp_path):
    names = [write(tmp_path / "new" / "otter-sheet.jpg", data).name for data in (b"1", b"2", b"3")]
    assert names == ["otter-sheet.jpg", "otter-sheet-2.jpg", "otter-sheet-3.jpg"]
    assert (tmp_path / "new" / "otter-sheet.jpg").read_bytes() == b"1"
