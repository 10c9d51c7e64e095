"""A homeserver with its accounts, whichever one it is: made with the shared secret, remembered between runs."""

import hashlib
import hmac
from dataclasses import asdict, dataclass

from household.json_api import JsonApi, Refusal
from household.memory import Memory
from household.processes import Child

SERVER_NAME = "localhost"

# Dendrite gives this one device to all accounts that are made with the shared secret. matrix-nio would take another
# person's for its own.
SHARED_DEVICE = "shared_secret_registration"


@dataclass(frozen=True)
class Account:
    """An account on the homeserver, with one device that is logged in."""

    user_id: str
    password: str
    access_token: str
    device_id: str


class Homeserver:
    """A homeserver process."""

    def __init__(self, child: Child, api: JsonApi, memory: Memory) -> None:
        self.child = child
        self._api = api
        self._memory = memory

    async def start(self) -> None:
        await self.child.start()
        await self.child.wait_until(lambda: self._api.answers("/_matrix/client/versions"))

    async def account(self, name: str, *, admin: bool = False) -> Account:
        """Return the account of that name, and register it if there is none yet."""
        known = self._memory.recall(f"account_{name}")
        if known is None:
            # Remembered first: this run may be cut off between registering the account and remembering it.
            password = self._memory.secret(f"password_{name}")
            known = asdict(await self._register(name, password, admin=admin))
            self._memory.remember(f"account_{name}", known)
        return Account(**known)

    async def exempt(self, account: Account, admin: Account) -> None:
        """Lift the rate limit of that account."""

    async def _register(self, name: str, password: str, *, admin: bool) -> Account:
        """Register an account with the shared secret, as `register_new_matrix_user` does."""
        path = "/_synapse/admin/v1/register"
        nonce = (await self._api.call("GET", path))["nonce"]
        words = [nonce, name, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._memory.secret("registration_secret").encode(), "\0".join(words).encode(), hashlib.sha1)
        body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac.hexdigest()}
        try:
            made = await self._api.call("POST", path, body)
        except Refusal as refusal:
            if refusal.answer.get("errcode") != "M_USER_IN_USE":
                raise
            # An earlier run was cut off.
            made = await self._log_in(name, password)
        if made["device_id"] == SHARED_DEVICE:
            made = await self._log_in(made["user_id"], password)
        return Account(made["user_id"], password, made["access_token"], made["device_id"])

    async def _log_in(self, user: str, password: str) -> dict[str, str]:
        """Log in with a new device."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password,
            "initial_device_display_name": "Easel's household",
        }
        made: dict[str, str] = await self._api.call("POST", "/_matrix/client/v3/login", body)
        return made
