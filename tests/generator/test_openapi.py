"""The served OpenAPI document is valid and complete, and the server keeps to it under fuzzing."""

import asyncio
import re
import sys

from openapi_spec_validator import validate

from generator.api import openapi
from generator.service.sockets import tcp_socket

# Enough to meet every field with every wrong type, in well below a minute on two cores.
EXAMPLES_PER_OPERATION = 30


def test_the_document_is_valid_and_complete():
    document = openapi.document()
    validate(document)
    assert {(route.path, route.method.lower()) for route in openapi.ROUTES} == {
        (path, method) for path, operations in document["paths"].items() for method in operations
    }
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= document["components"]["schemas"].keys()


async def test_the_document_is_served(generator):
    assert (await generator.call("GET", "/openapi.json")).json == openapi.document()


async def test_no_request_breaks_the_contract(start_generator, tmp_path):
    generator = await start_generator(token="secret")
    listener = tcp_socket("127.0.0.1", 0)
    await generator.listen(listener)
    fuzz = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "run", f"http://127.0.0.1:{listener.getsockname()[1]}/openapi.json"),
        *("--header", "Authorization: Bearer secret", "--seed", "1", "--max-examples", str(EXAMPLES_PER_OPERATION)),
        # Not every well-formed request can be drawn: no schema expresses that an empty prompt is refused.
        *("--exclude-checks", "positive_data_acceptance"),
        # After a pause, later streams would wait for ever. The call itself takes no input.
        *("--exclude-path", "/v1/pause", "--no-shrink", "--generation-database", "none"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await fuzz.communicate()
    assert fuzz.returncode == 0, output.decode()
    assert (await generator.call("GET", "/v1/health")).status == 200
