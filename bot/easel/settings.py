"""The bot's settings, parsed once into something frozen. The defaults stand in ``base-config.yaml``, nowhere else."""

from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from mautrix.util.config import BaseProxyConfig, ConfigUpdateHelper
from yarl import URL


class InvalidSettings(Exception):
    """``str()`` names the key and the rule, for the log."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of ``base-config.yaml``, with its meaning and unit there."""

    generator_url: str
    generator_token: str
    generator_ca_file: str
    rate_limit_burst: int
    rate_limit_per_second: float

    def __post_init__(self) -> None:
        for key in ("generator_url", "generator_token", "generator_ca_file"):
            if not isinstance(getattr(self, key), str):
                raise InvalidSettings(f"{key} must be text")
        self._check_url()
        if self.generator_ca_file and not PurePosixPath(self.generator_ca_file).is_absolute():
            raise InvalidSettings("generator_ca_file must be an absolute path")
        if not _is_number(self.rate_limit_burst, int) or self.rate_limit_burst < 1:
            raise InvalidSettings("rate_limit_burst must be a whole number, 1 or more")
        if not _is_number(self.rate_limit_per_second, int, float) or not 0 <= self.rate_limit_per_second < float("inf"):
            raise InvalidSettings("rate_limit_per_second must be a number, 0 or more")

    def _check_url(self) -> None:
        try:
            url = URL(self.generator_url)
        except ValueError as error:
            raise InvalidSettings("generator_url is not a URL") from error
        if url.scheme == "unix":
            if url.host or len(url.path) < 2:
                raise InvalidSettings("generator_url must be unix:///absolute/path.sock, with three slashes")
        elif url.scheme not in ("http", "https") or not url.host:
            raise InvalidSettings("generator_url must start with unix:///, http:// or https://")
        elif not self.generator_token:
            raise InvalidSettings("generator_token is needed when generator_url is http or https")


def _is_number(value: object, *types: type) -> bool:
    # To Python, true and false are numbers; to the person who typed them they are not.
    return isinstance(value, types) and not isinstance(value, bool)


class Config(BaseProxyConfig):
    """What maubot keeps: the keys of Settings, each filled from ``base-config.yaml`` where it is missing."""

    def do_update(self, helper: ConfigUpdateHelper) -> None:
        for field in fields(Settings):
            helper.copy(field.name)

    def settings(self) -> Settings:
        """Read what the person wrote. Raises InvalidSettings."""
        self.load_and_update()
        return Settings(**{field.name: self[field.name] for field in fields(Settings)})

    def defaults(self) -> Settings:
        """The settings as shipped."""
        base = self.load_base()
        if base is None:
            raise InvalidSettings("base-config.yaml is missing from the plugin")
        return Settings(**{field.name: base[field.name] for field in fields(Settings)})
