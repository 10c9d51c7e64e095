"""Connections to the generator: UNIX socket, TCP with a token, TLS with a self-signed certificate."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.easel.generator.client import GeneratorClient, Server
from bot.easel.generator.errors import CertificateRefused, NotRunning, SocketForbidden, TokenRefused
from bot.easel.generator.types import MAX_WHOLE_NUMBER, JobStatus, NotTheContract, Size, read
from tests.helpers.shipped_settings import settings


def client(url: str, token: str, ca_file: str = "") -> GeneratorClient:
    read = settings(generator_url=url, generator_token=token, generator_ca_file=ca_file)
    return GeneratorClient(Server.of(read), "0.1.0")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate, made with the command from the documentation."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "9", "-subj", "/CN=card", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


async def test_tcp_sends_the_token(fake_generator, serve):
    port = await serve.tcp(fake_generator.app())
    health = await client(f"http://127.0.0.1:{port}", "secret").health()
    assert health.device == "a card"
    assert fake_generator.tokens == ["Bearer secret"]


async def test_a_unix_socket_needs_no_token(fake_generator, serve, socket):
    await serve.unix(fake_generator.app(), socket)
    known, answer = await client(f"unix://{socket}", "").capabilities()
    assert known.default_model == "ssd-1b"
    assert '"default_model":"ssd-1b"' in answer
    assert fake_generator.tokens == [None]


async def test_tls_accepts_a_self_signed_certificate(fake_generator, serve, certificate):
    key, cert = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    port = await serve.tcp(fake_generator.app(), ssl_context=context)
    url = f"https://127.0.0.1:{port}"
    assert (await client(url, "secret", str(cert)).health()).state == "ready"
    with pytest.raises(CertificateRefused):
        await client(url, "secret").health()


async def test_a_closed_port_is_not_running(unused_tcp_port):
    with pytest.raises(NotRunning):
        await client(f"http://127.0.0.1:{unused_tcp_port}", "secret").health()


async def test_a_refused_token(fake_generator, serve, refusal):
    fake_generator.sins["health"] = refusal(401, "no")
    with pytest.raises(TokenRefused):
        await client(f"http://127.0.0.1:{await serve.tcp(fake_generator.app())}", "wrong").health()


@pytest.fixture
def nobody() -> Iterator[None]:
    """Run as another user, since root may open everything."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    yield
    os.seteuid(me)


@pytest.fixture
async def closed_socket(fake_generator, serve, socket) -> Path:
    await serve.unix(fake_generator.app(), socket)
    socket.chmod(0)
    return socket


async def test_another_users_socket_is_reported(closed_socket, nobody):
    with pytest.raises(SocketForbidden, match="not allowed to reach"):
        await client(f"unix://{closed_socket}", "").health()


def test_a_state_outside_the_contract_is_refused():
    with pytest.raises(NotTheContract, match="must be one of queued, running, done, failed, cancelled"):
        read(JobStatus, {"state": "asleep"})


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**20])
def test_a_number_that_no_column_holds_is_not_the_contract(number):
    with pytest.raises(NotTheContract, match=r"Size.width is too large"):
        read(Size, {"width": number, "height": 1})
    assert read(Size, {"width": 2**53 - 1, "height": 1}).width == MAX_WHOLE_NUMBER
