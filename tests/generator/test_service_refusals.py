"""Every refusal has the same shape: code, field, value, limit and a sentence."""

import pytest

from generator.api.limits import MAX_REQUEST_BYTES


@pytest.mark.parametrize(
    ("job", "body", "status", "code", "field"),
    [
        ("job-1", b"{", 400, "bad_json", None),
        ("job-1", b"", 400, "bad_json", None),
        ("job-1", b"\xff", 400, "bad_json", None),
        ("job-1", b"[" * 60000, 400, "bad_json", None),
        ("job-1", b"[]", 422, "invalid", None),
        ("job-1", b"{}", 422, "invalid", "requester"),
        ("job-1", b'{"requester": "", "recipes": []}', 422, "invalid", "requester"),
        ("job-1", b'{"requester": "a", "recipes": []}', 422, "invalid", "recipes"),
        ("job-1", b'{"requester": "a", "recipes": [{}]}', 422, "invalid", "recipes.0.slots"),
        ("job-1", b'{"requester": "a", "recipes": [{"slots": {}}]}', 422, "empty_prompt", "slots"),
        ("job-1", b'{"requester": "a", "recipes": [{"slots": {"hat": []}}]}', 422, "invalid", "recipes.0.slots.hat"),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "steps": true}]}',
            422,
            "invalid",
            "recipes.0.steps",
        ),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "guidance_scale": NaN}]}',
            422,
            "invalid",
            "recipes.0.guidance_scale",
        ),
        (
            "job-1",
            b'{"requester": "a", "recipes": [{"slots": {"subject": ["x"]}, "model": "../../etc"}]}',
            422,
            "unknown_choice",
            "model",
        ),
        ("job 1", b"{}", 422, "invalid", None),
        ("j" * 65, b"{}", 422, "invalid", None),
        ("job-1", b" " * (MAX_REQUEST_BYTES + 1), 413, "too_large", None),
    ],
)
async def test_every_refusal_has_the_same_shape(generator, job, body, status, code, field):
    answer = await generator.call("PUT", f"/v1/jobs/{job}", data=body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["field"]) == (status, code, field)
    assert error["message"].endswith(".")
    assert set(error) == {"code", "field", "value", "message", "limit", "choices"}


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("requester", "x" * 256, 255),
        ("recipes", [{"slots": {"subject": ["x"]}}] * 10, 9),
        ("recipes", [{"slots": {"subject": ["x"]}, "seed": 2**53}], 2**53 - 1),
        ("recipes", [{"slots": {"subject": ["x" * 2001]}}], 2000),
        ("recipes", [{"slots": {"subject": ["x" * 1999, "y"]}}], 2000),
        ("recipes", [{"slots": {"subject": ["x"]}, "negative_prompt": "x" * 2001}], 2000),
        ("recipes", [{"slots": {"subject": ["x"]}, "theme": "x" * 65}], 64),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"model_revision": "x" * 201}}], 200),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"plan": {"device": "x" * 201}}}], 200),
        ("recipes", [{"slots": {"subject": ["x"]}, "facts": {"plan": {"x" * 201: 1}}}], 200),
        ("recipes", [{"slots": {"subject": ["(" * 9 + "x" + ")" * 9]}}], 8),
        ("recipes", [{"slots": {"subject": ["(x)3"]}}], [0, 2]),
        ("recipes", [{"slots": {"subject": ["x"]}, "steps": 101}], [1, 100]),
        ("recipes", [{"slots": {"subject": ["x"]}, "width": 4096}], [64, 1024]),
    ],
)
async def test_a_refusal_names_the_limit(generator, field, value, limit):
    body = {"requester": "@ann:home", "recipes": [{"slots": {"subject": ["x"]}}]} | {field: value}
    answer = await generator.call("PUT", "/v1/jobs/job-1", json=body)
    assert (answer.status, answer.json["error"]["limit"]) == (422, limit)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown"),
        ("GET", "/v1/jobs/nobody", 404, "unknown"),
        ("GET", "/v1/jobs/nobody/events", 404, "unknown"),
        ("GET", "/v1/jobs/nobody/pictures/0", 404, "unknown"),
        ("DELETE", "/v1/jobs/nobody", 404, "unknown"),
        ("POST", "/v1/health", 405, "wrong_method"),
    ],
)
async def test_not_found_has_the_same_shape(generator, method, path, status, code):
    answer = await generator.call(method, path)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_a_picture_that_the_job_does_not_have_is_not_found(generator):
    await generator.submit("job-1")
    await generator.end("job-1")
    for n in ("1", "-1", "x", "00"):
        assert (await generator.call("GET", f"/v1/jobs/job-1/pictures/{n}")).status == 404


async def test_a_bug_is_a_500_in_the_same_shape(start_generator, caplog):
    def broken():
        raise ZeroDivisionError("a bug")

    generator = await start_generator(capabilities=broken)
    answer = await generator.call("GET", "/v1/capabilities")
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal")
    assert "a bug" not in answer.json["error"]["message"]
    assert "ZeroDivisionError" in caplog.text
