"""Progress reactions and messages, and how they end."""

import pytest

from bot.easel.sending import progress
from bot.easel.sending.progress import progress_text


@pytest.mark.parametrize(
    ("done", "expected"),
    # Clients show a count after a reaction, so its text must not end in a digit.
    [(0.4, "🎨 40%"), (0.0, "🎨 0%"), (0.999, "🎨 100%")],
)
def test_progress_is_short(done, expected):
    assert progress_text(done) == expected


@pytest.fixture
def at_once(monkeypatch):
    """Show every step."""
    monkeypatch.setattr(progress, "AGAIN_AFTER_S", 0)


def of_kind(homeserver, *kinds: str):
    return [event for event in homeserver.events if event.kind in kinds]


def redacted(homeserver) -> set[str]:
    return {event.content["redacts"] for event in homeserver.events if event.type == "m.room.redaction"}


async def test_a_reaction_moves_and_is_removed_once_the_picture_is_sent(drawing_room, homeserver, at_once):
    event_id = await drawing_room.say("!draw otter")
    reactions = await homeserver.until(
        lambda: len(found := of_kind(homeserver, "reaction")) == len(redacted(homeserver)) >= 1 and found
    )
    assert {event.content["m.relates_to"]["event_id"] for event in reactions} == {event_id}
    assert {f"$sent-{event.txn_id}" for event in reactions} == redacted(homeserver)
    assert not of_kind(homeserver, "ended")


@pytest.mark.parametrize(("how", "kinds"), [("off", set()), ("message", {"progress", "progress-end"})])
async def test_progress_as_a_message_or_off(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, at_once, how, kinds
):
    maubot_plugin_config_dict["progress"] = how
    await plugin.on_external_config_update()
    await drawing_room.say("!draw otter")
    await homeserver.files()
    if kinds:
        end = await homeserver.marked("progress-end")
        (first,) = of_kind(homeserver, "progress")
        assert first.content["body"] == "🎨 3%"
        assert end.content["m.new_content"]["body"] == "Drawn."
        assert end.content["m.relates_to"] == {"rel_type": "m.replace", "event_id": f"$sent-{first.txn_id}"}
    shown = {event.kind for event in homeserver.events} - {"picture", "recipe", "recipe-file"}
    assert shown == kinds


async def test_progress_leaves_room_for_the_jobs_own_events(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict, at_once
):
    maubot_plugin_config_dict["rate_limit_burst"] = 2
    maubot_plugin_config_dict["rate_limit_per_second"] = 100
    await plugin.on_external_config_update()
    await drawing_room.say("!draw otter")
    await homeserver.files()
    assert not [event for event in of_kind(homeserver, "reaction") if "%" in event.content["m.relates_to"]["key"]]


async def test_a_failure_ends_in_a_cross_even_after_a_restart(
    drawing_room, homeserver, fake_generator, plugin, refusal
):
    fake_generator.sins["submit"] = refusal(503, "Not now.")
    event_id = await drawing_room.say("!draw otter")
    working = await homeserver.marked("reaction")
    await plugin.internal_stop()
    fake_generator.sins["submit"] = refusal(422, "No.")
    await plugin.internal_start()
    ended = await homeserver.marked("ended")
    assert ended.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": event_id, "key": "❌"}
    assert f"$sent-{working.txn_id}" in redacted(homeserver)
    assert await homeserver.answer() == "No."
