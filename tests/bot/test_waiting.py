"""Sentences and signs about waiting, and the order of the queue."""

import asyncio

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.commands.queue import MAX_LISTED, queue_text
from bot.easel.jobs.job import Job
from bot.easel.jobs.waiting import Outlook, Outlooks, away_text, duration, in_turns, ordinal, place_text
from bot.easel.language import parse_all
from bot.easel.room.messages import Message


def job(name: str, sender: str, received_ms: int, *, room_id: str = "!here", words: str = "otter") -> Job:
    message = Message(room_id=room_id, event_id=f"${name}", sender=sender, body=words)
    return Job(id=name, message=message, asked=parse_all(words), seed=1, received_ms=received_ms)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")],
)
def test_ordinals(number, expected):
    assert ordinal(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1 s"),
        (18.4, "18 s"),
        (89, "89 s"),
        (90, "2 min"),
        (600, "10 min"),
        (5400, "1 h 30 min"),
        (86400, "24 h"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_sentences_about_waiting():
    assert [place_text(place) for place in (0, 1, 3)] == ["⏳ next", "⏳ next", "⏳ 3rd"]
    assert away_text("It's off.", "it's back") == "It's off. I'll draw when it's back."


def test_everyones_first_job_comes_before_anyones_second():
    jobs = [job("a1", "@a", 1), job("a2", "@a", 2), job("b1", "@b", 3), job("a3", "@a", 4), job("c1", "@c", 5)]
    assert [one.id for one in in_turns(jobs)] == ["a1", "b1", "c1", "a2", "a3"]


@given(st.lists(st.sampled_from(["@a", "@b", "@c"]), max_size=30))
def test_turns_lose_no_job_and_keep_each_persons_order(senders):
    jobs = [job(str(n), sender, n) for n, sender in enumerate(senders)]
    ordered = in_turns(jobs)
    assert sorted(one.received_ms for one in ordered) == list(range(len(jobs)))
    for sender in set(senders):
        own = [one.received_ms for one in ordered if one.message.sender == sender]
        assert own == sorted(own)


def test_the_queue_shows_only_this_rooms_prompts():
    jobs = [
        job("a", "@ada:x", 1, words="otter, cowboy hat"),
        job("b", "@bob:x", 2, room_id="!secret", words="a surprise"),
        job("c", "@cleo:x", 3),
    ]
    outlooks = Outlooks(b=Outlook(is_running=True, eta_s=18), a=Outlook(position=1, eta_s=40), c=Outlook(position=2))
    assert queue_text(jobs, outlooks, room_id="!here", away=None, names={"@ada:x": "Ada"}).plain == (
        "1. someone in another room · drawing, 18 s left\n2. Ada: otter, cowboy hat · ready in 40 s\n3. cleo: otter"
    )


def test_the_queue_shows_the_resulting_prompt_of_replies_and_reactions():
    asked = parse_all("+scarf", recipe="slots:\n  subject: [otter]\n")
    for body, reply_to in (("+scarf", "$picture"), ("", None)):
        message = Message(room_id="!here", event_id="$a", sender="@ada:x", body=body, reply_to=reply_to)
        job = Job(id="a", message=message, asked=asked, seed=1, received_ms=1)
        assert queue_text([job], Outlooks(), room_id="!here", away=None, names={}).plain == "1. ada: otter, scarf"
    unread = Job(id="a", message=message, seed=1, received_ms=1)
    assert unread.title == ""


def test_an_empty_queue_and_a_waiting_one_have_their_own_sentences():
    assert queue_text([], Outlooks(), room_id="!here", away=None, names={}) == "The queue is empty."
    text = queue_text([job("a", "@a", 1)], Outlooks(), room_id="!here", away="It's off.", names={"@a": "<Ada>"})
    assert text.plain == "It's off. These wait for it:\n1. <Ada>: otter"
    assert text.html == "<p>It's off. These wait for it:</p><ol><li><strong>&lt;Ada&gt;</strong>: otter</li></ol>"


def test_the_queue_counts_the_pictures_that_are_drawn_and_being_sent():
    jobs = [job("a", "@a", 0), job("b", "@a", 1, words="otter -n 4"), job("c", "@a", 2)]
    drawn = Outlooks({name: Outlook(is_drawn=True) for name in "ab"})
    lines = queue_text(jobs, drawn, room_id="!here", away=None, names={}).plain.splitlines()
    assert lines == ["5 pictures are drawn and being sent.", "1. a: otter"]
    lines = queue_text(jobs, drawn, room_id="!here", away="It's off.", names={}).plain.splitlines()
    assert lines[1:] == ["It's off. These wait for it:", "1. a: otter"]


def test_a_long_queue_fits_a_phone():
    lines = queue_text(
        [job(str(n), "@a", n) for n in range(50)], Outlooks(), room_id="!here", away=None, names={}
    ).plain.splitlines()
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "… and 40 more."


@pytest.mark.parametrize(("room_id", "yours"), [("!here", " Yours is 14th."), ("!elsewhere", "")])
def test_a_person_far_behind_in_a_long_queue_reads_their_own_place_in_this_room(room_id, yours):
    jobs = [job(f"other-{n}", f"@{n}:x", n, room_id="!elsewhere") for n in range(13)]
    jobs += [job(name, "@ada:x", 13 + n, room_id=room_id) for n, name in enumerate("ab")]
    text = queue_text(jobs, Outlooks(), room_id="!here", away=None, names={}, asker="@ada:x")
    assert text.plain.splitlines()[-1] == f"… and 5 more.{yours}"


def places(homeserver) -> list[str]:
    """The places that signs on commands show."""
    keys = [event.content["m.relates_to"]["key"] for event in homeserver.events if event.kind == "reaction"]
    return sorted(key for key in keys if key.startswith("⏳"))


async def test_everyone_who_waits_gets_their_place(room, homeserver):
    for sender in ("@ada:example.com", "@ada:example.com", "@bob:example.com"):
        await room.say("!draw otter", sender=sender)

    await homeserver.until(lambda: len(places(homeserver)) == 3)
    # Everyone's first comes before anyone's second.
    assert places(homeserver) in (["⏳ 2nd", "⏳ 2nd", "⏳ next"], ["⏳ 2nd", "⏳ 3rd", "⏳ next"])


async def test_two_jobs_from_before_the_generator_was_found_missing_get_both_places(
    drawing_room, homeserver, fake_generator, plugin, maubot_plugin_config_dict, refusal
):
    maubot_plugin_config_dict["tell_waiting_after_s"] = 0
    await plugin.on_external_config_update()
    both_sent = asyncio.Event()

    async def busy(request):
        await both_sent.wait()
        return await refusal(503, "Not now.")(request)

    fake_generator.sins["capabilities"] = busy
    for _ in range(2):
        await drawing_room.say("!draw otter")
    both_sent.set()

    await homeserver.until(lambda: places(homeserver) == ["⏳ 2nd", "⏳ next"])
    assert len(await homeserver.answers()) == 1


async def test_a_picture_on_its_way_takes_nobodys_place(drawing_room, homeserver, serve, socket, plugin):
    homeserver.upload_sins += [web.Response(status=503) for _ in range(1000)]
    await drawing_room.say("!draw otter")
    async with asyncio.timeout(60):
        # Nobody is told of an outlook.
        while not any(outlook.is_drawn for outlook in plugin.runner._outlooks.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await serve.stop_unix(socket)
    await drawing_room.say("!draw owl", sender="@bob:example.com")
    await homeserver.until(lambda: places(homeserver))
    assert places(homeserver) == ["⏳ next"]
    homeserver.upload_sins.clear()
