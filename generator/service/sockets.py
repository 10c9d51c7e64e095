"""Where the generator listens: the socket that systemd holds, or a UNIX socket of its own, and TCP.

A stale socket file is replaced, a live one never.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The group may connect, nobody else; a folder that is made for the socket lets it through.
SOCKET_UMASK = 0o117
FOLDER_MODE = 0o700
GROUP_FOLDER_MODE = 0o710

# systemd passes its sockets from this descriptor on.
_FIRST_PASSED_FD = 3


class CannotListen(Exception):
    """``str()`` says why, for the person who starts the generator."""


def passed_sockets() -> list[socket.socket]:
    """The sockets that systemd opened for this process; none without systemd."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=_FIRST_PASSED_FD + index) for index in range(count)]


@contextmanager
def unix_socket(path: Path, group: str | None) -> Iterator[socket.socket]:
    """A listening socket at ``path``, which only its owner and ``group`` reach. Raises CannotListen."""
    _prepare_folder(path.parent, group)
    if path.is_socket() and not _is_live(path):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(SOCKET_UMASK)
    try:
        listener.bind(str(path))
        if group is not None:
            shutil.chown(path, group=group)
        # At once: until then another generator would take the file for a stale one.
        listener.listen()
    except (OSError, LookupError) as error:
        listener.close()
        raise CannotListen(f"{path} cannot be listened on: {error}.") from error
    finally:
        os.umask(umask)
    inode = path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        if path.is_socket() and path.stat().st_ino == inode:
            path.unlink()


def tcp_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotListen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family)
    except OSError as error:
        raise CannotListen(f"{host}:{port} cannot be listened on: {error.strerror}.") from error


def _is_live(path: Path) -> bool:
    """Whether somebody listens there. Raises CannotListen then."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError as error:
            raise CannotListen(f"{path} cannot be checked: {error.strerror}.") from error
    raise CannotListen(f"A generator is listening on {path} already.")


def _prepare_folder(folder: Path, group: str | None) -> None:
    """Make what is missing for us alone, and trust no folder in which another user could replace the socket."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(mode=FOLDER_MODE)
            if group is not None:
                shutil.chown(path, group=group)
                path.chmod(GROUP_FOLDER_MODE)
    except LookupError as error:
        raise CannotListen(f"{path} cannot be made for the group {group}: {error}.") from error
    except OSError as error:
        raise CannotListen(f"{error.filename} cannot be made: {error.strerror}.") from error
    for path in (folder, folder.parent):
        if path.stat().st_uid not in (0, os.getuid()):
            raise CannotListen(f"{path} belongs to another user, who could replace the socket.")
