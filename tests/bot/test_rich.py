"""Texts in two forms: what people typed is markup in neither, and names stay short and in their direction."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.easel.commands import help
from bot.easel.language import HELP_TOPICS
from bot.easel.room.names import MAX_NAME_CHARS, shown_name
from bot.easel.sending.content import LEFT_OUT, MAX_CONTENT_CHARS, answer_content, fitting
from bot.easel.sending.rich import Rich, blocks, bold, code, link, numbered, points, text, written

# A phone shows about this many lines of a message, and about this many characters in each.
SCREEN_LINES, LINE_CHARS = 40, 45

# What is left of a screen while somebody types.
OVERVIEW_LINES = 18

TAGS = re.compile(r"</?(?:p|br|ul|ol|li|strong|code|a href=\"[^\"]*\"|a)>")


@pytest.mark.parametrize(
    ("made", "plain", "html"),
    [
        (text("a <b>\nc"), "a <b>\nc", "a &lt;b&gt;<br>c"),
        (bold("Ada") + ": otter & owl", "Ada: otter & owl", "<strong>Ada</strong>: otter &amp; owl"),
        (points([code("!draw"), text("x")]), "• !draw\n• x", "<ul><li><code>!draw</code></li><li>x</li></ul>"),
        (numbered([text("a"), text("b")]), "1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        (link("an otter", 'https://x/"'), 'an otter\nhttps://x/"', '<a href="https://x/&quot;">an otter</a>'),
        (blocks("a", "", points([text("b")])), "a\n• b", "<p>a</p><ul><li>b</li></ul>"),
        (
            written("Say:\n\n• `!draw` draws\n• <b>\n\nEnd `x`"),
            "Say:\n\n• !draw draws\n• <b>\n\nEnd x",
            "<p>Say:</p><ul><li><code>!draw</code> draws</li><li>&lt;b&gt;</li></ul><p>End <code>x</code></p>",
        ),
    ],
)
def test_a_text_and_its_html(made, plain, html):
    assert (made.plain, made.html) == (plain, html)


@given(st.text())
def test_nothing_that_is_typed_becomes_a_tag(typed):
    html = blocks(bold(typed) + typed, points([code(typed), text(typed)]), numbered([link(typed, typed)])).html
    assert "<" not in TAGS.sub("", html)


@pytest.mark.parametrize("topic", ["", *HELP_TOPICS])
def test_help_is_short_has_code_to_copy_and_reads_well_in_plain_text(topic):
    answer = help.help_text(topic)
    assert isinstance(answer, Rich)
    # Gestures have nothing to type.
    assert "<code>" in answer.html or topic == "gestures"
    assert "`" not in answer.plain
    assert sum(1 + len(line) // LINE_CHARS for line in answer.plain.splitlines()) <= (
        SCREEN_LINES if topic else OVERVIEW_LINES
    )


def test_html_goes_first_where_a_message_is_too_long():
    long = points([text("x" * 1000)] * 30)
    content = fitting(answer_content(long))
    assert "formatted_body" not in content and content["body"] == long.plain
    assert fitting(answer_content(points([text("x" * 1000)] * 100)))["body"].endswith(LEFT_OUT)
    assert len(fitting(answer_content(text("x")))["formatted_body"]) < MAX_CONTENT_CHARS


@pytest.mark.parametrize(
    ("user_id", "display_name", "shown"),
    [
        ("@ada:localhost", None, "ada"),
        ("@ada:localhost", "Ada Lovelace", "Ada Lovelace"),
        ("@ada:localhost", "  Ada\n Lovelace ", "Ada Lovelace"),
        ("@ada:localhost", "", "ada"),
        ("@ada:localhost", "x" * 500, "x" * MAX_NAME_CHARS + "…"),
        ("@ada:localhost", "עדה", "\u200e\u2068עדה\u2069"),
        # Marks that would turn the rest of the line around.
        ("@ada:localhost", "\u202eadA", "adA"),
    ],
)
def test_people_are_called_by_their_names(user_id, display_name, shown):
    assert shown_name(user_id, {} if display_name is None else {user_id: display_name}) == shown
