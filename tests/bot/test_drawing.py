"""`!draw`, from the typed command to the events in the room, over HTTP on both sides."""

import asyncio

import pytest

from bot.easel.jobs import delivery
from bot.easel.jobs.job import job_id
from bot.easel.sending.captions import MAX_NOTES
from bot.easel.sending.room_notes import OVER
from generator.api import types as api
from tests.helpers.fake_generator import capabilities, card


async def test_a_picture_and_its_recipe_arrive(drawing_room, homeserver, fake_generator):
    event_id = await drawing_room.say("!draw otter, cowboy hat --seed 7")
    recipe = (await homeserver.files())[0]
    picture = await homeserver.marked("picture")

    (job,) = fake_generator.jobs
    content = picture.content
    assert content["msgtype"] == "m.image"
    assert content["filename"] == "otter-cowboy-hat-7.png"
    assert content["body"] == "otter, cowboy hat\nseed 7 · ssd-1b · 30 steps · guidance 12 · 768×768 · 4.2\u00a0s"
    assert homeserver.uploads[content["url"]] == b"PNG"
    assert content["info"]["w"] == content["info"]["h"] == 768
    assert content["info"]["size"] == 3
    assert content["info"]["mimetype"] == "image/png"
    assert homeserver.uploads[content["info"]["thumbnail_url"]] == b"thumb"
    assert content["info"]["thumbnail_info"] == {"w": 96, "h": 96, "size": 5, "mimetype": "image/webp"}
    assert content["info"]["xyz.amorgan.blurhash"]
    assert content["info"]["org.matrix.msc4230.is_animated"] is False
    assert content["m.mentions"] == {}
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": event_id}}
    assert content["household.easel"] == {"job": job, "kind": "picture", "n": 0, "count": 1, "to": event_id}

    assert recipe.content["body"] == "otter-cowboy-hat-7.yml"
    assert recipe.content["info"] == {"mimetype": "application/yaml", "size": 14}
    assert homeserver.uploads[recipe.content["url"]] == b"prompt: otter\n"
    assert "m.relates_to" not in recipe.content, "a quote of its own"
    assert homeserver.events.index(recipe) < homeserver.events.index(picture)


async def test_the_caption_names_a_tier_that_is_not_exact(drawing_room, homeserver):
    await drawing_room.say("!draw otter --seed 7 --steps 8 --cfg 1 --draft")
    picture = await homeserver.marked("picture")
    facts = "seed 7 · ssd-1b · 8 steps · guidance 1 · draft · 768×768 · 4.2\u00a0s"
    assert picture.content["body"] == f"otter\n{facts}"


async def test_a_command_is_acknowledged(drawing_room, homeserver):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.files()
    reaction = await homeserver.marked("reaction")
    assert reaction.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": event_id, "key": "🎨"}
    assert await homeserver.until(lambda: homeserver.read) == [event_id]
    await homeserver.until(lambda: not homeserver.typing[-1])
    assert homeserver.typing == [True, False] * (len(homeserver.typing) // 2)


async def test_the_requester_is_the_person_and_the_seed_is_always_shown(drawing_room, homeserver, fake_generator):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    (request,) = fake_generator.jobs.values()
    assert request.requester == "@ada:example.com"
    assert request.recipes[0].seed is not None


async def test_three_pictures_come_on_one_sheet_with_one_file(drawing_room, homeserver, fake_generator):
    await drawing_room.say("!draw otter -n 3 --seed 5")
    (file,) = await homeserver.files()
    assert file.content["body"] == "otter-sheet.yml"
    sheet = await homeserver.marked("sheet")
    assert sheet.content["filename"] == "otter-sheet.jpg"
    assert (sheet.content["info"]["w"], sheet.content["info"]["h"]) == (1232, 1016)
    lines = sheet.content["body"].splitlines()
    assert lines[0] == "3 pictures: seed 5, seed 6, seed 7"
    assert lines[2] == "ssd-1b · 13\u00a0s"
    assert lines[3] == "React with 1️⃣ to 3️⃣ to have one in full size."
    assert (await homeserver.marked("reaction")).content["m.relates_to"]["key"] == "🎨 ×3"
    assert not [event for event in homeserver.events if event.kind in ("picture", "recipe")]


@pytest.mark.parametrize("maubot_plugin_config_overrides", [{"max_pictures_a_day": 3, "offer_reactions": "never"}])
async def test_what_a_failed_picture_cost_is_given_back(drawing_room, homeserver, fake_generator):
    async def fails(request):
        failed = fake_generator.status(
            request.match_info["job"], "failed", error=api.Error(code="no", message="Too hot.")
        )
        return await fake_generator.stream(request, [api.EndEvent(event="failed", job=failed)])

    fake_generator.sins["events"] = fails
    await drawing_room.say("!draw otter -n 3")
    await homeserver.answers(1)
    del fake_generator.sins["events"]
    await drawing_room.say("!draw otter -n 3")
    await homeserver.marked("sheet")
    await drawing_room.say("!draw otter")
    assert [event.content["body"] for event in await homeserver.answers(2)] == [
        "Too hot.",
        "The limit is 3 a day, and you have none left.",
    ]


async def test_a_failed_sheet_still_delivers_the_pictures_that_were_drawn(drawing_room, homeserver, fake_generator):
    async def fails(request):
        job = request.match_info["job"]
        failed = fake_generator.status(
            job, "failed", pictures=(fake_generator.picture(job, 0),), error=api.Error(code="no", message="Too hot.")
        )
        return await fake_generator.stream(request, [api.EndEvent(event="failed", job=failed)])

    fake_generator.sins["events"] = fails
    await drawing_room.say("!draw {otter | owl} --seed 5")
    (file,) = await homeserver.files()
    assert file.content["body"] == "otter-5.yml"
    assert await homeserver.answer() == "Too hot."


@pytest.mark.parametrize("command", ["!draw otter", "!draw {otter | owl}"])
async def test_a_caption_has_a_few_notes_of_many(drawing_room, homeserver, fake_generator, command):
    fake_generator.notes = tuple(f"Note {n}." for n in range(1300))
    await drawing_room.say(command)
    await homeserver.files()
    (picture,) = [event for event in homeserver.events if event.kind in ("picture", "sheet")]
    lines = picture.content["body"].splitlines()
    assert [line for line in lines if line.startswith("Note ")] == [f"Note {n}." for n in range(MAX_NOTES)]
    assert lines[-1] == f"… and {1300 - MAX_NOTES:,} more notes."


async def test_reactions_draw_from_their_picture(drawing_room, homeserver, fake_generator):
    await drawing_room.say("!draw {otter | owl} --seed 5")
    sheet = await homeserver.marked("sheet")
    # Then the sheet is noted as well.
    await homeserver.marked("recipe-file")

    async def react(event: str, key: str, **more: object) -> str:
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await drawing_room.put({"m.relates_to": relation}, type="m.reaction", **more)

    for key in ("3️⃣", "0️⃣", "12", "👍"):
        await react(f"$sent-{sheet.txn_id}", key)
    relation = {"rel_type": "m.annotation", "event_id": f"$sent-{sheet.txn_id}", "key": "2️⃣"}
    old = drawing_room.event({"m.relates_to": relation}, type="m.reaction", age_s=3600)
    await drawing_room.sync(old, is_first=True)
    await react(f"$sent-{sheet.txn_id}", "⬆️")
    picked = await react(f"$sent-{sheet.txn_id}", "2️⃣")
    await homeserver.files(2)
    picture = await homeserver.marked("picture")
    await homeserver.until(lambda: len([event for event in homeserver.events if event.kind == "recipe-file"]) == 2)
    assert picture.content["m.relates_to"]["m.in_reply_to"]["event_id"] == f"$sent-{sheet.txn_id}"
    assert picture.content["household.easel"]["job"] == job_id(picked)

    copied = await react(f"$sent-{picture.txn_id}", "📋")
    await homeserver.until(lambda: [event for event in homeserver.events if event.content.get("body") == "!draw otter"])
    (copy,) = [event for event in homeserver.events if event.content.get("body") == "!draw otter"]
    assert copy.content["household.easel"]["job"] == job_id(copied)

    await react(f"$sent-{picture.txn_id}", "🎲", sender="@bob:example.com")
    await homeserver.files(3)
    job = list(fake_generator.jobs.values())[-1]
    assert (len(fake_generator.jobs), job.requester) == (3, "@bob:example.com")


async def test_a_sheet_is_drawn_again_from_the_same_recipe_and_with_the_same_words(
    drawing_room, homeserver, fake_generator
):
    await drawing_room.say("!draw otter --seed 1")
    await homeserver.files()
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": f"$sent-{(await homeserver.marked('picture')).txn_id}"}}}
    await drawing_room.say("!easel style add mine = blue")
    await homeserver.answers(1)
    await drawing_room.say("!draw style: {@mine | red}", **reply)
    sheet = await homeserver.marked("sheet")
    await drawing_room.say("!easel style add mine = green")
    await homeserver.answers(2)

    relation = {"rel_type": "m.annotation", "event_id": f"$sent-{sheet.txn_id}", "key": "🎲"}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction")
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    before, again = list(fake_generator.jobs.values())[1:]
    assert [recipe.slots for recipe in again.recipes] == [recipe.slots for recipe in before.recipes]
    assert [recipe.slots.style for recipe in again.recipes] == [("blue",), ("red",)]
    assert {recipe.slots.subject for recipe in again.recipes} == {("otter",)}, "of the recipe replied to"
    (first,), (other,) = ({recipe.seed for recipe in job.recipes} for job in (before, again))
    assert first != other


async def test_an_answer_stays_in_its_thread(drawing_room, homeserver):
    in_thread = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True}
    event_id = await drawing_room.say(
        "!draw otter", **{"m.relates_to": {**in_thread, "m.in_reply_to": {"event_id": "$last"}}}
    )
    recipe = (await homeserver.files())[0]
    picture = await homeserver.marked("picture")
    thread = {"rel_type": "m.thread", "event_id": "$root"}
    answer = {**thread, "is_falling_back": False, "m.in_reply_to": {"event_id": event_id}}
    assert picture.content["m.relates_to"] == answer
    quiet = {**thread, "is_falling_back": True, "m.in_reply_to": {"event_id": "$root"}}
    assert recipe.content["m.relates_to"] == quiet, "a quote in clients without threads only"


async def test_an_enlarged_picture_names_both_sizes(drawing_room, homeserver, fake_generator):
    fake_generator.capabilities = capabilities("0.1.0", card(enlarge=2))
    await drawing_room.say("!draw otter --size 256x384")
    picture = await homeserver.marked("picture")
    assert (picture.content["info"]["w"], picture.content["info"]["h"]) == (512, 768)
    assert " · 256×384 enlarged to 512×768 · " in picture.content["body"]


async def test_what_was_not_used_is_one_line_of_the_caption(drawing_room, homeserver, fake_generator):
    await drawing_room.say("!draw otter <lora:a:1>\nSteps: 20, Clip skip: 2, Model: dreamy, Size: 64x64 --v 6")
    lines = (await homeserver.marked("picture")).content["body"].splitlines()
    assert [line for line in lines if line.startswith("Not used")] == [
        "Not used: <lora:a:1>, Clip skip 2, --v 6, Model dreamy."
    ]
    assert "ssd-1b can't draw 64×64. This is 256×256, the nearest." in lines


async def test_the_generators_notes_are_in_the_caption(drawing_room, homeserver, fake_generator):
    fake_generator.notes = ("The last 20 words were left out.",)
    await drawing_room.say("!draw otter")
    picture = await homeserver.marked("picture")
    assert picture.content["body"].endswith("\nThe last 20 words were left out.")


async def test_the_reason_for_a_wait_is_given_once(drawing_room, homeserver, fake_generator, noted, monkeypatch):
    monkeypatch.setattr(delivery, "REASON_AFTER_S", 0)
    fake_generator.waiting_for = "The card is needed for a game."
    go_on = fake_generator.wait_after(2)
    await drawing_room.say("!draw otter")
    await homeserver.answers()
    await noted()
    go_on.set()
    await homeserver.files()
    assert [event.content["body"] for event in await homeserver.answers()] == ["The card is needed for a game."]
    end = await homeserver.marked("note-end")
    assert end.content["m.new_content"]["body"] == OVER


async def test_a_photo_that_has_gone_before_its_turn_is_reported(drawing_room, homeserver, fake_generator):
    await drawing_room.put({"msgtype": "m.image", "body": "!draw otter", "filename": "IMG_1.jpg", "url": "mxc://x/y"})
    assert await homeserver.answer() == "That photo isn't in this room any more."
    assert not fake_generator.jobs


async def test_several_people_are_served_at_once(drawing_room, homeserver, fake_generator):
    for person in ("@ada:example.com", "@bob:example.com", "@cleo:example.com"):
        await drawing_room.say("!draw otter", sender=person)
    await homeserver.files(3)
    assert {job.requester for job in fake_generator.jobs.values()} == {
        "@ada:example.com",
        "@bob:example.com",
        "@cleo:example.com",
    }


async def test_the_same_event_twice_is_served_once(drawing_room, homeserver, fake_generator):
    await asyncio.gather(*(drawing_room.say("!draw otter", event_id="$one") for _ in range(2)))
    await homeserver.files()
    assert fake_generator.asked.count("submit") == 1


async def test_one_persons_commands_are_submitted_in_order(drawing_room, homeserver, fake_generator):
    for n in range(8):
        await drawing_room.say(f"!draw otter --seed {n}")
    await homeserver.until(lambda: len(fake_generator.jobs) == 8)
    assert [job.recipes[0].seed for job in fake_generator.jobs.values()] == list(range(8))


@pytest.mark.parametrize("number", [0, 10])
async def test_a_number_out_of_range_is_refused(drawing_room, homeserver, fake_generator, number):
    await drawing_room.say(f"!draw otter -n {number}")
    assert await homeserver.answer() == "-n goes from 1 to 9."
    assert not fake_generator.jobs
