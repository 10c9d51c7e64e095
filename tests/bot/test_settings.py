"""Settings: each key is defined and checked in one place, and a bad edit changes nothing."""

import json
import logging
from dataclasses import fields
from io import StringIO
from typing import Any

import pytest
from mautrix.util.config import RecursiveDict
from ruamel.yaml import YAML

from bot.easel.jobs.store import Store
from bot.easel.settings import Config, InvalidSettings, Progress, Settings
from bot.easel.settings_in_force import FOR_ADMINS, STAY, SettingsInForce
from tests.helpers.shipped_settings import BASE, DEFAULTS, settings

ADA, BOB = "@ada:example.com", "@bob:example.com"
KITCHEN = "!kitchen:example.com"


def test_every_key_is_a_field_and_every_field_a_key():
    assert list(DEFAULTS) == [field.name for field in fields(Settings)]


def test_every_key_documents_its_allowed_values():
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
        ("generator_url", "unix:///$XDG_RUNTIME_DIR/easel.sock", "cannot have variables"),
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
        ("rate_limit_per_second", "fast", "learned, or a number"),
        ("rate_limit_per_second", True, "number"),
        ("wake_mac", "00:11:22:33:44", "must be a MAC address"),
        ("wake_mac", "00:11:22:33:44:5g", "must be a MAC address"),
        ("wake_mac", "00:11-22:33-44:55", "must be a MAC address"),
        ("wake_mac", 1122, "must be text"),
        ("wake_address", "", "must be an IPv4 address"),
        ("wake_address", "192.168.1.256", "must be an IPv4 address"),
        ("wake_address", "fe80::1", "must be an IPv4 address"),
        ("wait_hours", 0, "must be a number above 0"),
        ("wait_hours", float("inf"), "must be a number above 0"),
        ("wait_hours", float("nan"), "must be a number above 0"),
        ("wait_hours", "3 days", "must be a number above 0"),
        ("catch_up_minutes", -1, "0 or more"),
        ("tell_waiting_after_s", True, "0 or more"),
        ("time_zone", "Berlin", "must be a time zone such as Europe/Berlin"),
        ("time_zone", "../../etc/passwd", "must be a time zone"),
        ("time_zone", 2, "must be text"),
        ("gallery", "yes", "must be true or false"),
        ("gallery", 1, "must be true or false"),
        ("gallery_url", 5, "must be text"),
        ("gallery_url", "example.org/easel/", "must be an address such as https://"),
        ("gallery_url", "ftp://example.org/", "must be an address"),
        ("gallery_url", "https://example.org/?a=b", "must be an address"),
        ("gallery_url", "https://[::1", "is not a URL"),
        ("progress", "loud", "must be one of reaction, message, off"),
        ("progress", False, "must be one of reaction, message, off"),
        ("progress", ["off"], "must be one of reaction, message, off"),
        ("allowed_users", "@ada:example.com", r"must be a list of texts, such as allowed_users: \[one, two\]"),
        ("allowed_users", ["ada"], "ada matches nothing, since these ids start with @"),
        ("allowed_users", [5], "must be a list of texts"),
        ("admins", [""], "must be a list of texts"),
        ("admins", {"@ada:example.com": 1}, "must be a list of texts"),
        ("admin_power_level", -1, "0 or more"),
        ("admin_power_level", 50.5, "whole number"),
        ("allowed_rooms", ["#kitchen:example.com"], "these ids start with !"),
        ("max_open_jobs", -1, "0 or more"),
        ("max_pictures_a_day", 2.5, "whole number"),
        ("max_megapixel_steps", -0.5, "0 or more"),
        ("rooms", [KITCHEN], "must be a mapping from room ids to profiles"),
        ("rooms", {"#kitchen:example.com": {}}, "these ids start with !"),
        ("rooms", {5: {}}, "must be text"),
        ("rooms", {KITCHEN: "children"}, f"{KITCHEN}: must be a mapping of model, defaults, style"),
    ],
)
def test_a_bad_value_is_refused_with_its_key(key, value, rule):
    with pytest.raises(InvalidSettings, match=rule) as error:
        settings(**{key: value})
    assert "generator_" in str(error.value) or str(error.value).startswith(key)


def test_the_address_of_the_gallery_ends_with_one_slash():
    for written in ("https://example.org/easel", "https://example.org/easel/", "https://example.org/easel//"):
        assert settings(gallery_url=written).gallery_url == "https://example.org/easel/"
    assert settings(gallery_url="").gallery_url == ""


@pytest.mark.parametrize("url", ["http://card:7801", "https://card:7801"])
def test_a_token_makes_tcp_allowed(url):
    assert settings(generator_url=url, generator_token="t").generator_url == url


@pytest.mark.parametrize("mac", ["00:11:22:aa:bb:cc", "00-11-22-AA-BB-CC", "001122aabbcc"])
def test_a_mac_address_may_have_any_common_format(mac):
    assert settings(wake_mac=mac).wake_mac == mac


def test_settings_are_frozen_and_typed():
    read = settings(progress="off", allowed_users=["@*:example.com"], wait_hours=1, rooms={KITCHEN: {"style": ["ink"]}})
    assert read.progress is Progress.OFF
    assert read.allowed_users == ("@*:example.com",)
    assert isinstance(read.wait_hours, float)
    with pytest.raises(TypeError):
        read.rooms[KITCHEN] = read.rooms[KITCHEN]


KEPT = """
generator_url: unix:///run/easel.sock   # a comment of their own
progress: off
admins: ["@ada:example.com"]
rooms:
  "!abc123:example.org":
    # for the children
    style: [picture book]
    no: [no, 'off']
    defaults: {ar: 3:4, cfg: 7}
  "*":
"""


@pytest.mark.parametrize("written", ["{}", "rooms: {}", KEPT])
def test_a_persons_settings_survive_maubots_rewriting(written):
    """maubot fills in missing keys, writes all settings as YAML and reads them back at the next start."""
    kept = [written]

    def save(data: Any) -> None:
        buffer = StringIO()
        YAML().dump(data, buffer)
        kept.append(buffer.getvalue())

    base = RecursiveDict(YAML().load(BASE))
    config = Config(load=lambda: YAML().load(kept[-1]), load_base=base.clone, save=save)
    given = YAML(typ="safe", pure=True).load(written)
    assert Settings.read(config.written()) == settings(**given)
    assert Settings.read(json.loads(json.dumps(config.written()))) == settings(**given)
    _, first, second = kept
    assert first == second
    assert list(YAML(typ="safe", pure=True).load(first)) == list(DEFAULTS)


async def test_an_edit_takes_effect(
    plugin, room, homeserver, maubot_plugin_config_dict, fake_generator, serve, tmp_path
):
    other = tmp_path / "other.sock"
    await serve.unix(fake_generator.app(), other)
    maubot_plugin_config_dict["generator_url"] = f"unix://{other}"
    await plugin.on_external_config_update()
    await room.say("!draw otter")
    await homeserver.files()


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("rate_limit_burst", 0, "rate_limit_burst must be a whole number, 1 or more"),
        ("generator_ca_file", "/nowhere.pem", "generator_ca_file is no readable PEM file"),
        ("alowed_users", ["@ada:example.com"], "alowed_users is no setting; did you mean allowed_users?"),
        ("rooms", {KITCHEN: {"blockd_words": ["gun"]}}, f"rooms: {KITCHEN}: blockd_words is no setting; did you mean "),
        ("colour", "red", "colour is no setting; there is generator_url, "),
        (5, 5, "5 is no setting; there is generator_url, "),
        ("allowed_users", None, "allowed_users has no value; give it one, or remove its line for the default"),
    ],
)
async def test_a_bad_edit_keeps_the_old_settings_and_says_why(
    plugin, maubot_plugin_config_dict, caplog, key, value, why
):
    before = plugin.settings()
    maubot_plugin_config_dict[key] = value
    await plugin.on_external_config_update()
    assert plugin.settings() is before
    assert why in caplog.text and STAY in caplog.text
    del maubot_plugin_config_dict[key]
    await plugin.on_external_config_update()
    assert not plugin.settings.problem


def test_a_misspelt_key_stays_where_it_can_be_corrected():
    """maubot would save the settings without it."""
    saved: list[Any] = []
    base = RecursiveDict(YAML().load(BASE))
    config = Config(load=lambda: {"alowed_users": [ADA]}, load_base=base.clone, save=saved.append)
    with pytest.raises(InvalidSettings):
        config.written()
    assert not saved


CHILDREN = {KITCHEN: {"blocked_words": ["gun"], "no": ["blood"], "defaults": {"ar": "3:4", "cfg": 7.5}}}


class TestARestart:
    @pytest.fixture
    def maubot_plugin_config_overrides(self) -> dict[str, Any]:
        return {"allowed_users": [ADA], "rooms": CHILDREN}

    @pytest.mark.parametrize("mistake", [{"max_open_jobs": "many"}, {"alowed_users": [ADA]}, {"rooms": []}])
    async def test_the_last_good_settings_stay_in_force(self, plugin, maubot_plugin_config_dict, caplog, mistake):
        await plugin.internal_stop()
        maubot_plugin_config_dict.clear()
        maubot_plugin_config_dict |= mistake
        for _ in range(2):
            await plugin.internal_start()
            assert (plugin.settings().allowed_users, plugin.settings().rooms) == (
                (ADA,),
                settings(rooms=CHILDREN).rooms,
            )
            assert STAY in caplog.text
            await plugin.internal_stop()

    async def test_of_settings_that_another_version_kept_the_known_ones_count(self, plugin, maubot_plugin_config_dict):
        await plugin.internal_stop()
        kept = {"allowed_users": [ADA], "colour": "red"}
        await plugin.database.execute("UPDATE settings SET written = $1", json.dumps(kept))
        maubot_plugin_config_dict["max_open_jobs"] = "many"
        await plugin.internal_start()
        assert plugin.settings() == settings(allowed_users=[ADA])


class TestABadFirstStart:
    @pytest.fixture
    def maubot_plugin_config_overrides(self) -> dict[str, Any]:
        return {"rate_limit_burst": "many", "admins": [ADA]}

    async def test_only_admins_are_served_and_get_the_reason(self, plugin, room, homeserver, caplog):
        why = f"rate_limit_burst must be a whole number, 1 or more. {FOR_ADMINS}"
        assert why in caplog.text or plugin.settings.problem == why
        assert plugin.settings() == settings(allowed_users=[], admins=[ADA])
        await room.say("!draw", sender=BOB)
        assert (await homeserver.answer()).startswith("You're not on my list yet.")
        await room.say("!draw", sender=ADA)
        bodies = [sent.content["body"] for sent in await homeserver.answers(3)][1:]
        assert f"My settings have a mistake. {why}." in bodies
        assert any("!draw otter" in body for body in bodies)

    async def test_a_correction_opens_it_again(self, plugin, room, homeserver, maubot_plugin_config_dict):
        del maubot_plugin_config_dict["rate_limit_burst"]
        await plugin.on_external_config_update()
        await room.say("!draw", sender=BOB)
        assert "!draw otter" in await homeserver.answer()
        await room.say("!easel cancel", sender=ADA)
        assert len(await homeserver.answers(2)) == 2

    async def test_an_edit_may_name_other_admins_before_the_mistake_is_found(self, plugin, maubot_plugin_config_dict):
        maubot_plugin_config_dict["admins"] = [BOB]
        await plugin.on_external_config_update()
        assert plugin.settings() == settings(allowed_users=[], admins=[BOB])


@pytest.mark.parametrize("admins", [{"admins": "@ada:example.com"}, {"admin": [ADA]}, {"admins": None}])
async def test_without_readable_admins_nobody_is_served(maubot_plugin_db, admins):
    base = RecursiveDict(YAML().load(BASE))
    edited = {"rate_limit_burst": "many", **admins}
    config = Config(load=lambda: edited, load_base=base.clone, save=lambda config: None)
    in_force = SettingsInForce(config, Store(maubot_plugin_db), logging.getLogger("test"))
    assert not await in_force.take()
    assert in_force() == settings(allowed_users=[])


@pytest.mark.parametrize("text", ["a: [", "- one", "max_open_jobs", "max_open_jobs: 1\nmax_open_jobs: 2"])
async def test_settings_in_no_form_are_a_mistake_like_any_other(maubot_plugin_db, text):
    base = RecursiveDict(YAML().load(BASE))
    config = Config(load=lambda: YAML().load(text), load_base=base.clone, save=lambda config: None)
    in_force = SettingsInForce(config, Store(maubot_plugin_db), logging.getLogger("test"))
    assert not await in_force.take()
    assert in_force.problem.startswith("The settings ") and in_force() == settings(allowed_users=[])


async def test_what_was_learned_of_the_homeserver_outlasts_a_change_of_other_settings(
    plugin, maubot_plugin_config_dict
):
    learned = plugin.send_queue.rate_limit
    maubot_plugin_config_dict["catch_up_minutes"] = 5
    await plugin.on_external_config_update()
    assert plugin.send_queue.rate_limit is learned
    maubot_plugin_config_dict["rate_limit_burst"] = 5
    await plugin.on_external_config_update()
    assert plugin.send_queue.rate_limit is not learned
