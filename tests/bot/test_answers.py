"""The bot's answers to commands, and the messages that it ignores."""

import asyncio
import time

import pytest
from aiohttp import web

from bot.easel.commands.help import EASEL_COMMANDS
from bot.easel.language import FLAGS, HELP_TOPICS
from generator.api import types as api
from generator.models.cards import built_in_cards, model_card
from tests.helpers.fake_generator import capabilities

BOT = "@botname:example.com"
ENCRYPTED = "!secret:example.com"
PHONE_LINE_CHARS = 45
EDIT = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$x"}, "m.new_content": {"msgtype": "m.text"}}


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("!draw", "!draw otter, cowboy hat | style: watercolor"),
        ("!draw   ", "!easel help shows more"),
        ("!easel", "flags, draw, slots, weights, gestures, replies, photos, lists, style and find"),
        ("!easel help commands", "!easel every: a picture for this room every day at 7, say"),
        ("!easel help", "• !draw otter, cowboy hat | style: watercolor\n• !draw {otter | owl}, scarf\n• !draw "),
        ("!easel help draw", "Say what you want to see"),
        ("!easel help slots", "subject, outfit, environment, emotions, style"),
        ("!easel help weights", "(cowboy hat)++"),
        ("!easel help wieghts", "I have no help on “wieghts”. Did you mean !easel help weights?"),
        ("!easel help find", "Find this room's pictures by their words"),
        ("!easel help galery", "I have no help on “galery”. Did you mean !easel help gallery?"),
        ("!easel help pictures", "!easel gallery: all your pictures in the browser"),
        ("!easel help reactions", "On a picture:"),
        ("!easel help tiers", "--tier balanced: How much work may be skipped"),
        ("!easel help zzz", "I have no help on “zzz”. Try one of commands, flags, draw"),
        ("!easel staus", "I don't know “staus”. Did you mean !easel status?"),
        ("!easel version", "Easel 0.1.0"),
        ("!easel weights", "(cowboy hat)++"),
        ("!easel zzz", "I don't know “zzz”. !easel help shows what I know."),
        ("!draw otter --sede 7", "--seed"),
        ("> <@bob:example.com> hello\n\n!draw", "!draw otter"),
    ],
)
async def test_a_command_is_answered(room, homeserver, typed, part):
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": "$other"}}} if typed.startswith(">") else {}
    event_id = await room.say(typed, **reply)
    (answer,) = await homeserver.answers()
    assert part in answer.content["body"]
    assert answer.content["msgtype"] == "m.notice"
    assert answer.content["m.mentions"] == {}
    assert answer.content["m.relates_to"] == {"m.in_reply_to": {"event_id": event_id}}
    assert await homeserver.until(lambda: homeserver.read) == [event_id]


@pytest.mark.parametrize("command", EASEL_COMMANDS)
async def test_every_command_that_help_names_is_known(room, homeserver, command):
    await room.say(f"!easel {command}")
    assert "I don't know" not in await homeserver.answer()


@pytest.mark.parametrize("command", [command for command in EASEL_COMMANDS if command not in HELP_TOPICS])
async def test_help_on_a_command_says_what_it_does(room, homeserver, command):
    await room.say(f"!easel help {command}")
    assert await homeserver.answer() == f"!easel {command}: {EASEL_COMMANDS[command]}"


async def test_help_on_flags_lists_all_flags(room, homeserver):
    await room.say("!easel help flags")
    answer = await homeserver.answer()
    assert answer.splitlines() == [f"• {flag.usage}: {flag.help}" for flag in FLAGS]


@pytest.mark.parametrize(
    "content",
    [
        {"msgtype": "m.text", "body": "good morning"},
        {"msgtype": "m.text", "body": ""},
        {"msgtype": "m.text", "body": "!drawing is fun"},
        {"msgtype": "m.notice", "body": "!draw otter"},
        {"msgtype": "m.emote", "body": "!draw otter"},
        {"msgtype": "m.image", "body": "!draw.png", "url": "mxc://x/y"},
        {"msgtype": "m.image", "body": "!draw otter", "filename": "!draw otter", "url": "mxc://x/y"},
        {"msgtype": "m.file", "body": "!draw.yml", "url": "mxc://x/y"},
        {"msgtype": "m.location", "body": "!draw otter", "geo_uri": "geo:0,0"},
        {**EDIT, "msgtype": "m.text", "body": "* !draw otter", "m.new_content": {"msgtype": "m.text", "body": "!draw"}},
        {},
    ],
)
async def test_messages_that_are_no_commands_are_ignored(room, homeserver, content):
    await room.put(content)
    # The next command gets the first answer, so the message before got no answer.
    await room.say("!draw")
    (answer,) = await homeserver.answers()
    assert answer.content["m.relates_to"]["m.in_reply_to"]["event_id"] == "$said-2"
    assert len(homeserver.events) == 1


async def test_the_bots_own_messages_and_old_ones_are_ignored(room, homeserver, maubot_test_bot):
    await room.say("!draw", sender=maubot_test_bot.client.mxid)
    await room.sync(room.event({"msgtype": "m.text", "body": "!draw"}, age_s=7200), is_first=True)
    await room.say("!draw")
    (answer,) = await homeserver.answers()
    assert answer.content["m.relates_to"]["m.in_reply_to"]["event_id"] == "$said-3"


async def test_the_bot_greets_a_room_that_it_joins(room, homeserver, maubot_test_bot):
    me = maubot_test_bot.client.mxid
    join = {"type": "m.room.member", "content": {"membership": "join"}}
    await room.put(join["content"], type="m.room.member", state_key="@other:example.com")
    old = room.event(join["content"], type="m.room.member", state_key=me, age_s=7200)
    await room.sync(old, is_first=True)
    await room.put(
        {"membership": "join", "displayname": "Easel"},
        type="m.room.member",
        state_key=me,
        unsigned={"prev_content": {"membership": "join"}},
    )
    await room.put({"membership": "leave"}, type="m.room.member", state_key=me)
    await room.put(
        join["content"], type="m.room.member", state_key=me, unsigned={"prev_content": {"membership": "invite"}}
    )
    await homeserver.marked("hello")
    await room.say("!draw")
    answers = await homeserver.answers(2)
    assert answers[0].content["body"].startswith("Hello, I'm Easel")
    assert answers[0].kind == "hello"
    assert len(answers) == 2


async def test_the_bot_has_an_avatar_unless_it_was_given_one(room, homeserver, plugin):
    await room.say("!draw")
    await homeserver.answers()
    assert homeserver.avatar == "mxc://example.com/chosen"
    await plugin.internal_stop()
    homeserver.avatar = ""
    await plugin.internal_start()
    avatar = await homeserver.until(lambda: homeserver.avatar)
    assert homeserver.uploads[avatar].startswith(b"\x89PNG")


async def test_a_command_in_plain_text_is_ignored_in_an_encrypted_room(room, homeserver, caplog):
    homeserver.encrypted_rooms.add(ENCRYPTED)
    await room.say("!draw", room_id=ENCRYPTED)
    await homeserver.until(lambda: "not encrypted, in the encrypted room" in caplog.text)
    await room.say("!draw")
    await homeserver.answers()
    assert [event.room_id for event in homeserver.events] == ["!kitchen:example.com"]


async def test_a_command_is_not_lost_when_the_rooms_encryption_is_unknown(room, homeserver):
    homeserver.encryption_sins.append(web.Response(status=502, text="Bad gateway"))
    await room.say("!draw")
    await homeserver.answers()


async def test_a_room_that_refuses_the_bot_is_logged(room, homeserver, caplog):
    forbidden = {"errcode": "M_FORBIDDEN", "error": "You are not in the room"}
    homeserver.encryption_sins.append(web.json_response(forbidden, status=403))
    await room.say("!draw")
    homeserver.sins.append(web.json_response(forbidden, status=403))
    join = {"type": "m.room.member", "state_key": BOT, "unsigned": {"prev_content": {"membership": "invite"}}}
    await room.put({"membership": "join"}, **join)
    await homeserver.until(lambda: "Left out $said-1" in caplog.text)
    await homeserver.until(lambda: "No hello in !kitchen:example.com: the homeserver answered 403" in caplog.text)
    await room.say("!draw", room_id="!other:example.com")
    await homeserver.answers()


async def test_a_room_that_the_homeserver_does_not_answer_for_delays_no_other(room, homeserver, plugin):
    homeserver.in_silence.add("!silent:example.com")
    waiting = asyncio.create_task(room.say("!draw", room_id="!silent:example.com"))
    await asyncio.sleep(0)
    await room.say("!draw")
    (answer,) = await homeserver.answers()
    assert answer.room_id == "!kitchen:example.com"
    assert not waiting.done()
    await plugin.internal_stop()
    await waiting


async def test_nothing_is_sent_in_plain_text_to_an_encrypted_room(room, homeserver, plugin, caplog):
    homeserver.encrypted_rooms.add(ENCRYPTED)
    # The bot accepts this command because it came encrypted, but this client cannot encrypt.
    encrypted = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
    event_id = await room.put(encrypted, type="m.room.encrypted", room_id=ENCRYPTED)
    await room.say("!draw", room_id=ENCRYPTED, event_id=event_id)
    await homeserver.until(lambda: "this client has no encryption" in caplog.text)
    await room.say("!draw")
    await homeserver.answers()
    assert [event.room_id for event in homeserver.events] == ["!kitchen:example.com"]


async def test_status_shows_the_generator_and_its_models(drawing_room, homeserver):
    await drawing_room.say("!easel status")
    assert await homeserver.answer() == (
        "The drawing computer is ready, 2 steps a second.\n"
        "1 being drawn · 2 waiting · 0 drawn in 24 hours\n"
        "Easel 0.1.0 · generator 0.1.0"
    )


class TestAdmins:
    @pytest.fixture
    def maubot_plugin_config_overrides(self):
        return {"admins": ["@ada:example.com"]}

    async def test_an_admin_sees_the_machine_and_what_is_missing_there(self, drawing_room, homeserver):
        await drawing_room.say("!easel status")
        assert await homeserver.answer() == (
            "The drawing computer is ready, 2 steps a second.\n"
            "1 being drawn · 2 waiting · 0 drawn in 24 hours\n"
            "On a card.\nLoaded: ssd-1b.\nMemory: 3.0 GiB of 8.0 GiB.\nNot fetched: other.\n"
            "Easel 0.1.0 · generator 0.1.0"
        )
        await drawing_room.say("!easel models")
        assert (await homeserver.answers(2))[1].content["body"].endswith(" · free\nNot fetched: other.")

    async def test_an_admin_sees_each_of_several_cards(self, drawing_room, homeserver, fake_generator):
        memory = api.Memory(used_bytes=3 * 2**30, total_bytes=8 * 2**30)
        fake_generator.workers = (
            api.WorkerHealth(
                name="cuda:0", state="ready", device="a card", models=("ssd-1b",), memory=memory, jobs=("job-1",)
            ),
            api.WorkerHealth(name="cuda:1", state="resting", device=None, models=(), trouble="It died."),
        )
        await drawing_room.say("!easel status")
        assert (await homeserver.answer()).splitlines()[2:4] == [
            "• cuda:0 · a card · drawing · ssd-1b · 3.0 GiB of 8.0 GiB",
            "• cuda:1 · in trouble, tried again soon · It died.",
        ]


async def test_models_are_those_that_can_draw_now(drawing_room, homeserver):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await drawing_room.say("!easel models")
    lines = (await homeserver.answer()).splitlines()
    sizes = "30 steps · square 768×768, portrait 640×896, landscape 896×640"
    assert lines == [f"• ssd-1b · the default · {sizes}", f"• pocket · {sizes}"]


async def test_each_model_takes_a_few_lines_of_a_phone(drawing_room, homeserver, fake_generator):
    cards = (model_card(name, card, available=True) for name, card in built_in_cards().items())
    fake_generator.capabilities = capabilities("0.1.0", *cards)
    await drawing_room.say("!easel status")
    await homeserver.answers()
    await drawing_room.say("!easel models")
    lines = (await homeserver.answers(2))[1].content["body"].splitlines()
    assert len(lines) == len(built_in_cards()) and all(len(line) <= 4 * PHONE_LINE_CHARS for line in lines)
    assert any("our own small model, for cartoons of animals in clothes ·" in line for line in lines)


async def test_status_says_why_the_generator_gives_none(drawing_room, homeserver, serve, socket):
    await drawing_room.say("!easel status")
    await homeserver.answers()
    await serve.stop_unix(socket)
    await drawing_room.say("!easel status")
    answer = (await homeserver.answers(2))[1].content["body"]
    assert answer == ("Drawing isn't running on the drawing computer.\n0 drawn in 24 hours.\nEasel 0.1.0")


async def test_status_works_before_the_first_generator(room, homeserver):
    await room.say("!easel status")
    assert (await homeserver.answer()).endswith("Easel 0.1.0")


async def test_capabilities_stored_by_another_version_are_no_error(room, homeserver, plugin):
    await plugin.database.execute("INSERT INTO capabilities (id, answer) VALUES (1, '{\"models\": 5}')")
    await room.say("!easel status")
    assert (await homeserver.answer()).endswith("Easel 0.1.0")


async def test_an_unexpected_error_is_answered_and_logged(drawing_room, homeserver, plugin, caplog):
    # The code does not expect its own table to be missing.
    await plugin.database.execute("DROP TABLE capabilities")
    await drawing_room.say("!draw otter")
    answer = await homeserver.answer()
    assert answer.startswith("Something went wrong on my side")
    assert "Traceback" in caplog.text
    assert (await homeserver.marked("ended")).content["m.relates_to"]["key"] == "❌"


async def test_a_picture_too_large_for_the_homeserver_is_reported(drawing_room, homeserver, caplog):
    homeserver.proxy_takes_bytes = 0
    await drawing_room.say("!draw otter")
    assert await homeserver.answer() == "I couldn't bring the picture here. My log says why."
    assert "not delivered: the file is larger than the homeserver takes" in caplog.text


@pytest.mark.parametrize("path", ["submit", "capabilities", None])
async def test_the_log_contains_no_prompt(drawing_room, homeserver, fake_generator, refusal, caplog, path):
    caplog.set_level("INFO")
    if path:
        fake_generator.sins[path] = refusal(422, "“xylophone” is no word for a picture.")
    await drawing_room.say("!draw xylophone, top hat")
    await (homeserver.marked("ended") if path else homeserver.files())
    await drawing_room.say("!draw xylophone --sede 7")
    await homeserver.answers(2 if path else 1)
    assert "accepted from @ada:example.com in !kitchen:example.com" in caplog.text
    assert "refused from @ada:example.com in !kitchen:example.com" in caplog.text
    for step in () if path else ("started for", "delivered to"):
        assert caplog.text.count(f"{step} @ada:example.com in !kitchen:example.com after") == 1
    assert "xylophone" not in caplog.text


async def test_help_comes_within_a_second(room, homeserver):
    began = time.monotonic()
    await room.say("!draw")
    await homeserver.answers()
    assert time.monotonic() - began < 1
