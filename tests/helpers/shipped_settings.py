"""The settings as shipped, for tests that change a few of them."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bot.easel.setting_rules import read_settings
from bot.easel.settings import Settings

BASE = Path(__file__).parents[2] / "base-config.yaml"
DEFAULTS: dict[str, Any] = YAML(typ="safe", pure=True).load(BASE)


def settings(**changed: Any) -> Settings:
    return read_settings(Settings, {**DEFAULTS, **changed})
