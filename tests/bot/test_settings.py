"""Settings: one list of keys, checked once; a bad edit changes nothing."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.easel.settings import InvalidSettings, Settings

BASE = Path(__file__).parents[2] / "base-config.yaml"
DEFAULTS: dict[str, Any] = YAML(typ="safe").load(BASE)
GOOD = Settings(**DEFAULTS)


def test_every_key_is_a_field_and_every_field_a_key():
    assert list(DEFAULTS) == [field.name for field in fields(Settings)]


def test_every_key_says_what_is_allowed():
    text = BASE.read_text(encoding="utf-8")
    for key in DEFAULTS:
        comment = text.split(f"\n{key}:")[0].rsplit("\n\n", 1)[-1]
        assert "Allowed:" in comment, key


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("generator_url", "", "must start with unix:///"),
        ("generator_url", 5, "generator_url must be text"),
        ("generator_url", "unix://run/x.sock", "three slashes"),
        ("generator_url", "unix:///", "three slashes"),
        ("generator_url", "ftp://host", "must start with"),
        ("generator_url", "http://", "must start with"),
        ("generator_url", "http://[", "not a URL"),
        ("generator_url", "http://127.0.0.1:7801", "generator_token is needed"),
        ("generator_token", None, "generator_token must be text"),
        ("generator_ca_file", "ca.pem", "absolute path"),
        ("rate_limit_burst", 0, "1 or more"),
        ("rate_limit_burst", 1.5, "whole number"),
        ("rate_limit_burst", True, "whole number"),
        ("rate_limit_burst", "10", "whole number"),
        ("rate_limit_per_second", -1, "0 or more"),
        ("rate_limit_per_second", float("nan"), "0 or more"),
        ("rate_limit_per_second", float("inf"), "0 or more"),
        ("rate_limit_per_second", "fast", "number"),
    ],
)
def test_what_is_not_allowed_names_its_key(key, value, rule):
    with pytest.raises(InvalidSettings, match=rule) as error:
        replace(GOOD, **{key: value})
    assert "generator_" in str(error.value) or key in str(error.value)


@pytest.mark.parametrize("url", ["http://card:7801", "https://card:7801"])
def test_a_token_makes_tcp_allowed(url):
    assert replace(GOOD, generator_url=url, generator_token="t").generator_url == url


async def test_an_edit_takes_effect(plugin, room, homeserver, maubot_plugin_config_dict, generator, serve, tmp_path):
    other = tmp_path / "other.sock"
    await serve.unix(generator.app(), other)
    maubot_plugin_config_dict["generator_url"] = f"unix://{other}"
    await plugin.on_external_config_update()
    await room.say("!draw otter")
    await homeserver.files()


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("rate_limit_burst", 0, "rate_limit_burst must be a whole number, 1 or more"),
        ("generator_ca_file", "/nowhere.pem", "generator_ca_file is no readable PEM file"),
    ],
)
async def test_a_bad_edit_keeps_the_old_settings_and_says_why(
    plugin, room, homeserver, maubot_plugin_config_dict, caplog, key, value, why
):
    before = plugin.settings
    maubot_plugin_config_dict[key] = value
    await plugin.on_external_config_update()
    assert plugin.settings == before
    assert f"{why}. The old settings stay in force" in caplog.text


class TestABadStart:
    @pytest.fixture
    def maubot_plugin_config_overrides(self) -> dict[str, Any]:
        return {"rate_limit_burst": "many"}

    async def test_settings_that_are_bad_from_the_start_are_the_defaults(self, plugin, room, homeserver):
        assert plugin.settings == GOOD
        await room.say("!draw")
        await homeserver.answers()
