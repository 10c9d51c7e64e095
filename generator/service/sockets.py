"""The sockets that the generator listens on: systemd's, or a UNIX socket of its own, and TCP.

Replaces a stale socket file, never a live one. Knows nothing of HTTP.
"""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Only the owner and the group may connect; a folder that is made for the socket lets them through.
SOCKET_UMASK = 0o117
FOLDER_MODE = 0o700
GROUP_FOLDER_MODE = 0o710

# systemd passes its sockets from this descriptor on.
_FIRST_PASSED_FD = 3


class CannotListen(Exception):
    """A socket cannot be listened on. ``str()`` says why, for the person who starts the generator."""


def passed_sockets() -> list[socket.socket]:
    """Return the sockets that systemd opened for this process; an empty list without systemd."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=_FIRST_PASSED_FD + index) for index in range(count)]


@contextmanager
def unix_socket(path: Path, group: str | None) -> Iterator[socket.socket]:
    """Listen at ``path``, for the owner and ``group`` only; remove the file at the end. Raises CannotListen."""
    _prepare_folder(path.parent, group)
    with _locked(path):
        if path.is_socket() and not _is_live(path):
            path.unlink()
        with _bound(path, group) as listener:
            yield listener


@contextmanager
def _bound(path: Path, group: str | None) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(SOCKET_UMASK)
    try:
        listener.bind(str(path))
        if group is not None:
            shutil.chown(path, group=group)
        # At once: until it listens, another generator would take the file for a stale one.
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
    """Listen on TCP. Raises CannotListen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family)
    except OSError as error:
        raise CannotListen(f"{host}:{port} cannot be listened on: {error.strerror}.") from error
    # Two dots in a row, for example.
    except UnicodeError as error:
        raise CannotListen(f"{host}:{port} cannot be listened on: {host} is no name of a host.") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the socket: of generators that start at once, only one may replace a stale socket.

    Raises CannotListen.
    """
    try:
        lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotListen(f"{path}.lock cannot be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotListen(f"A generator is listening on {path} already.") from error
        yield
    finally:
        # The file stays: if it were removed, two could hold a lock of that name.
        os.close(lock)


def _is_live(path: Path) -> bool:
    """Return False if nobody listens at ``path``. Raises CannotListen if somebody does, or if it cannot be checked."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError as error:
            raise CannotListen(f"{path} cannot be checked: {error.strerror}.") from error
    raise CannotListen(f"A generator is listening on {path} already.")


def _prepare_folder(folder: Path, group: str | None) -> None:
    """Make missing folders for this user and the group, and refuse one in which another user could replace the socket.

    Raises CannotListen.
    """
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
        # A link counts with its own owner and its target's.
        if not {path.lstat().st_uid, path.stat().st_uid} <= {0, os.getuid()}:
            raise CannotListen(f"{path} belongs to another user, who could replace the socket.")
