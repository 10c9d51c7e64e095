"""Clients that flood, stall, break off or send rubbish take nobody else's turn, and are no bugs in the log."""

import asyncio
import logging
import resource
import socket
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest

from generator.log_lines import COUNTED_S, REMEMBERED, LogLines
from generator.service import connections, handlers
from generator.service.sockets import tcp_socket

# On a quiet machine every answer takes milliseconds.
SOON_S = 3.0

HEAD = b"Host: generator\r\nAuthorization: Bearer token\r\n"
PUT_JOB = b"PUT /v1/jobs/a HTTP/1.1\r\n" + HEAD
PUT_IMAGE = b"PUT /v1/images/" + b"a" * 64 + b" HTTP/1.1\r\n" + HEAD


@pytest.fixture
async def tcp(start_generator):
    """A generator on a UNIX socket and on TCP, and its port."""
    generator = await start_generator(token="token", allowed_hosts=("generator",))
    listener = tcp_socket("127.0.0.1", 0)
    await generator.listen(listener)
    return generator, listener.getsockname()[1]


async def health_over_tcp(port: int) -> int:
    headers = {"Authorization": "Bearer token"}
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/v1/health", headers=headers) as response:
        return response.status


async def answer_to(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        # Each part arrives by itself.
        await asyncio.sleep(0.05)
    async with asyncio.timeout(SOON_S):
        answer = await reader.read(4096)
    writer.close()
    return answer


# ---- prompts


async def test_prompts_that_are_long_to_read_delay_nobody(generator):
    """Ten jobs of nine long prompts, of which none may make others wait."""
    began = time.monotonic()
    hostile = []
    for job in range(10):
        texts = [f"{job} {n} " + "(a)(b)" * 330 for n in range(9)]
        recipes = [{"slots": {"subject": [text]}, "negative_prompt": text, "steps": 1} for text in texts]
        body = {"requester": "@eve:elsewhere", "recipes": recipes}
        hostile.append(asyncio.create_task(generator.call("PUT", f"/v1/jobs/eve-{job}", json=body)))
    await asyncio.sleep(0)
    longest_s = 0.0
    while not all(task.done() for task in hostile):
        asked = time.monotonic()
        assert (await generator.call("GET", "/v1/capabilities")).status == 200
        assert (await generator.submit("ann-1")).status in (200, 201)
        longest_s = max(longest_s, time.monotonic() - asked)
    assert longest_s < SOON_S
    assert time.monotonic() - began < 15, "the bot waits no longer for an answer"
    assert {task.result().status for task in hostile} <= {201, 429}


# ---- connections


@pytest.mark.parametrize("flooded", ["tcp", "unix"])
async def test_silent_connections_keep_nobody_out_and_are_closed(tcp, monkeypatch, flooded):
    generator, port = tcp
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    async with AsyncExitStack() as stack:
        silent = []
        for _ in range(60):
            if flooded == "tcp":
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            else:
                reader, writer = await asyncio.open_unix_connection(str(generator.socket))
            stack.callback(writer.close)
            silent.append(reader)
        async with asyncio.timeout(SOON_S):
            assert await health_over_tcp(port) == 200
            assert (await generator.call("GET", "/v1/health")).status == 200
            # The oldest made room.
            assert {await reader.read() for reader in silent[:30]} == {b""}


async def test_connections_of_those_who_may_call_stay_open(tcp, monkeypatch):
    """A stream outlives a flood of silent connections on its own socket."""
    generator, port = tcp
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)
    await generator.call("POST", "/v1/pause")
    await generator.submit("job-1")
    headers = {"Authorization": "Bearer token"}
    async with (
        AsyncExitStack() as stack,
        aiohttp.request("GET", f"http://127.0.0.1:{port}/v1/jobs/job-1/events", headers=headers) as stream,
    ):
        await stream.content.readline()
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
        await generator.call("POST", "/v1/resume")
        lines = [line async for line in stream.content]
    assert b'"done"' in lines[-1]


@pytest.mark.parametrize("sent", [b"", b"GET /v1/heal", b"GET /v1/health HTTP/1.1\r\nHost: generator\r\nX-Slow: "])
async def test_a_client_that_stalls_before_its_request_is_cut_off(start_generator, monkeypatch, sent):
    monkeypatch.setattr(connections, "SILENCE_S", 0.3)
    generator = await start_generator()
    reader, writer = await asyncio.open_unix_connection(str(generator.socket))
    writer.write(sent)
    async with asyncio.timeout(SOON_S):
        assert await reader.read() == b""
    writer.close()


async def test_without_files_left_a_try_a_second_is_logged(tcp, monkeypatch, caplog):
    """A connection that cannot be accepted waits until the process may open a file again."""
    generator, port = tcp
    monkeypatch.setattr(connections, "NO_FILES_PAUSE_S", 0.1)
    assert (await generator.call("GET", "/v1/health")).status == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        try:
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            await asyncio.sleep(0.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 1 <= caplog.text.count("could not be accepted") <= 6
    assert await health_over_tcp(port) == 200


# ---- rubbish


@pytest.mark.parametrize(
    ("parts", "statuses"),
    [
        ((b"GET /v1/health HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",), (403,)),
        ((b"GET /v1/health HTTP/1.1\r\nHost: generator\r\nAuthorization: \xff\r\n\r\n",), (401,)),
        ((PUT_JOB + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n", b"1234"), (400, 422)),
        ((PUT_IMAGE + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n1234",), (422,)),
        ((PUT_JOB + b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\n1234",), (400, 422)),
        ((b"GET /v1/jobs/%ff%ed%a0%80%0a HTTP/1.1\r\n" + HEAD + b"\r\n",), (404,)),
        ((b"GET /v1/jobs/\xff HTTP/1.1\r\n" + HEAD + b"\r\n",), (400,)),
        ((b"GET http://[::1/ HTTP/1.1\r\n" + HEAD + b"\r\n",), (400,)),
        ((b"\x16\x03\x01\x02\x00\x01\r\n\r\n",), (400,)),
    ],
)
async def test_rubbish_is_refused_and_is_no_bug(tcp, caplog, parts, statuses):
    answer = await answer_to(tcp[1], *parts)
    assert int(answer.split(b" ")[1]) in statuses
    assert "met a bug" not in caplog.text
    assert "Unhandled exception" not in caplog.text


@pytest.mark.parametrize(
    "parts",
    [
        (PUT_JOB + b"Content-Length: 100\r\n\r\n{",),
        (PUT_IMAGE + b"Content-Length: 100\r\n\r\n{",),
        (PUT_JOB + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"zz\r\n"),
    ],
)
async def test_a_body_that_never_arrives_is_not_waited_for(tcp, monkeypatch, caplog, parts):
    monkeypatch.setattr(handlers, "BODY_TIMEOUT_S", 0.3)
    assert (await answer_to(tcp[1], *parts)).startswith(b"HTTP/1.1 408")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "sent",
    [
        PUT_JOB + b"Content-Length: 100\r\n\r\n{",
        PUT_JOB + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        PUT_IMAGE + b"Content-Length: 100\r\n\r\n1",
        b"GET /v1/jobs/a HTTP/1.1\r\nHo",
    ],
)
async def test_a_client_that_hangs_up_is_no_bug(tcp, caplog, sent):
    _, writer = await asyncio.open_connection("127.0.0.1", tcp[1])
    writer.write(sent)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert await health_over_tcp(tcp[1]) == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# ---- the log


async def test_a_requester_cannot_write_log_lines(generator, caplog):
    caplog.set_level(logging.INFO)
    await generator.submit("job-1", requester="@ann:home\n2026-01-01 ERROR generator: all is lost\x1b[2J\u2028")
    [accepted] = [record for record in caplog.records if "accepted" in record.getMessage()]
    assert LogLines().filter(accepted)
    assert accepted.getMessage().endswith(r"@ann:home\n2026-01-01 ERROR generator: all is lost\x1b[2J\u2028")


def test_a_message_that_repeats_is_counted():
    lines, shown = LogLines(), []
    for second in range(200):
        record = logging.LogRecord("generator", logging.INFO, "file", 1, "no room for %d", (7,), None)
        record.created = 1000 + second
        if lines.filter(record):
            shown.append(record.getMessage())
    assert shown == ["no room for 7", *[f"no room for 7 (repeated {COUNTED_S:.0f} times meanwhile)"] * 3]


def test_only_so_many_messages_are_remembered():
    lines = LogLines()
    for number in [*range(REMEMBERED + 1), 0]:
        record = logging.LogRecord("generator", logging.INFO, "file", 1, "%d", (number,), None)
        assert lines.filter(record)
