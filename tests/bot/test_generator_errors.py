"""Whatever the generator does, the room gets one sentence, and nothing hangs."""

import asyncio

import pytest
from aiohttp import web

from bot.easel import generator_errors
from bot.easel.generator_client import GeneratorClient, Patience
from bot.easel.generator_errors import GeneratorError
from generator import api

IMPATIENT = Patience(silence_s=0.2, reconnect_for_s=0.1, reconnect_every_s=0.02)
GARBAGE = [b"", b"no JSON", b"[]", b"{}", b"null", b'{"version": 5}', b"[" * 100_000, b"\xff\xfe"]


@pytest.fixture
async def impatient(plugin):
    """Waits for a generator only as long as a test likes to."""
    generator = GeneratorClient(plugin.settings, "0.1.0", IMPATIENT)
    plugin._use(plugin.settings, generator)
    return generator


def raw(body: bytes):
    async def answer(request):
        return web.Response(body=body)

    return answer


async def hang_up(request):
    request.transport.close()
    return web.Response()


async def test_no_socket(room, homeserver, socket):
    await room.say("!draw otter")
    assert await homeserver.answer() == (
        f"The generator is not running: there is no socket at {socket}. Start it and ask me again."
    )


async def test_a_failure_takes_the_reaction_back(room, homeserver):
    event_id = await room.say("!draw otter")
    failed = await homeserver.marked("failed")
    working = await homeserver.marked("working")
    assert failed.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": event_id, "key": "❌"}
    (redaction,) = [event for event in homeserver.events if event.type == "m.room.redaction"]
    assert redaction.content["redacts"] == f"$sent-{working.txn_id}"
    assert homeserver.typing[-1] is False


async def test_a_dead_socket(room, homeserver, socket):
    server = await asyncio.start_unix_server(lambda reader, writer: None, socket)
    server.close()
    await server.wait_closed()
    socket.touch()
    await room.say("!draw otter")
    assert "not running" in await homeserver.answer()


@pytest.mark.parametrize(
    ("path", "status", "message", "said"),
    [
        ("submit", 422, "steps is 900; it can be 1 to 100.", "steps is 900; it can be 1 to 100."),
        ("submit", 409, "That job is another one.", "That job is another one."),
        ("submit", 413, "That is too long.", "That is too long."),
        ("submit", 503, "The generator is stopping.", "The generator is stopping."),
        ("capabilities", 503, "The generator is starting.", "The generator is starting."),
        ("submit", 500, "The generator had a problem.", "The generator had a problem."),
        ("capabilities", 401, "no", str(generator_errors.TokenRefused())),
        ("picture", 404, "There is no such picture.", "There is no such picture."),
    ],
)
async def test_refusals_are_said_in_the_generators_own_words(
    drawing_room, homeserver, generator, refusal, path, status, message, said
):
    generator.sins[path] = refusal(status, message)
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == said


@pytest.mark.parametrize(("headers", "wait"), [({"Retry-After": "40"}, "in 40 s"), ({}, "in a moment")])
async def test_a_full_queue_says_when(drawing_room, homeserver, generator, refusal, headers, wait):
    generator.sins["submit"] = refusal(429, "The queue is full: 100 jobs wait.", **headers)
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == f"The queue is full: 100 jobs wait. Try again {wait}."


@pytest.mark.parametrize(
    ("version", "upgrade"), [("0.0.9", "the generator"), ("0.2.0", "the plugin in maubot"), ("1.0.0", "the plugin")]
)
async def test_another_version_says_which_side_to_upgrade(drawing_room, homeserver, generator, version, upgrade):
    generator.capabilities = generator.capabilities.model_copy(update={"version": version})
    await drawing_room.say("!draw otter")
    answer = await homeserver.answer()
    assert f"The generator is version {version} and I am 0.1.0" in answer
    assert f"Upgrade {upgrade}" in answer


async def test_another_patch_version_is_no_matter(drawing_room, homeserver, generator):
    generator.capabilities = generator.capabilities.model_copy(update={"version": "0.1.7"})
    await drawing_room.say("!draw otter")
    await homeserver.files()


@pytest.mark.parametrize("body", GARBAGE)
@pytest.mark.parametrize("path", ["capabilities", "submit", "events"])
async def test_garbage(drawing_room, impatient, homeserver, generator, path, body):
    generator.sins[path] = raw(body)
    await drawing_room.say("!draw otter")
    said = {str(generator_errors.NotUnderstood()), str(generator_errors.Interrupted())}
    assert await homeserver.answer() in said


@pytest.mark.parametrize("path", ["capabilities", "submit", "events", "picture"])
async def test_hanging_up(drawing_room, impatient, homeserver, generator, path):
    generator.sins[path] = hang_up
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() in {str(generator_errors.GeneratorAway()), str(generator_errors.Interrupted())}


async def test_a_stream_that_is_cut_is_taken_up_again(drawing_room, impatient, homeserver, generator):
    async def cut_once(request):
        del generator.sins["events"]
        job = request.match_info["job"]
        return await generator.stream(request, generator.lines(job)[:5])

    generator.sins["events"] = cut_once
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: generator.asked.count("events") == 2 and homeserver.typing[-1:] == [False])
    assert len(await homeserver.files()) == 1
    assert not [event for event in homeserver.events if event.content.get("msgtype") == "m.notice"]


async def test_a_stream_that_is_cut_for_ever(drawing_room, impatient, homeserver, generator):
    async def cut(request):
        return await generator.stream(request, generator.lines(request.match_info["job"])[:1])

    generator.sins["events"] = cut
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == str(generator_errors.Interrupted())


async def test_a_restart_in_the_middle(drawing_room, impatient, homeserver, generator, refusal):
    async def forget(request):
        generator.sins["events"] = refusal(404, "There is no such job.")
        return await generator.stream(request, generator.lines(request.match_info["job"])[:2])

    generator.sins["events"] = forget
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == str(generator_errors.Restarted())


async def test_silence_ends(drawing_room, impatient, homeserver, generator):
    silence = asyncio.Event()

    async def say_nothing(request):
        await generator.stream(request, generator.lines(request.match_info["job"])[:1])
        await silence.wait()

    generator.sins["events"] = say_nothing
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == str(generator_errors.Interrupted())
    silence.set()


@pytest.mark.parametrize(
    ("event", "error", "said"),
    [
        ("failed", api.Error(code="oom", message="The card's memory is full."), "The card's memory is full."),
        ("failed", None, "The generator had a problem."),
        ("cancelled", None, "The drawing was cancelled."),
    ],
)
async def test_a_job_that_ends_without_a_picture(drawing_room, homeserver, generator, event, error, said):
    async def end(request):
        job = generator.status(request.match_info["job"], event, error=error)
        return await generator.stream(request, [api.EndEvent(event=event, job=job)])

    generator.sins["events"] = end
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == said


async def test_pictures_that_no_event_told_of_come_with_the_end(drawing_room, homeserver, generator):
    async def only_the_end(request):
        return await generator.stream(request, generator.lines(request.match_info["job"])[-1:])

    generator.sins["events"] = only_the_end
    await drawing_room.say("!draw otter -n 2")
    assert len(await homeserver.files(2)) == 2


async def test_a_picture_without_end_is_not_read(impatient, generator, serve, socket):
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 2**20)

    generator.sins["picture"] = endless
    await serve.unix(generator.app(), socket)
    with pytest.raises(generator_errors.TooMuch):
        await impatient.picture("job", 0)


@pytest.mark.parametrize("error", [error for error in vars(generator_errors).values() if isinstance(error, type)])
def test_every_error_has_a_sentence_and_no_traceback(error):
    made = {
        generator_errors.SocketMissing: ("/run/x.sock",),
        generator_errors.SocketForbidden: ("/run/x.sock",),
        generator_errors.QueueFull: ("The queue is full.", 5),
    }
    if error is generator_errors.OtherVersion:
        said = str(error(ours="0.1.0", theirs="0.2.0", upgrade="the generator"))
    else:
        said = str(error(*made.get(error, ())))
    assert issubclass(error, GeneratorError)
    assert said[0].isupper()
    assert said[-1] in ".?"
    assert "Traceback" not in said
    assert len(said) < 200
