"""maubot in server mode, set up as from its management page: upload the plugin, make client, instance and keys."""

from pathlib import Path
from typing import Any

import yaml

from household.homeserver import Account
from household.json_api import JsonApi, Refusal
from household.memory import Memory, write_private
from household.processes import Child

API = "/_matrix/maubot/v1"

# It gives its page 5 s. If it is busy when it is terminated, as in its start, it never ends.
STOP_LIMIT_S = 8


class Maubot:
    """A maubot process, controlled over its management API."""

    def __init__(self, child: Child, api: JsonApi, memory: Memory) -> None:
        self.child = child
        self._api = api
        self._memory = memory

    async def start(self) -> None:
        await self.child.start()
        await self.child.wait_until(lambda: self._api.answers(f"{API}/features"))
        login = {"username": "admin", "password": self._memory.secret("maubot_password")}
        self._api.token = (await self._api.call("POST", f"{API}/auth/login", login))["token"]

    async def upload(self, plugin: bytes) -> None:
        """Install the plugin, or replace it: its instances restart with the new code."""
        await self._api.call("POST", f"{API}/plugins/upload?allow_override=true", data=plugin)

    async def set_client(self, account: Account, homeserver: str) -> None:
        """Log the bot in, or update its homeserver's address."""
        body = {
            "homeserver": homeserver,
            "access_token": account.access_token,
            "device_id": account.device_id,
            "enabled": True,
            "started": True,
            # The bot syncs and joins by itself.
            "sync": False,
            "autojoin": False,
            "online": False,
            "displayname": "Easel",
        }
        await self._api.call("PUT", f"{API}/client/{account.user_id}", body)

    async def set_instance(self, name: str, plugin_id: str, account: Account, settings: dict[str, Any]) -> None:
        """Run the plugin as ``account``, with these settings in place of the defaults."""
        body = {"type": plugin_id, "primary_user": account.user_id, "enabled": True, "started": True}
        body["config"] = yaml.safe_dump(settings)
        await self._api.call("PUT", f"{API}/instance/{name}", body)

    async def restart_instance(self, name: str) -> None:
        """Start the plugin anew, with the client as it is now."""
        for started in (False, True):
            await self._api.call("PUT", f"{API}/instance/{name}", {"started": started})

    async def cross_sign(self, account: Account) -> str | None:
        """Sign the bot's device, so that clients trust it. Returns the recovery key; None if it was signed already."""
        try:
            answer = await self._api.call("POST", f"{API}/client/{account.user_id}/generate_recovery_key")
        except Refusal as refusal:
            if refusal.status != 409:
                raise
            return None
        return str(answer["recovery_key"])


def write_config(folder: Path, memory: Memory, port: int, postgres: str | None) -> Path:
    """Write maubot's settings; maubot adds the rest itself, and replaces the password by a hash.

    ``postgres`` is a URL for maubot's database and its plugins'; without it they are SQLite files.
    """
    for needed in ("plugins", "trash"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    settings = {
        "database": postgres or "sqlite:maubot.db",
        "plugin_databases": {"sqlite": "./plugins", "postgres": "default" if postgres else None},
        "plugin_directories": {"upload": "./plugins", "load": ["./plugins"], "trash": "delete"},
        "server": {
            "hostname": "127.0.0.1",
            "port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "unshared_secret": "generate",
        },
        "homeservers": {},
        "admins": {"root": "", "admin": memory.secret("maubot_password")},
    }
    path = folder / "config.yaml"
    write_private(path, yaml.safe_dump(settings, sort_keys=False))
    return path
