"""Permissions, limits and room profiles from the settings."""

import re

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_a_room_profile_sets_style_defaults_and_what_is_refused(rooms, change_settings):
    ada, openly = rooms[True][0], rooms[False][0]
    profile = {
        "defaults": {"steps": 3},
        "style": ["watercolor"],
        "no": ["scary"],
        "models": ["pocket"],
        "blocked_words": ["gun"],
    }
    await change_settings(rooms={ada.room_id: profile, openly.room_id: {"max_megapixels": 0.001}})
    drawn = await ada.draw("!draw otter --negative hat")
    assert drawn.record["steps"] == 3
    assert drawn.record["slots"]["style"] == ["watercolor"]
    assert drawn.record["negative_prompt"] == "scary, hat"
    assert await ada.answer("!draw\nprompt: otter, (GUN)++\nseed: 7") == "This room doesn't draw “gun”."
    refusal = "This room doesn't draw with “ssd-1b”. It has pocket."
    assert await ada.answer("!draw otter --model ssd-1b") == refusal
    assert await openly.answer("!draw otter") == (
        "64×64 is too large for this room, which draws up to 0.001 megapixels. Ask for a smaller --size."
    )


async def test_only_allowed_users_and_rooms_are_served_and_other_invitations_are_ignored(home, rooms, change_settings):
    ada, bo, *_ = rooms[True]
    openly_ada, *_ = rooms[False]
    bot = home.bot.user_id

    await change_settings(allowed_users=[ada.person.account.user_id])
    assert await bo.answer(f"!draw otter {SMALL}") == "You're not on my list yet. Ask whoever runs me."
    of_bo = await bo.person.make_room("elsewhere", encrypted=False, invite=(bot,))
    await ada.answer("!easel queue")

    await change_settings(allowed_rooms=[ada.room_id])
    refusal = "This room isn't on my list yet. Ask whoever runs me."
    assert await openly_ada.answer(f"!draw otter {SMALL}") == refusal
    of_ada = await ada.person.make_room("elsewhere", encrypted=False, invite=(bot,))
    await ada.answer("!easel queue")

    assert not bo.person.sees_member(of_bo, bot)
    assert not ada.person.sees_member(of_ada, bot)


async def test_limits_are_named_and_do_not_apply_to_admins(rooms, change_settings):
    ada, bo, cleo, dan = rooms[True]
    await change_settings(admins=[ada.person.account.user_id], max_open_jobs=1, max_megapixel_steps=0.1)
    # The admin has two open jobs, one of them above the limit of 0.1 megapixel steps.
    async with ada.holding():
        of_admin = await ada.say(f"!draw otter {SMALL}")
        waiting = await cleo.say(f"!draw otter {SMALL}")
        assert await cleo.answer(f"!draw fox {SMALL}") == (
            "You have 1 waiting already, and that's the limit. Ask again when one is here."
        )
        assert await dan.answer("!draw otter --steps 100") == (
            "64×64 takes up to 24 --steps here, not 100. Or ask for a smaller --size."
        )
        await cleo.person.redact(cleo.room_id, waiting)
    await ada.drawn(of_admin)
    await change_settings(max_pictures_a_day=1)
    answer = await bo.answer(f"!draw otter -n 2 {SMALL}")
    assert re.fullmatch(r"The limit is 1 a day, and you have none left\.", answer)


async def test_an_admin_cancels_and_removes_other_peoples_jobs(rooms, change_settings):
    _, bo, cleo, _ = rooms[False]
    await change_settings(admins=[cleo.person.account.user_id])
    drawn = await bo.draw(f"!draw frog {SMALL}")
    async with bo.holding() as command:
        await cleo.person.react(bo.room_id, command, "❌")
        assert await bo.end_of(command) == "🚫 cancelled"
    await cleo.person.react(bo.room_id, drawn.picture.event_id, "🗑️")
    await bo.gone(drawn.picture.event_id)
    await bo.gone(drawn.recipe.event_id)
