"""What a person sends in one room touches nothing of another, whatever it names there."""

from bot.easel.commands.find import NOTHING_FOUND
from bot.easel.jobs.job import job_id
from bot.easel.room import replies

KITCHEN, CELLAR, SECRET = "!kitchen:example.com", "!cellar:example.com", "!secret:example.com"
REPLY = {"m.relates_to": {"m.in_reply_to": {"event_id": "$said-1"}}}


async def edit(room, edited: str, body: str, **more) -> str:
    new = {"msgtype": "m.text", "body": body}
    relation = {"rel_type": "m.replace", "event_id": edited}
    return await room.put({**new, "m.new_content": new, "m.relates_to": relation}, **more)


async def react(room, target: str, key: str, **more) -> str:
    relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
    return await room.put({"m.relates_to": relation}, type="m.reaction", **more)


async def say_encrypted(room, *, say, **more) -> str:
    """Dispatch an encrypted message as maubot does: the encrypted event first, then the decrypted one."""
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
    event_id = await room.put(content, type="m.room.encrypted", room_id=SECRET)
    return await say(room_id=SECRET, event_id=event_id, **more)


async def picture(homeserver) -> str:
    # Then the picture is noted as well.
    await homeserver.marked("recipe-file")
    return f"$sent-{(await homeserver.marked('picture')).txn_id}"


async def test_a_banned_persons_edit_from_another_room_draws_nothing(drawing_room, homeserver, fake_generator, plugin):
    command = await drawing_room.say("!draw otter")
    await picture(homeserver)
    await drawing_room.put({"membership": "ban"}, type="m.room.member", state_key="@ada:example.com")
    await edit(drawing_room, command, "!draw owl", room_id=CELLAR)
    await drawing_room.say("!draw lynx", room_id=CELLAR)
    await homeserver.files(2)
    assert len(fake_generator.jobs) == 2
    assert [event.room_id for event in homeserver.events if event.kind == "picture"] == [KITCHEN, CELLAR]


async def test_an_edit_from_another_room_ends_no_waiting_job(drawing_room, homeserver, fake_generator, drawn):
    command = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    await edit(drawing_room, command, "never mind", room_id=CELLAR)
    assert not fake_generator.cancelled
    drawn.set()
    await picture(homeserver)


async def test_an_encrypted_command_is_edited_by_an_encrypted_edit_alone(drawing_room, homeserver, fake_generator):
    homeserver.encrypted_rooms.add(SECRET)
    command = await say_encrypted(drawing_room, say=lambda **more: drawing_room.say("!draw otter", **more))
    await homeserver.until(lambda: fake_generator.jobs)
    for room_id in (KITCHEN, SECRET):
        await edit(drawing_room, command, "!draw owl", room_id=room_id)
    await drawing_room.say("!draw lynx")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    corrected = await say_encrypted(drawing_room, say=lambda **more: edit(drawing_room, command, "!draw owl", **more))
    await homeserver.until(lambda: job_id(corrected) in fake_generator.jobs)
    assert len(fake_generator.jobs) == 3


async def test_an_encrypted_event_of_another_room_makes_no_plain_one_trusted(drawing_room, homeserver, fake_generator):
    """In rooms of the first versions, a homeserver chooses the ids of events."""
    homeserver.encrypted_rooms.add(SECRET)
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
    await drawing_room.put(content, type="m.room.encrypted", room_id=CELLAR, event_id="$same")
    await drawing_room.say("!draw otter", room_id=SECRET, event_id="$same")
    await drawing_room.say("!draw lynx")
    await picture(homeserver)
    assert len(fake_generator.jobs) == 1


async def test_a_redaction_in_another_room_takes_no_star_and_no_picture(drawing_room, homeserver, plugin):
    await drawing_room.say("!draw otter")
    event_id = await picture(homeserver)
    star = await react(drawing_room, event_id, "⭐")
    for redacts in (star, event_id):
        await drawing_room.put({}, type="m.room.redaction", redacts=redacts, room_id=CELLAR)
    await drawing_room.say("!easel find ⭐")
    assert "⭐ otter" in await homeserver.answer()
    await drawing_room.put({}, type="m.room.redaction", redacts=star)
    await drawing_room.say("!easel find ⭐")
    assert (await homeserver.answers(2))[1].content["body"] == NOTHING_FOUND


async def test_a_redaction_in_another_room_ends_no_job(drawing_room, homeserver, fake_generator, drawn):
    command = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    await drawing_room.put({}, type="m.room.redaction", redacts=command, room_id=CELLAR)
    await react(drawing_room, command, "❌", room_id=CELLAR)
    await drawing_room.say("!easel cancel", room_id=CELLAR, **REPLY)
    assert await homeserver.answer() == "Nothing of yours is waiting here."
    assert not fake_generator.cancelled
    drawn.set()
    await picture(homeserver)


async def test_another_rooms_event_is_not_read_though_the_homeserver_gives_it(drawing_room, homeserver, fake_generator):
    homeserver.uploads["mxc://example.com/recipe"] = b"prompt: otter\nseed: 3"
    content = {"msgtype": "m.file", "body": "mine.yml", "url": "mxc://example.com/recipe"}
    event = {"type": "m.room.message", "sender": "@bob:example.com", "event_id": "$said-1", "origin_server_ts": 1}
    homeserver.history[CELLAR] = [{**event, "content": content, "room_id": KITCHEN}]
    await drawing_room.say("!draw +hat", room_id=CELLAR, event_id="$reply", **REPLY)
    assert await homeserver.answer() == replies.UNSEEN
    assert not fake_generator.jobs
