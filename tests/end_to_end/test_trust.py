"""The bot's keys as other clients see them. Clients hide messages from devices that are not cross-signed."""

import pytest
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from unpaddedbase64 import decode_base64

from household.json_api import JsonApi

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_bots_device_is_signed_by_its_owner(home, ada):
    bot = home.bot
    async with JsonApi(home.url) as api:
        api.token = ada.account.access_token
        keys = await api.call("POST", "/_matrix/client/v3/keys/query", {"device_keys": {bot.user_id: []}})
    master, signing = (keys[kind][bot.user_id] for kind in ("master_keys", "self_signing_keys"))
    verify_signed_json(signing, bot.user_id, verify_key(master))
    verify_signed_json(keys["device_keys"][bot.user_id][bot.device_id], bot.user_id, verify_key(signing))


async def test_the_doctor_finds_nothing_to_mend_in_this_household(encrypted, change_settings):
    await change_settings(admins=[encrypted.person.account.user_id])
    found = await encrypted.answer("!easel doctor")
    assert "⚠️" not in found
    for name in ("account", "encryption", "device", "rate limit", "generator"):
        assert f"✅ {name}: " in found


async def test_the_recovery_key_is_kept_for_its_owner_alone(home):
    path = home.folder / "recovery-key.txt"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("Es")


def verify_key(cross_signing_key):
    ((name, key),) = cross_signing_key["keys"].items()
    return decode_verify_key_bytes(name, decode_base64(key))
