"""A model hub on loopback that serves the three calls of a download from a folder, as badly as a test asks."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Habits:
    """How the hub serves files. It keeps count of what it did."""

    # Hang up after so many bytes of a file.
    cut_bytes: int | None = None
    # Go on in the middle of a file, when asked to.
    ranges: bool = True
    # Answer the next downloads with these statuses.
    statuses: list[int] = field(default_factory=list)
    # Take requests for files, and never answer.
    is_silent: bool = False
    cuts: int = 0
    sent_bytes: int = 0


@contextmanager
def model_hub(repositories: Mapping[str, Path], habits: Habits | None = None) -> Iterator[str]:
    """Serve each folder as its repository's ``main`` revision."""
    served = habits or Habits()

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            repository, folder = next(
                (known for known in repositories.items() if f"/{known[0]}/" in path), ("none/none", Path("/nowhere"))
            )
            resolved = f"/{repository}/resolve/{COMMIT}/"
            if path == f"/api/models/{repository}/revision/main":
                self._json({"id": repository, "sha": COMMIT, "siblings": []})
            elif path == f"/api/models/{repository}/tree/{COMMIT}":
                self._json([_entry(file, folder) for file in sorted(folder.rglob("*")) if file.is_file()])
            elif path.startswith(resolved) and (folder / path.removeprefix(resolved)).is_file():
                self._file(folder / path.removeprefix(resolved))
            else:
                self._json({"error": "not here"}, status=404, headers={"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET

        def _json(self, content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self._send(json.dumps(content).encode(), status, {"Content-Type": "application/json", **(headers or {})})

        def _file(self, file: Path) -> None:
            if self.command == "GET" and served.is_silent:
                # Until the other side hangs up.
                self.connection.recv(1)
                return
            if self.command == "GET" and served.statuses:
                self._json({"error": "not now"}, status=served.statuses.pop(0))
                return
            body, headers = file.read_bytes(), {"ETag": f'"{_blob_id(file)}"', "X-Repo-Commit": COMMIT}
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if served.ranges else None
            if asked:
                start = int(asked[1])
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body = body[start:]
            self._send(body, 206 if asked else 200, headers, cut=served.cut_bytes)

        def _send(self, body: bytes, status: int, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:cut])
                served.cuts += cut is not None and cut < len(body)
                served.sent_bytes += len(body[:cut])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _entry(file: Path, folder: Path) -> dict[str, object]:
    path = file.relative_to(folder).as_posix()
    return {"type": "file", "path": path, "size": file.stat().st_size, "oid": _blob_id(file)}


def _blob_id(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
