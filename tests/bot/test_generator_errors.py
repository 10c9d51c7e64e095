"""Every failure of the generator brings one sentence in the room, and nothing hangs."""

import asyncio

import pytest
from aiohttp import web

from bot.easel.generator import errors
from bot.easel.generator.errors import GeneratorError
from generator.api import types as api

GARBAGE = [b"no JSON", b"[]", b"{}", b"null", b'{"version": 5}', b"[" * 100_000, b"\xff\xfe"]


@pytest.fixture
async def impatient(plugin):
    """Shorten the time that the bot waits for a silent generator."""
    plugin.generator.silence_s = 0.2
    return plugin.generator


def raw(body: bytes):
    async def answer(request):
        return web.Response(body=body)

    return answer


async def test_a_job_waits_for_a_generator_that_is_not_running(room, homeserver, fake_generator, serve, socket):
    await room.say("!draw otter --seed 7")
    assert await homeserver.answer() == "Drawing isn't running on the drawing computer. I'll draw when it's back."
    await serve.unix(fake_generator.app(), socket)
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-7.yml"]
    assert len(await homeserver.answers()) == 1


async def test_a_failure_removes_the_reaction(drawing_room, homeserver, fake_generator, refusal):
    fake_generator.sins["submit"] = refusal(422, "No.")
    event_id = await drawing_room.say("!draw otter")
    failed = await homeserver.marked("ended")
    working = await homeserver.marked("reaction")
    assert failed.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": event_id, "key": "❌"}
    (redaction,) = [event for event in homeserver.events if event.type == "m.room.redaction"]
    assert redaction.content["redacts"] == f"$sent-{working.txn_id}"
    assert homeserver.typing[-1] is False


async def test_a_dead_socket_is_reported(room, homeserver, socket):
    server = await asyncio.start_unix_server(lambda reader, writer: None, socket)
    server.close()
    await server.wait_closed()
    socket.touch()
    await room.say("!draw otter")
    assert "off or asleep" in await homeserver.answer()


@pytest.mark.parametrize(
    ("path", "status", "message", "text"),
    [
        ("submit", 422, "--steps goes from 1 to 100.", "--steps goes from 1 to 100."),
        ("submit", 409, "That job is another one.", "That job is another one."),
        ("submit", 413, "That is too long.", "That is too long."),
        ("submit", 500, "The generator had a problem.", "The generator had a problem."),
        (
            "capabilities",
            401,
            "no",
            f"{errors.TokenRefused()} I'll draw when that's mended.",
        ),
    ],
)
async def test_refusals_are_answered_in_the_generators_own_words(
    drawing_room, homeserver, fake_generator, refusal, path, status, message, text
):
    fake_generator.sins[path] = refusal(status, message)
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == text


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [("submit", 429, {"Retry-After": "1"}), ("submit", 503, {}), ("capabilities", 503, {}), ("picture", 404, {})],
)
async def test_a_passing_refusal_is_waited_for_in_silence(
    drawing_room, homeserver, fake_generator, refusal, path, status, headers
):
    async def refuse_once(request):
        del fake_generator.sins[path]
        return await refusal(status, "Not now.", **headers)(request)

    fake_generator.sins[path] = refuse_once
    await drawing_room.say("!draw otter")
    await homeserver.files()
    assert not homeserver.sentences()


@pytest.mark.parametrize(
    ("version", "upgrade"),
    [("0.0.9", "the drawing computer"), ("0.2.0", "me, the plugin"), ("1.0.0", "me, the plugin")],
)
async def test_a_version_mismatch_names_the_side_to_upgrade(drawing_room, homeserver, fake_generator, version, upgrade):
    fake_generator.capabilities = fake_generator.capabilities.model_copy(update={"version": version})
    await drawing_room.say("!draw otter")
    answer = await homeserver.answer()
    assert f"The drawing computer has Easel {version} and I have 0.1.0." in answer
    assert f"Please upgrade {upgrade}" in answer


async def test_another_patch_version_is_accepted(drawing_room, homeserver, fake_generator):
    fake_generator.capabilities = fake_generator.capabilities.model_copy(update={"version": "0.1.7"})
    await drawing_room.say("!draw otter")
    await homeserver.files()


@pytest.mark.parametrize("body", GARBAGE)
@pytest.mark.parametrize("path", ["capabilities", "submit", "events"])
async def test_garbage_is_answered_with_a_sentence(drawing_room, impatient, homeserver, fake_generator, path, body):
    fake_generator.sins[path] = raw(body)
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == str(errors.NotUnderstood())


@pytest.mark.parametrize("path", ["capabilities", "submit", "events", "picture"])
async def test_a_dropped_connection_is_retried(drawing_room, impatient, homeserver, fake_generator, path):
    async def hang_up(request):
        del fake_generator.sins[path]
        request.transport.close()
        return web.Response()

    fake_generator.sins[path] = hang_up
    await drawing_room.say("!draw otter")
    await homeserver.files()


async def test_a_stream_that_is_cut_is_resumed(drawing_room, impatient, homeserver, fake_generator):
    async def cut_once(request):
        del fake_generator.sins["events"]
        job = request.match_info["job"]
        return await fake_generator.stream(request, fake_generator.lines(job)[:5])

    fake_generator.sins["events"] = cut_once
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.asked.count("events") == 2 and homeserver.typing[-1:] == [False])
    assert len(await homeserver.files()) == 1
    assert not homeserver.sentences()


async def test_a_restart_in_the_middle_is_survived(drawing_room, impatient, homeserver, fake_generator, refusal):
    async def forget(request):
        fake_generator.sins["events"] = forgotten
        return await fake_generator.stream(request, fake_generator.lines(request.match_info["job"])[:2])

    async def forgotten(request):
        del fake_generator.sins["events"]
        return await refusal(404, "There is no such job.")(request)

    fake_generator.sins["events"] = forget
    await drawing_room.say("!draw otter")
    await homeserver.files()
    assert fake_generator.asked.count("submit") == 3
    assert len(fake_generator.jobs) == 1


async def test_a_silent_stream_times_out(drawing_room, impatient, homeserver, fake_generator):
    silence = asyncio.Event()

    async def say_nothing(request):
        del fake_generator.sins["events"]
        await fake_generator.stream(request, fake_generator.lines(request.match_info["job"])[:1])
        await silence.wait()

    fake_generator.sins["events"] = say_nothing
    await drawing_room.say("!draw otter")
    await homeserver.files()
    silence.set()


@pytest.mark.parametrize(
    ("event", "error", "text"),
    [
        ("failed", api.Error(code="oom", message="The card's memory is full."), "The card's memory is full."),
        ("failed", None, "The drawing computer had a problem."),
        ("cancelled", None, "Somebody cancelled it on the drawing computer."),
    ],
)
async def test_a_job_that_ends_without_a_picture_gets_its_reason(
    drawing_room, homeserver, fake_generator, event, error, text
):
    async def end(request):
        job = fake_generator.status(request.match_info["job"], event, error=error)
        return await fake_generator.stream(request, [api.EndEvent(event=event, job=job)])

    fake_generator.sins["events"] = end
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == text


async def test_pictures_without_an_event_of_their_own_come_with_the_end(drawing_room, homeserver, fake_generator):
    async def only_the_end(request):
        return await fake_generator.stream(request, fake_generator.lines(request.match_info["job"])[-1:])

    fake_generator.sins["events"] = only_the_end
    await drawing_room.say("!draw otter")
    assert len(await homeserver.files()) == 1


async def test_an_endless_picture_is_refused(impatient, fake_generator, serve, socket):
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 2**20)

    fake_generator.sins["picture"] = endless
    await serve.unix(fake_generator.app(), socket)
    with pytest.raises(errors.TooMuch):
        await impatient.picture("job", 0)


@pytest.mark.parametrize("error", [error for error in vars(errors).values() if isinstance(error, type)])
def test_every_error_has_a_sentence_and_no_traceback(error):
    made = {errors.QueueFull: ("The queue is full.", 5)}
    if error is errors.OtherVersion:
        text = str(error(ours="0.1.0", theirs="0.2.0", upgrade="the generator"))
    else:
        text = str(error(*made.get(error, ())))
    assert issubclass(error, GeneratorError)
    assert text[0].isupper()
    assert text[-1] in ".?"
    assert "Traceback" not in text
    assert "/" not in text, "paths are for the log"
    assert len(text) < 200
