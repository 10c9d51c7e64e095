"""The command that a message contains."""

import time

import pytest

from bot.easel.language import DrawCommand, EaselCommand, NearMiss, read_command


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
        ("\u061c\u200b!draw\ufeff otter\u2060 \u200e--seed 7\u200b", DrawCommand("otter --seed 7")),
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
        ("!!draw otter", DrawCommand("otter")),
        ("!draw me an otter", DrawCommand("an otter")),
        ("!draw me as a knight", DrawCommand("me as a knight")),
        ("!drow otter", NearMiss("!draw otter")),
        ("!drew otter", None),
        ("！draw otter", DrawCommand("otter")),
        ("\\!draw otter", DrawCommand("otter")),
        ("!draw:otter", DrawCommand("otter")),
        ("!draw?", DrawCommand("")),
        ("**!draw otter**", DrawCommand("otter")),
        ("`!draw otter`", DrawCommand("otter")),
        ("```\n!draw otter\n```", DrawCommand("otter")),
        ("_!draw otter_", DrawCommand("otter")),
        ("**!draw** otter", DrawCommand("otter")),
        ("`!draw` otter --seed 7", DrawCommand("otter --seed 7")),
        ("!draw(otter)++", DrawCommand("(otter)++")),
        ("!draw --seed 7 otter", DrawCommand("--seed 7 otter")),
        ("!draw !draw otter", DrawCommand("otter")),
        ("Easel: !draw otter", DrawCommand("otter")),
        ("@easel, !draw otter", DrawCommand("otter")),
        ("@easel:example.org: !draw otter", DrawCommand("otter")),
        ("!easel draw otter", DrawCommand("otter")),
        ("!easel !draw otter", DrawCommand("otter")),
        ("!easel draw", EaselCommand(("draw",))),
        ("!easel --help", EaselCommand(("help",))),
        ("[Easel](https://matrix.to/#/@easel:example.org): !draw otter", DrawCommand("otter")),
        ('!draw "Ada" (https://matrix.to/#/@ada:example.org) as an otter', DrawCommand("Ada as an otter")),
        ("!draw [Ada](https://matrix.to/#/@ada:example.org) as an otter", DrawCommand("Ada as an otter")),
        ("!draw Ada (<https://matrix.to/#/@ada:example.org>) as an otter", DrawCommand("Ada as an otter")),
        ("!draw https://matrix.to/#/@ada:example.org as an otter", DrawCommand("ada as an otter")),
        ("!draw https://example.org/a", DrawCommand("https://example.org/a")),
        ("!draw help", EaselCommand(("help", "draw"))),
        ("!draw ?", EaselCommand(("help", "draw"))),
        ("!draw --help", EaselCommand(("help", "draw"))),
        ("!draw help wanted sign", DrawCommand("help wanted sign")),
        ("!draw help flags", EaselCommand(("help", "flags"))),
        ("!easel status.", EaselCommand(("status",))),
        ("!easel Status!", EaselCommand(("status",))),
        ("!darw otter", NearMiss("!draw otter")),
        ("!drwa otter", NearMiss("!draw otter")),
        ("!dwar otter", NearMiss("!draw otter")),
        ("!drw otter", NearMiss("!draw otter")),
        ("!drraw otter", NearMiss("!draw otter")),
        ("/draw otter", NearMiss("!draw otter")),
        (". draw otter", NearMiss("!draw otter")),
        ("!esael help", NearMiss("!easel help")),
        ("!eazel help", NearMiss("!easel help")),
        ("!drew otter", None),
        ("!dram otter", None),
        ("!help", None),
        ("draw otter", None),
        ("please !draw otter", None),
        ("", None),
    ],
)
def test_the_command_of_a_message_is_read(body, command):
    assert read_command(body) == command


@pytest.mark.parametrize("name", ["Picture Bot:", "@bot:example.org", "bot,", "hey bot"])
def test_a_mention_before_a_command_is_none_of_it(name):
    assert read_command(f"{name} !draw otter", is_mentioned=True) == DrawCommand("otter")
    assert read_command(f"{name} !draw otter") is None


@pytest.mark.parametrize("piece", [" ", "[", '"', "!", "a ", "(https://matrix.to/#/@", "[a](http://", "\\", "draw"])
def test_any_long_message_is_looked_at_in_time(piece):
    for start in ("", "!draw ", "a", "see https://matrix.to/ "):
        text = start + piece * (64_000 // len(piece))
        started = time.process_time()
        read_command(text, is_mentioned=True)
        # A second look at each sign would take a minute.
        assert time.process_time() - started < 5
