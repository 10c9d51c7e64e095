"""A model hub on loopback that serves the three calls of a download from a folder."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def model_hub(repositories: Mapping[str, Path], *, breaks_off: bool = False) -> Iterator[str]:
    """Serve each folder as its repository's ``main`` revision, and half of each file if the hub ``breaks_off``."""

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
                self._file(folder / path.removeprefix(resolved), folder)
            else:
                self._json({"error": "not here"}, status=404, headers={"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET

        def _json(self, content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self._send(json.dumps(content).encode(), status, {"Content-Type": "application/json", **(headers or {})})

        def _file(self, file: Path, folder: Path) -> None:
            headers = {"ETag": f'"{_blob_id(file, folder)}"', "X-Repo-Commit": COMMIT}
            body = file.read_bytes()
            self._send(body, 200, headers, sent=len(body) // 2 if breaks_off else None)

        def _send(self, body: bytes, status: int, headers: dict[str, str], sent: int | None = None) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:sent])

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
    return {"type": "file", "path": path, "size": file.stat().st_size, "oid": _blob_id(file, folder)}


def _blob_id(file: Path, folder: Path) -> str:
    return hashlib.sha256(file.relative_to(folder).as_posix().encode()).hexdigest()
