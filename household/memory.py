"""The household's memory between runs: ports, passwords and tokens, in one private file."""

import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any


class Memory:
    """JSON values by name. ``remember`` returns once the value is on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def recall(self, name: str) -> Any:
        """Return the value of that name, or None."""
        return self._values.get(name)

    def remember(self, name: str, value: Any) -> None:
        self._values[name] = value
        write_private(self._path, json.dumps(self._values, indent=2))

    def secret(self, name: str) -> str:
        """Return the password of that name, which is made once."""
        if self.recall(name) is None:
            self.remember(name, secrets.token_urlsafe(24))
        return str(self.recall(name))

    def port(self, name: str) -> int:
        """Return a loopback port: the last run's of that name, or a new one if that is taken by now."""
        port: int | None = self.recall(f"{name}_port")
        if port is None or not is_free(port):
            port = free_port()
            self.remember(f"{name}_port", port)
        return port


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; only its owner may read it."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A port in TIME_WAIT, from the last run, counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
