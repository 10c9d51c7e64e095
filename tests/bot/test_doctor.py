"""The doctor's findings, in the log at the start and on ``!easel doctor``, with what to do about each."""

import pytest
from aiohttp import web
from mautrix.client import MemorySyncStore
from mautrix.crypto import OlmMachine
from mautrix.crypto.store import MemoryCryptoStore

from bot.easel import doctor as module
from bot.easel.commands.easel import FOR_ADMINS
from tests.helpers.fake_generator import capabilities

ADMIN = "@root:example.com"
BOT = "@botname:example.com"


class Switches(MemorySyncStore):
    """maubot's Client as the plugin sees it, with the switches of maubot's page."""

    def __init__(self, *, on: bool) -> None:
        super().__init__()
        self.sync = self.autojoin = on
        self.filter_id = ""


@pytest.fixture
def maubot_plugin_config_dict(maubot_plugin_config_dict):
    return {**maubot_plugin_config_dict, "admins": [ADMIN]}


@pytest.fixture
async def maubot_test_bot(request, maubot_test_bot, homeserver, serve, keys):
    """The bot with a device of its own and real crypto. A parameter: what is missing."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(keys)

    wrong = getattr(request, "param", "")
    app = homeserver.app()
    app.add_routes([web.post("/_matrix/client/v3/keys/{what}", answer)])
    client = maubot_test_bot.client
    client.api.base_url = client.api.base_url.with_port(await serve.tcp(app))
    client.sync_store = Switches(on=True)
    if wrong != "device id":
        client.device_id = "EASEL"
    if not wrong:
        client.crypto = OlmMachine(client, MemoryCryptoStore(client.mxid, "pickle"), client.state_store)
        await client.crypto.load()
    return maubot_test_bot


@pytest.fixture
def keys():
    """The bot's keys as the homeserver publishes them: a device that nobody signed."""
    device = {"user_id": BOT, "device_id": "EASEL", "algorithms": [], "keys": {}, "signatures": {BOT: {}}}
    return {"device_keys": {BOT: {"EASEL": device}}, "one_time_key_counts": {"signed_curve25519": 50}}


def make_owner(keys) -> None:
    """Give the account keys of its own, as maubot's button does."""
    for kind in ("master", "self_signing"):
        keys[f"{kind}_keys"] = {BOT: {"user_id": BOT, "usage": [kind], "keys": {f"ed25519:{kind}": kind}}}


def sign(keys) -> None:
    make_owner(keys)
    keys["device_keys"][BOT]["EASEL"]["signatures"][BOT] = {"ed25519:EASEL": "own", "ed25519:self_signing": "owner's"}


@pytest.fixture
async def generator(fake_generator, serve, socket):
    await serve.unix(fake_generator.app(), socket)
    return fake_generator


@pytest.fixture
async def findings(room, homeserver):
    """Return a function that asks the doctor, and returns the findings by name."""

    async def findings() -> dict[str, str]:
        known = len(homeserver.sentences())
        await room.say("!easel doctor", sender=ADMIN)
        answer = (await homeserver.answers(known + 1))[-1].content["body"]
        return {line[2:].partition(": ")[0]: line.partition(": ")[2] for line in answer.splitlines()}

    return findings


async def test_all_is_well(findings, generator, plugin, keys):
    sign(keys)
    plugin.client.sync_store.sync = plugin.client.sync_store.autojoin = False
    assert await findings() == {
        "✅ account": f"I am {BOT}, on the device EASEL.",
        "✅ encryption": "I can read and write in encrypted rooms.",
        "✅ device": "My device is signed.",
        "✅ rate limit": "I send at once, and the homeserver lets me.",
        "✅ generator": "It answers, and draws with ssd-1b; it has Easel 0.1.0 and I have 0.1.0.",
    }


async def test_at_the_start_the_log_warns_of_switches_that_are_on_and_says_what_to_click(plugin, homeserver, caplog):
    await homeserver.until(lambda: "Doctor: generator" in caplog.text)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in warnings if text.startswith("Doctor: sync: maubot syncs for me")] == [
        "Doctor: sync: maubot syncs for me, and drops what is sent while it is down, keys of encrypted rooms included. "
        f"In maubot's page, open the client {BOT}, turn Sync off and save. Then turn Running of my instance off and on."
    ]
    assert [text for text in warnings if "turn Autojoin off and save." in text]


async def test_an_unsigned_device_is_told_with_the_button_that_signs_it(findings, keys):
    assert (await findings())["⚠️ device"].endswith("press Generate recovery key, and keep that key.")
    # An earlier device was signed.
    make_owner(keys)
    assert (await findings())["⚠️ device"].endswith("press Verify, with my recovery key.")


@pytest.mark.parametrize(
    ("maubot_test_bot", "advice"),
    [("device id", "Log me in again with maubot's API"), ("encryption extra", "Install maubot[encryption]")],
    indirect=["maubot_test_bot"],
)
async def test_what_encryption_lacks_is_told(findings, advice):
    found = await findings()
    assert advice in found["⚠️ encryption"]
    assert "⚠️ device" not in found


async def test_an_access_token_that_is_refused_is_told(findings, homeserver, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.1)
    for homeserver.whoami_status in (401, 403):
        assert "log me in again in maubot" in (await findings())["⚠️ account"]


async def test_a_rate_limit_is_told_as_set_and_as_met(findings, homeserver, plugin, maubot_plugin_config_dict):
    homeserver.sins.append(web.json_response({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1}, status=429))
    await findings()
    assert "The homeserver slowed me down" in (await findings())["⚠️ rate limit"]
    plugin._doctor._slow_downs._last -= module.SLOWED_LATELY_S
    assert "✅ rate limit" in await findings()
    maubot_plugin_config_dict["rate_limit_per_second"] = 0.2
    await plugin.on_external_config_update()
    assert "one event every 5 s" in (await findings())["⚠️ rate limit"]


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "Give generator_token in my settings"), (500, "My log says more")]
)
async def test_a_generator_that_does_not_answer_well_is_told(findings, generator, refusal, status, advice):
    generator.sins["capabilities"] = refusal(status, "no")
    assert advice in (await findings())["⚠️ generator"]


async def test_a_generator_of_another_version_is_told_once(findings, generator):
    generator.capabilities = capabilities("0.2.0")
    assert (await findings())["⚠️ generator"] == (
        "The drawing computer has Easel 0.2.0 and I have 0.1.0. Please upgrade me, the plugin in maubot."
    )


async def test_a_missing_socket_is_told(findings):
    assert "systemctl start easel-generator.socket" in (await findings())["⚠️ generator"]


async def test_a_mistake_in_the_settings_comes_first(plugin, maubot_plugin_config_dict):
    maubot_plugin_config_dict["max_open_jobs"] = -1
    await plugin.on_external_config_update()
    assert "max_open_jobs" in (await plugin._doctor.examine())[0].message


async def test_others_are_sent_to_the_admins(room, homeserver):
    await room.say("!easel doctor")
    assert await homeserver.answer() == FOR_ADMINS
