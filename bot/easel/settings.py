"""The bot's settings, parsed once into a frozen value. The defaults are in ``base-config.yaml``, nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import tzinfo
from enum import StrEnum
from typing import Annotated, Any

from mautrix.util.config import BaseProxyConfig, ConfigUpdateHelper
from ruamel.yaml.error import YAMLError
from yarl import URL

from .policy.room_profiles import Rooms, room_profiles
from .policy.wildcards import WordLists, word_lists
from .room.reactions import REACTIONS
from .setting_rules import (
    InvalidSettings,
    absolute_path,
    globs,
    ipv4_address,
    mac_address,
    no_such,
    number,
    number_or,
    one_of,
    read_settings,
    some_of,
    text,
    time_zone,
    true_or_false,
    web_address,
    whole_number,
)

__all__ = ["Config", "CurrentSettings", "InvalidSettings", "Offer", "Progress", "RecipeAs", "Settings"]

# A message takes a moment to arrive, longer from another homeserver or after a hiccup of our own.
ALWAYS_CAUGHT_UP_S = 60

LEARNED = "learned"


class Progress(StrEnum):
    """How a person sees that their picture is being drawn."""

    REACTION = "reaction"
    MESSAGE = "message"
    OFF = "off"


class Offer(StrEnum):
    """On which pictures the bot puts reactions for people to press."""

    FIRST = "first"
    ALWAYS = "always"
    NEVER = "never"


class RecipeAs(StrEnum):
    """How a picture's recipe comes into the room."""

    FILE = "file"
    THREAD = "thread"
    EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of ``base-config.yaml``, which explains its meaning and unit."""

    generator_url: Annotated[str, text]
    generator_token: Annotated[str, text]
    generator_ca_file: Annotated[str, absolute_path]
    wake_mac: Annotated[str, mac_address]
    wake_address: Annotated[str, ipv4_address]
    wait_hours: Annotated[float, number(above=0)]
    catch_up_minutes: Annotated[float, number()]
    tell_waiting_after_s: Annotated[float, number()]
    time_zone: Annotated[tzinfo | None, time_zone]
    gallery: Annotated[bool, true_or_false]
    gallery_url: Annotated[str, web_address]
    progress: Annotated[Progress, one_of(Progress)]
    recipe: Annotated[RecipeAs, one_of(RecipeAs)]
    reactions: Annotated[frozenset[str], some_of(REACTIONS)]
    offer_reactions: Annotated[Offer, one_of(Offer)]
    rate_limit_burst: Annotated[int, whole_number(at_least=1)]
    # None is what the homeserver's refusals teach.
    rate_limit_per_second: Annotated[float | None, number_or(LEARNED)]
    allowed_users: Annotated[tuple[str, ...], globs("@")]
    admins: Annotated[tuple[str, ...], globs("@")]
    admin_power_level: Annotated[int, whole_number(at_least=0)]
    allowed_rooms: Annotated[tuple[str, ...], globs("!")]
    max_open_jobs: Annotated[int, whole_number(at_least=0)]
    max_pictures_a_day: Annotated[int, whole_number(at_least=0)]
    max_megapixel_steps: Annotated[float, number()]
    rooms: Annotated[Rooms, room_profiles]
    wildcards: Annotated[WordLists, word_lists]

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Settings":
        """The settings in YAML values. Raises InvalidSettings."""
        return read_settings(cls, written)

    @property
    def catch_up_s(self) -> float:
        """The age up to which missed commands are drawn."""
        return max(self.catch_up_minutes * 60, ALWAYS_CAUGHT_UP_S)

    def __post_init__(self) -> None:
        try:
            url = URL(self.generator_url)
        except ValueError as error:
            raise InvalidSettings("generator_url is not a URL") from error
        if url.scheme == "unix":
            if url.host or len(url.path) < 2:
                raise InvalidSettings("generator_url must be unix:///absolute/path.sock, with three slashes")
            if "$" in url.path:
                raise InvalidSettings(
                    "generator_url cannot have variables such as $XDG_RUNTIME_DIR: write the path itself"
                )
        elif url.scheme not in ("http", "https") or not url.host:
            raise InvalidSettings("generator_url must start with unix:///, http:// or https://")
        elif not self.generator_token:
            raise InvalidSettings("generator_token is needed when generator_url is http or https")


_NAMES = tuple(field.name for field in fields(Settings))

# Returns the settings in force. A part keeps this and calls it at the moment of use, since an edit replaces the value.
CurrentSettings = Callable[[], Settings]


class Config(BaseProxyConfig):
    """The settings as maubot keeps them: missing keys are filled from ``base-config.yaml``."""

    def do_update(self, helper: ConfigUpdateHelper) -> None:
        for name in _NAMES:
            helper.copy(name)

    def written(self) -> dict[str, Any]:
        """The settings as edited, the missing ones as shipped. Raises InvalidSettings for other keys and no values."""
        try:
            self.load()
        except YAMLError as error:
            raise InvalidSettings("The settings are no YAML") from error
        edited = self._edited()
        for key, value in edited.items():
            if value is None and key in _NAMES:
                # It may have been a list of who may draw.
                raise InvalidSettings(f"{key} has no value; give it one, or remove its line for the default")
            if key not in _NAMES:
                # maubot's update would drop it, and a restriction with it.
                raise InvalidSettings(no_such("setting", key, _NAMES))
        self.update()
        return self.completed(edited)

    def completed(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """The written settings that there are, and the others as shipped."""
        shipped: Any = self.load_base()
        given = {key: value for key, value in written.items() if key in _NAMES}
        return {name: shipped[name] for name in _NAMES} | given

    def for_admins(self) -> dict[str, Any]:
        """The settings as shipped, for nobody but the admins that the edit names."""
        try:
            admins = list(globs("@")("admins", self._edited().get("admins")))
        except InvalidSettings:
            admins = []
        return self.completed({"allowed_users": [], "admins": admins})

    def _edited(self) -> Mapping[str, Any]:
        edited: Any = self._data
        if not isinstance(edited, Mapping):
            raise InvalidSettings("The settings must be lines such as max_open_jobs: 20")
        return edited
