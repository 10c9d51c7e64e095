"""Makes HTML of the gallery's views, and has its static files. Reads both from the plugin's archive, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Protocol

from jinja2 import DictLoader, Environment, StrictUndefined

from .views import Page

FOLDER = "bot/easel/gallery"

_MIMETYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}

# As much as tells one version of the files from another.
VERSION_CHARS = 12


class Loader(Protocol):
    """What maubot gives a plugin to read the files of its archive."""

    def sync_list_files(self, directory: str) -> list[str]: ...

    def sync_read_file(self, path: str) -> bytes: ...


@dataclass(frozen=True)
class StaticFile:
    data: bytes
    mimetype: str


class Pages:
    """Every template is named after its view. What people typed is always escaped."""

    def __init__(self, templates: Mapping[str, str], static: Mapping[str, StaticFile]) -> None:
        self.static = static
        every = b"\0".join(file.data for _, file in sorted(static.items()))
        self.version = sha256(every).hexdigest()[:VERSION_CHARS]
        self._environment = Environment(
            loader=DictLoader(dict(templates)), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    @classmethod
    def read(cls, loader: Loader) -> "Pages":
        templates = {name: data.decode() for name, data in _files(loader, "templates")}
        static = {
            name: StaticFile(data, _MIMETYPES[PurePosixPath(name).suffix]) for name, data in _files(loader, "static")
        }
        return cls(templates, static)

    def html(self, view: Any, *, root: str = "./", token: str = "") -> str:
        """The page of a view; ``root`` is the relative way from its address to the gallery."""
        template = self._environment.get_template(f"{type(view).__name__.lower()}.html")
        return template.render(view=view, page=Page(root=root, version=self.version, token=token))


def _files(loader: Loader, folder: str) -> list[tuple[str, bytes]]:
    # An archive lists whole paths, a checkout bare names.
    names = sorted(path.rpartition("/")[2] for path in loader.sync_list_files(f"{FOLDER}/{folder}"))
    return [(name, loader.sync_read_file(f"{FOLDER}/{folder}/{name}")) for name in names if name]
