"""Checks what the bot needs from maubot, the homeserver and the generator, and advises the person who installs it.

The findings go into maubot's log at each start, and into a room on ``!easel doctor``. Changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from logging import Logger
from typing import Any

from maubot.matrix import MaubotMatrixClient

from .generator.client import GeneratorClient
from .generator.errors import (
    CertificateRefused,
    GeneratorError,
    NotRunning,
    OtherVersion,
    Refused,
    SocketForbidden,
    SocketMissing,
    TokenRefused,
)
from .sending.homeserver import Homeserver
from .sending.rich import Rich, bold, points
from .sending.send_queue import NotSent, Outgoing, Sender, SlowDown
from .settings_in_force import SettingsInForce

# A homeserver answers within milliseconds. One that refuses the access token is asked again and again until then.
ANSWER_TIMEOUT_S = 10

# Synapse lets ten events go at once and then one every five seconds: this long after a refusal it has forgotten it.
SLOWED_LATELY_S = 24 * 60 * 60

# What to do about the generator, beside what the error itself says. An error has the advice of the first that it is.
_GENERATOR_ADVICE: tuple[tuple[type[GeneratorError], str], ...] = (
    (OtherVersion, ""),
    (SocketMissing, "Start it: systemctl start easel-generator.socket. If maubot is in Docker, mount /run/easel."),
    (
        SocketForbidden,
        "Put maubot's user into the group easel, and start maubot again. In Docker, set GID to that group's number.",
    ),
    (NotRunning, "Start it, and see whether generator_url in my settings is its address."),
    (TokenRefused, "Give generator_token in my settings what the generator's token_file holds."),
    (CertificateRefused, "Name the certificate that signed the generator's as generator_ca_file in my settings."),
    (GeneratorError, "See whether generator_url in my settings is its address. My log says more."),
)


@dataclass(frozen=True)
class Finding:
    """The result of one check. With ``advice``, or if ``is_good`` is False, something is to be done."""

    name: str
    message: str
    advice: str = ""
    is_good: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.message} {self.advice}".strip()


class SlowDowns:
    """A sender that remembers when the homeserver last refused an event because of its rate limit."""

    def __init__(self, sender: Sender, *, clock: Callable[[], float] = time.time) -> None:
        self._sender, self._clock = sender, clock
        self._last = float("-inf")

    async def send(self, event: Outgoing) -> str:
        try:
            return await self._sender.send(event)
        except SlowDown:
            self._last = self._clock()
            raise

    @property
    def lately(self) -> bool:
        return self._clock() - self._last < SLOWED_LATELY_S


class Doctor:
    """Examines the bot. Raises nothing."""

    def __init__(
        self,
        client: MaubotMatrixClient,
        *,
        homeserver: Homeserver,
        generator: GeneratorClient,
        slow_downs: SlowDowns,
        settings: SettingsInForce,
        version: str,
        log: Logger,
    ) -> None:
        self._client, self._homeserver, self._generator = client, homeserver, generator
        self._slow_downs, self._settings, self._version, self._log = slow_downs, settings, version, log
        # maubot's own Client, which has the switches of its page. The bot's sync puts another store in its place.
        self._switches: Any = client.sync_store

    async def examine(self) -> list[Finding]:
        """Check everything, in the order in which to mend it."""
        return [finding async for finding in self._findings()]

    async def log_findings(self) -> None:
        """Write the findings into the log, with a warning for each that somebody has to mend."""
        for finding in await self.examine():
            (self._log.info if finding.is_good else self._log.warning)(f"Doctor: {finding}")

    async def _findings(self) -> AsyncIterator[Finding]:
        if problem := self._settings.problem:
            yield Finding("settings", f"{problem}.", "Correct them in maubot's page.")
        account = await self._account()
        yield account
        for switch in self._wrong_switches():
            yield switch
        encryption = self._encryption()
        yield encryption
        if account.is_good and encryption.is_good:
            yield await self._signature()
        yield self._rate_limit()
        yield await self._generator_answers()

    async def _account(self) -> Finding:
        if await self._answer_to(self._client.whoami) is None:
            return Finding(
                "account",
                "The homeserver doesn't answer me, or refuses my access token.",
                "See whether it runs. If it does, log me in again in maubot, and start my instance again.",
            )
        device = f"on the device {self._client.device_id}" if self._client.device_id else "without a device id"
        return Finding("account", f"I am {self._client.mxid}, {device}.", is_good=True)

    def _wrong_switches(self) -> list[Finding]:
        """The switches of maubot's page that are on by default and must be off."""
        client = f"In maubot's page, open the client {self._client.mxid}"
        wrong = []
        # Another store than maubot's Client has no such switch.
        if getattr(self._switches, "sync", False) is True:
            wrong.append(
                Finding(
                    "sync",
                    "maubot syncs for me, and drops what is sent while it is down, keys of encrypted rooms included.",
                    f"{client}, turn Sync off and save. Then turn Running of my instance off and on.",
                )
            )
        if getattr(self._switches, "autojoin", False) is True:
            wrong.append(
                Finding(
                    "autojoin",
                    "maubot joins every room that I am invited to, whatever my settings allow.",
                    f"{client}, turn Autojoin off and save.",
                )
            )
        return wrong

    def _encryption(self) -> Finding:
        if self._client.crypto_enabled:
            return Finding("encryption", "I can read and write in encrypted rooms.", is_good=True)
        if not self._client.device_id:
            return Finding(
                "encryption",
                "I can't read encrypted rooms: I have no device id.",
                "Log me in again with maubot's API, which brings one, and start my instance again.",
            )
        return Finding(
            "encryption",
            "I can't read encrypted rooms: maubot has no encryption.",
            "Install maubot[encryption] in its environment, and start maubot again.",
        )

    async def _signature(self) -> Finding:
        """Whether my device is signed, as other people's clients see it."""
        me = self._client.mxid
        keys = await self._answer_to(partial(self._client.query_keys, [me]))
        if keys is None:
            return Finding("device", "The homeserver doesn't say whether my device is signed.", "Ask again later.")
        device = keys.device_keys.get(me, {}).get(self._client.device_id)
        signed_by = {key_id.key_id for key_id in device.signatures.get(me, {})} if device else set()
        signing = keys.self_signing_keys.get(me)
        if signing is not None and signing.first_ed25519_key in signed_by:
            return Finding("device", "My device is signed.", is_good=True)
        button = (
            "Verify, with my recovery key" if me in keys.master_keys else "Generate recovery key, and keep that key"
        )
        return Finding(
            "device",
            "My device isn't signed, so people's clients mark what I send or hide it.",
            f"In maubot's page, open the client {me} and press {button}.",
        )

    async def _answer_to(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return the homeserver's answer; None if there is none, or a refusal."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._homeserver.patiently(ask)
        except (NotSent, TimeoutError):
            return None

    def _rate_limit(self) -> Finding:
        settings = self._settings()
        exempt = "docs/install.md shows how to exempt me on the homeserver"
        if self._slow_downs.lately:
            advice = f"Pictures come faster without it: {exempt}."
            return Finding("rate limit", "The homeserver slowed me down within the last 24 hours.", advice)
        if settings.rate_limit_per_second:
            every = 1 / settings.rate_limit_per_second
            advice = f"Pictures come faster without it: {exempt}. Then set rate_limit_per_second to learned."
            return Finding("rate limit", f"My settings let me send one event every {every:g} s.", advice)
        return Finding("rate limit", "I send at once, and the homeserver lets me.", is_good=True)

    async def _generator_answers(self) -> Finding:
        try:
            known, _ = await self._generator.capabilities()
        except GeneratorError as error:
            reason = f", {type(cause).__name__}: {cause}" if (cause := error.__cause__) else ""
            self._log.info(f"Doctor: {type(error).__name__}{reason}")
            advice = next(advice for kind, advice in _GENERATOR_ADVICE if isinstance(error, kind))
            # The generator's own refusals quote what was asked, and this goes into the log.
            return Finding("generator", GeneratorError.sentence if isinstance(error, Refused) else str(error), advice)
        versions = f"it has Easel {known.version} and I have {self._version}"
        message = f"It answers, and draws with {known.default_model}; {versions}."
        return Finding("generator", message, is_good=True)


def findings_text(findings: list[Finding]) -> Rich:
    """The answer to ``!easel doctor``."""
    return points(
        bold(f"{'✅' if finding.is_good else '⚠️'} {finding.name}") + f": {finding.message} {finding.advice}".rstrip()
        for finding in findings
    )
