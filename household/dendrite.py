"""The homeserver as Dendrite, on SQLite, on loopback, alone in its federation. Its binary comes from $DENDRITE."""

import base64
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from household.errors import HouseholdError
from household.homeserver import SERVER_NAME
from household.memory import Memory, write_private

# Each part of Dendrite has a database of its own; PostgreSQL alone could hold them all.
_DATABASES = ("federation_api", "key_server", "media_api", "mscs", "relay_api", "room_server", "sync_api")


def binary() -> Path | None:
    """The Dendrite that $DENDRITE names, if it names one. Raises HouseholdError."""
    if not (named := os.environ.get("DENDRITE")):
        return None
    if not (found := shutil.which(named)):
        raise HouseholdError(f"$DENDRITE is {named}, and no program is there")
    return Path(found).absolute()


def command(binary: Path, config: Path, port: int) -> tuple[str, ...]:
    return (str(binary), "-config", str(config), "-http-bind-address", f"127.0.0.1:{port}")


def write_config(folder: Path, memory: Memory, *, exempt: bool) -> Path:
    """Write the homeserver's settings: only what differs from Dendrite's defaults.

    ``exempt`` turns its rate limits off, since they cannot be lifted for one account while it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "signing-key.pem", signing_key(memory))
    settings: dict[str, Any] = {part: {"database": _sqlite(folder, part)} for part in _DATABASES}
    settings |= {
        "version": 2,
        "global": {
            "server_name": SERVER_NAME,
            "private_key": str(folder / "signing-key.pem"),
            # No contact with any other server.
            "disable_federation": True,
            "jetstream": {"storage_path": str(folder / "jetstream")},
        },
        "client_api": {
            "registration_disabled": True,
            "registration_shared_secret": memory.secret("registration_secret"),
            "rate_limiting": {"enabled": not exempt, "threshold": 5, "cooloff_ms": 500},
        },
        "user_api": {"account_database": _sqlite(folder, "user_api")},
        "logging": [{"type": "std", "level": "warn"}],
    }
    settings["media_api"]["base_path"] = str(folder / "media")
    path = folder / "dendrite.yaml"
    write_private(path, yaml.safe_dump(settings, sort_keys=False))
    return path


def signing_key(memory: Memory) -> str:
    """Return the server's own key, in the form that Dendrite reads: a PEM block with the key's name and its seed."""
    seed = base64.b64encode(hashlib.sha256(memory.secret("signing_secret").encode()).digest()).decode()
    return f"-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: ed25519:easel\n\n{seed}\n-----END MATRIX PRIVATE KEY-----\n"


def _sqlite(folder: Path, part: str) -> dict[str, str]:
    return {"connection_string": f"file:{folder / part}.db"}
