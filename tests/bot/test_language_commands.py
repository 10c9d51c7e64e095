"""The command that a message contains."""

import pytest

from bot.easel.language import DrawCommand, EaselCommand, read_command


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("!draw otter", DrawCommand("otter")),
        ("!draw\nsubject: owl\nstyle: ink", DrawCommand("subject: owl\nstyle: ink")),
        ("!draw\u00a0otter", DrawCommand("otter")),
        ("!draw\r\nsubject: owl\r\nstyle: ink\r\n", DrawCommand("subject: owl\nstyle: ink")),
        ("!Draw Otter", DrawCommand("Otter")),
        # Phones turn two spaces into a full stop and one space.
        ("!draw. Otter", DrawCommand("Otter")),
        ("!Easel. Help", EaselCommand(("help",))),
        ("!draw: otter", DrawCommand("otter")),
        ("\u200b!draw\ufeff otter\u2060 \u200e--seed 7\u200b", DrawCommand("otter --seed 7")),
        ("!draw prompt\u202f: otter\u2028seed:\u00a07", DrawCommand("prompt : otter\nseed: 7")),
        ("!draw 🏳️\u200d🌈 flag, 👩\u200d🚀", DrawCommand("🏳️\u200d🌈 flag, 👩\u200d🚀")),
        ("  !draw otter ", DrawCommand("otter")),
        ("!draw", DrawCommand("")),
        ("!draw  \n", DrawCommand("")),
        ("!easel", EaselCommand(("help",))),
        ("!Easel Help Flags", EaselCommand(("help", "Flags"))),
        ("!easel  status\n", EaselCommand(("status",))),
        ("!drawing otter", None),
        ("!draw.otter", None),
        ("!draw... otter", None),
        ("!easels", None),
        ("! draw otter", DrawCommand("otter")),
        ("draw otter", None),
        ("please !draw otter", None),
        ("", None),
    ],
)
def test_the_command_of_a_message_is_read(body, command):
    assert read_command(body) == command
