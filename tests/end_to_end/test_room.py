"""Four people, a plain and an encrypted room: turns, gestures, who may do what, and a bot that was down."""

from dataclasses import replace

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"
# Holds the card until everything else of a test was said.
HOLDING = "!draw owl --steps 100 --seed 99"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def family(home, ada):
    """Ada and three more."""
    return (ada, *[await home.person(name) for name in ("bo", "cleo", "dan")])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rooms(home, family, start_talk):
    """All four in a plain room and in an encrypted one; a talk for each of them, by whether it is encrypted."""
    talks = {}
    for encrypted in (False, True):
        talk = await start_talk(home, family[0], encrypted=encrypted, guest=family[1])
        for person in family[2:]:
            await family[0].invite(talk.room_id, person.account.user_id)
            await person.join(talk.room_id)
        for person in family:
            for other in family:
                await person.wait_for_member(talk.room_id, other.account.user_id)
        talks[encrypted] = [replace(talk, person=person) for person in family]
    return talks


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def talks(request, rooms):
    return rooms[request.param]


async def hold(talk) -> str:
    """The card is busy from now on for some seconds."""
    command = await talk.say(HOLDING)
    await talk.home.generator.child.wait_until(lambda: is_drawing(talk.home.generator))
    return command


async def is_drawing(generator) -> bool:
    return (await generator.health())["running"] == 1


async def gone(talk, event_id: str) -> None:
    """The event was redacted, as this person's client sees it."""
    await talk.person.hear(lambda event: event.type == "m.room.redaction" and event.content.get("redacts") == event_id)


async def ended(talk, command: str, key: str) -> None:
    assert (await talk.reply(command, "ended")).content["m.relates_to"]["key"] == key


async def test_everyone_gets_their_turn_over_both_rooms(rooms):
    ada, bo, cleo, _ = rooms[False]
    held = await hold(ada)
    of_ada = [await ada.say(f"!draw otter --seed {n} {SMALL}") for n in (1, 2)]
    of_bo = await replace(bo, room_id=rooms[True][1].room_id, is_encrypted=True).say(f"!draw otter --seed 3 {SMALL}")
    of_cleo = await cleo.say(f"!draw otter --seed 4 {SMALL}")
    queue = await ada.answer("!easel queue")
    assert "someone in another room" in queue
    assert "--seed 3" not in queue
    assert "--seed 2" in queue
    for command in (held, *of_ada, of_cleo):
        await ada.drawn(command)
    secret = replace(ada, room_id=rooms[True][0].room_id, is_encrypted=True)
    await secret.drawn(of_bo)
    order = [
        event.reply_to
        for event in ada.person.heard
        if event.mark.get("kind") == "picture" and event.reply_to in (*of_ada, of_bo, of_cleo)
    ]
    assert order.index(of_ada[1]) == 3


async def test_gestures_cancel_ones_own_and_nobody_elses(talks):
    ada, bo, *_ = talks
    await hold(ada)
    deleted, crossed, said, kept = [await bo.say(f"!draw otter --seed {n} {SMALL}") for n in range(4)]
    await ada.reply(kept, "reaction")
    await ada.person.react(ada.room_id, kept, "👍")
    await talks[2].person.react(ada.room_id, kept, "❌")
    await bo.person.redact(bo.room_id, deleted)
    await bo.person.react(bo.room_id, crossed, "❌")
    await ended(ada, crossed, "🚫 cancelled")
    event = await bo.reply(
        await bo.say("!easel cancel", **{"m.relates_to": {"m.in_reply_to": {"event_id": said}}}), "answer"
    )
    assert event.body == f"Cancelled: otter --seed 2 {SMALL}"
    assert (await bo.drawn(kept)).record["seed"] == 3
    assert not bo.replies(deleted, "picture", "recipe", "answer")
    assert not bo.replies(crossed, "picture", "recipe")
    assert not bo.replies(said, "picture", "recipe")


async def test_what_is_being_drawn_is_cancelled_within_a_step(talks):
    ada = talks[0]
    command = await hold(ada)
    await ada.person.react(ada.room_id, command, "❌")
    await ended(ada, command, "🚫 cancelled")
    await ada.home.generator.child.wait_until(lambda: is_idle(ada.home.generator))
    assert not ada.replies(command, "picture")


async def is_idle(generator) -> bool:
    health = await generator.health()
    return health["running"] == health["queued"] == 0


async def test_an_admin_of_the_room_may_cancel_anybodys(talks):
    # Ada made the rooms.
    ada, bo, *_ = talks
    command = await hold(bo)
    await ada.person.react(ada.room_id, command, "❌")
    await ended(ada, command, "🚫 cancelled")


async def test_an_edit_replaces_what_waits(talks):
    ada, bo, *_ = talks
    held = await hold(ada)
    command = await bo.say(f"!draw otter {SMALL}")
    await bo.reply(command, "reaction")
    await bo.person.edit(bo.room_id, command, f"!draw fox {SMALL}")
    drawn = await bo.drawn(command)
    assert drawn.record["slots"]["subject"] == ["fox"]
    await bo.person.edit(bo.room_id, command, f"!draw owl {SMALL}")
    await bo.person.until(lambda: len(bo.replies(command, "recipe")) == 2)
    assert "owl" in bo.replies(command, "picture")[1].body
    assert f"seed {drawn.record['seed']} " in bo.replies(command, "picture")[1].body
    await ada.drawn(held)


async def test_a_picture_is_removed_with_its_recipe_and_its_files(talks):
    ada, bo, *_ = talks
    drawn = await bo.draw(f"!draw penguin {SMALL}")
    folder = ada.home.folder / "generator"
    files = [path for path in folder.rglob("*penguin*") if path.is_file() and drawn.picture.mark["job"] in path.name]
    assert len(files) >= 2
    await talks[2].person.react(bo.room_id, drawn.picture.event_id, "🗑️")
    await bo.person.react(bo.room_id, drawn.picture.event_id, "🗑️")
    await gone(ada, drawn.picture.event_id)
    await gone(ada, drawn.recipe.event_id)
    await ada.home.generator.child.wait_until(lambda: are_gone(files))


async def are_gone(files) -> bool:
    return not any(path.exists() for path in files)


async def test_who_leaves_the_room_leaves_the_queue(home, ada, family, start_talk):
    dan = family[3]
    talk = await start_talk(home, ada, encrypted=False, guest=dan)
    await hold(talk)
    command = await replace(talk, person=dan).say(f"!draw otter {SMALL}")
    await talk.reply(command, "reaction")
    await dan.leave(talk.room_id)
    await gone(talk, talk.replies(command, "reaction")[0].event_id)
    assert not talk.replies(command, "picture", "answer")


async def test_the_models_and_the_status_are_told(talks):
    assert "pocket (default)" in await talks[0].answer("!easel models")
    status = await talks[0].answer("!easel status")
    assert "GiB" in status and "drawn in the last 24 hours" in status


async def test_what_was_said_while_the_bot_was_down_is_caught_up(talks):
    ada, bo, *_ = talks
    home = ada.home
    before = await ada.draw(f"!draw otter {SMALL}")
    await home.maubot.child.kill()
    commands = [await ada.say(f"!draw otter --seed 1 {SMALL}"), await bo.say(f"!draw owl --seed 2 {SMALL}")]
    deleted = await ada.say(f"!draw fox {SMALL}")
    await ada.person.redact(ada.room_id, deleted)
    await ada.person.react(ada.room_id, before.picture.event_id, "🗑️")
    await home.maubot.start()
    drawn = [await ada.drawn(command) for command in commands]
    assert [one.record["seed"] for one in drawn] == [1, 2]
    await gone(ada, before.picture.event_id)
    assert not ada.replies(deleted, "picture")
    assert len(ada.replies(before.command, "picture")) == 1


async def test_the_settings_say_who_may_and_what_a_room_draws(home, ada, family, start_talk):
    bo = family[1]
    talk = await start_talk(home, ada, encrypted=True, guest=bo)
    profile = {"style": ["watercolor"], "no": ["scary"], "blocked_words": ["gun"]}
    try:
        await home.change_settings(rooms={talk.room_id: profile}, allowed_users=[ada.account.user_id])
        drawn = await talk.draw(f"!draw otter --negative hat {SMALL}")
        assert drawn.record["slots"]["style"] == ["watercolor"]
        assert drawn.record["negative_prompt"] == "scary, hat"
        assert await talk.answer("!draw otter, (GUN)++") == "This room does not draw “gun”."
        assert await replace(talk, person=bo).answer(f"!draw otter {SMALL}") == (
            "I may not draw for you. Whoever set me up can allow it."
        )
        # Nor does the bot follow somebody whom it may not serve.
        room_id = await bo.make_room("elsewhere", encrypted=False, invite=(home.bot.user_id,))
        await talk.draw(f"!draw otter {SMALL}")
        assert not bo.sees_member(room_id, home.bot.user_id)
    finally:
        await home.change_settings()
    assert (await replace(talk, person=bo).draw(f"!draw otter {SMALL}")).pixels
