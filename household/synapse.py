"""The homeserver as Synapse, on SQLite, on loopback, alone in its federation."""

import base64
import secrets
import sys
from pathlib import Path
from typing import Any

import yaml

from household.homeserver import SERVER_NAME, Account, Homeserver
from household.memory import Memory, write_private


class Synapse(Homeserver):
    """Synapse, controlled over its admin API."""

    async def exempt(self, account: Account, admin: Account) -> None:
        self._api.token = admin.access_token
        path = f"/_synapse/admin/v1/users/{account.user_id}/override_ratelimit"
        await self._api.call("POST", path, {"messages_per_second": 0, "burst_count": 0})


def command(config: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(config))


def signing_key(memory: Memory) -> str:
    """Return the server's own key, in the form that Synapse reads: algorithm, name, seed."""
    if memory.recall("signing_key") is None:
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        memory.remember("signing_key", f"ed25519 a_easel {seed}")
    return str(memory.recall("signing_key"))


def write_config(folder: Path, memory: Memory, port: int) -> Path:
    """Write the homeserver's settings: only what differs from Synapse's defaults, whose rate limits stay."""
    folder.mkdir(parents=True, exist_ok=True)
    # Warnings alone: else it writes a line for every request.
    log = {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
    }
    write_private(folder / "log.yaml", yaml.safe_dump(log))
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
        # Passwords are random, so they need no slow hash.
        "bcrypt_rounds": 4,
        "form_secret": memory.secret("form_secret"),
        # No contact with any other server.
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "report_stats": False,
        "presence": {"enabled": False},
        "log_config": str(folder / "log.yaml"),
    }
    path = folder / "homeserver.yaml"
    write_private(path, yaml.safe_dump(settings, sort_keys=False))
    return path
