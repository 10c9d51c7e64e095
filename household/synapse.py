"""The homeserver: Synapse on SQLite, on loopback, alone in its federation."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from household.errors import HouseholdError
from household.json_api import JsonApi, Refusal
from household.memory import Memory, write_private
from household.processes import Child

SERVER_NAME = "localhost"


@dataclass(frozen=True)
class Account:
    """An account on the homeserver, with one device that is logged in."""

    user_id: str
    password: str
    access_token: str
    device_id: str


class Synapse:
    """A homeserver process, controlled over its admin API."""

    def __init__(self, child: Child, api: JsonApi, memory: Memory) -> None:
        self.child = child
        self._api = api
        self._memory = memory

    async def start(self) -> None:
        await self.child.start()
        await self.child.wait_until(lambda: self._api.answers("/_matrix/client/versions"))

    async def account(self, name: str, *, admin: bool = False) -> Account:
        """Return the account of that name, and register it if there is none yet."""
        known = self._memory.recall(f"account_{name}")
        if known is None:
            password = secrets.token_urlsafe(12)
            known = asdict(await self._register(name, password, admin=admin))
            self._memory.remember(f"account_{name}", known)
        return Account(**known)

    async def exempt(self, account: Account, admin: Account) -> None:
        """Lift the rate limit of that account, as the README recommends for a real homeserver."""
        self._api.token = admin.access_token
        path = f"/_synapse/admin/v1/users/{account.user_id}/override_ratelimit"
        await self._api.call("POST", path, {"messages_per_second": 0, "burst_count": 0})

    async def _register(self, name: str, password: str, *, admin: bool) -> Account:
        """Register an account with the shared secret, as `register_new_matrix_user` does."""
        path = "/_synapse/admin/v1/register"
        nonce = (await self._api.call("GET", path))["nonce"]
        words = [nonce, name, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._memory.secret("registration_secret").encode(), "\0".join(words).encode(), hashlib.sha1)
        body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac.hexdigest()}
        try:
            made = await self._api.call("POST", path, body)
        except Refusal as refusal:
            if refusal.answer.get("errcode") != "M_USER_IN_USE":
                raise
            # An earlier run was cut off between registering the account and remembering it.
            raise HouseholdError(f"The homeserver has an account {name} that nobody remembers: start afresh") from None
        return Account(made["user_id"], password, made["access_token"], made["device_id"])


def signing_key(memory: Memory) -> str:
    """Return the server's own key, in the form that Synapse reads: algorithm, name, seed."""
    if memory.recall("signing_key") is None:
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        memory.remember("signing_key", f"ed25519 a_easel {seed}")
    return str(memory.recall("signing_key"))


def write_config(folder: Path, memory: Memory, port: int) -> Path:
    """Write the homeserver's settings: only what differs from Synapse's defaults, whose rate limits stay."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "server_name": SERVER_NAME,
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "listeners": [
            {"port": port, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key": signing_key(memory),
        "registration_shared_secret": memory.secret("registration_secret"),
        "macaroon_secret_key": memory.secret("macaroon_secret"),
        "form_secret": memory.secret("form_secret"),
        # No contact with any other server.
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "report_stats": False,
        "presence": {"enabled": False},
    }
    path = folder / "homeserver.yaml"
    write_private(path, yaml.safe_dump(settings, sort_keys=False))
    return path
