"""The generator's settings: one YAML file, checked once, with a default for everything."""

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, ValidationError, model_validator

from generator.models.cards import CardSettings, UserPath, built_in_cards
from generator.setting_errors import plain_error


class InvalidSettings(Exception):
    """A setting is invalid. ``str()`` names the file, the key and the rule, for the person who installs."""


def runtime_dir() -> Path:
    """The user's runtime directory (XDG_RUNTIME_DIR), else a private folder below /tmp."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/easel-{os.getuid()}")  # noqa: S108 - made with mode 0700


def data_dir() -> Path:
    """The folder for pictures (XDG_DATA_HOME)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "easel"


def cache_dir() -> Path:
    """The folder for what can be made again (XDG_CACHE_HOME): compiled kernels, the fastest ways on this card."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "easel"


class ClusterSettings(BaseModel):
    """How other machines can take part; see ``cluster`` in ``deploy/generator.yml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Other machines must reach it, so it is an address and no name.
    listen: IPv4Address
    # The processes behind it listen on the next ones.
    port: StrictInt = Field(7802, ge=1024, le=65000)
    token_file: UserPath
    # Several photos and pictures at their largest.
    store_mb: StrictInt = Field(200, ge=80)


class Settings(BaseModel):
    """Every setting of the generator; ``deploy/generator.yml`` explains each."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    socket: UserPath = Field(default_factory=lambda: runtime_dir() / "easel" / "generator.sock")
    socket_group: str | None = None
    tcp_host: str | None = Field(None, min_length=1, description="an address of this machine, such as 127.0.0.1")
    tcp_port: StrictInt = Field(7801, ge=1, le=65535)
    tcp_allowed_hosts: tuple[str, ...] = Field((), description="a list of host names, such as [pc.home]")
    token_file: UserPath | None = None

    pictures: UserPath = Field(default_factory=lambda: data_dir() / "pictures")
    keep_pictures_days: StrictInt | None = Field(None, ge=1)

    default_model: str = "auto"
    models: dict[str, CardSettings] = Field(
        default_factory=dict, description="a mapping from names to models, such as mine: {like: ssd-1b}"
    )
    # `cuda:1` is the second card.
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d)?)$", description="auto, cpu, cuda, or a card such as cuda:1"
    )
    # The cards to draw on, a worker each. Without it, one worker draws on ``device``.
    cards: Literal["all"] | tuple[Annotated[StrictInt, Field(ge=0)] | Literal["cpu"], ...] | None = Field(
        None, description="all, or a list of different cards, such as [0, 1]"
    )
    cluster: ClusterSettings | None = None
    vae_tiling: Literal["auto", "always", "never"] = "auto"

    unload_when_idle_minutes: StrictFloat | None = Field(None, gt=0)
    exit_when_idle_minutes: StrictFloat | None = Field(None, gt=0)
    previews: bool = True
    max_at_once: StrictInt = Field(8, ge=1)

    max_queued_jobs: StrictInt = Field(100, ge=1)
    # A step takes seconds even on an old card and a large picture.
    step_timeout_s: StrictFloat = Field(300, gt=0)
    # Several gigabytes of weights come from a cold disk.
    load_timeout_s: StrictFloat = Field(900, gt=0)
    drain_timeout_s: StrictFloat = Field(60, ge=0)

    @model_validator(mode="after")
    def _tcp_needs_a_token(self) -> "Settings":
        if self.tcp_host is not None and self.token_file is None:
            raise ValueError("tcp_host needs token_file, on loopback too: browsers can reach loopback")
        return self

    @model_validator(mode="after")
    def _cards_are_different(self) -> "Settings":
        if self.cards is None:
            return self
        if self.device != "auto":
            raise ValueError("cards chooses what draws, so device must stay auto")
        numbers = [card for card in self.cards if card != "cpu"] if self.cards != "all" else []
        if not self.cards or len(set(numbers)) < len(numbers):
            raise ValueError("cards must be all, or a list of different cards, such as [0, 1]")
        return self

    @model_validator(mode="after")
    def _default_model_is_known(self) -> "Settings":
        names = ("auto", *built_in_cards(), *self.models)
        if self.default_model not in names:
            raise ValueError(f"default_model is {self.default_model}; it can be {', '.join(names)}")
        return self


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise InvalidSettings(f"{self.name}: {twice}: it is there twice; keep one of them")
        return super().construct_mapping(node, deep)


def load_settings(path: Path | None) -> Settings:
    """Read ``path``, else ``$EASEL_SETTINGS``, else return the defaults. Raises InvalidSettings."""
    path = path or (Path(os.environ["EASEL_SETTINGS"]) if os.environ.get("EASEL_SETTINGS") else None)
    if path is None:
        return Settings()
    try:
        with path.open(encoding="utf-8") as file:
            written = _Loader(file).get_single_data() or {}
    except OSError as error:
        raise InvalidSettings(f"{path} cannot be read: {error.strerror}") from error
    # PyYAML has no error of its own for what only looks like a date or a number, such as 2026-13-01.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
        raise InvalidSettings(f"{path} is not YAML: {error}") from error
    try:
        return Settings.model_validate(written)
    except ValidationError as error:
        raise InvalidSettings(f"{path}: {plain_error(error, Settings)}") from error
    # Half of a character, such as "\ud800", cannot be in an error of pydantic.
    except UnicodeError as error:
        raise InvalidSettings(f"{path} is not YAML: {error}") from error


def read_token(path: Path | None) -> str:
    """Return what the token file holds. Raises InvalidSettings if that is nothing."""
    try:
        token = path.read_text(encoding="utf-8").strip() if path else ""
    except (OSError, UnicodeError) as error:
        raise InvalidSettings(f"The token file {path} cannot be read: {error}.") from error
    if not token:
        raise InvalidSettings(f"The token file {path} is empty.")
    return token
