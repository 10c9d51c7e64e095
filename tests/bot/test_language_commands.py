"""Which command a message is."""

import pytest

from bot.easel.language import DrawCommand, EaselCommand, read_command


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("!draw otter", DrawCommand("otter")),
        ("!draw\nsubject: owl\nstyle: ink", DrawCommand("subject: owl\nstyle: ink")),
        ("!draw\u00a0otter", DrawCommand("otter")),
        ("!Draw Otter", DrawCommand("Otter")),
        ("  !draw otter ", DrawCommand("otter")),
        ("!draw", DrawCommand("")),
        ("!draw  \n", DrawCommand("")),
        ("!easel", EaselCommand(("help",))),
        ("!Easel Help Flags", EaselCommand(("help", "Flags"))),
        ("!easel  status\n", EaselCommand(("status",))),
        ("!drawing otter", None),
        ("!easels", None),
        ("! draw otter", None),
        ("draw otter", None),
        ("please !draw otter", None),
        ("", None),
    ],
)
def test_read_command(body, command):
    assert read_command(body) == command
