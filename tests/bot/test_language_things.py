"""Replies of any small words and things, to phrases of any of them."""

from hypothesis import given
from hypothesis import strategies as st

from bot.easel.language import ParseError, parse_all, parse_draw

# The small words of wishes, what they are about, and what stands around it.
SMALL = (
    "a an the with and in on of no not without instead make it red bigger hat hats otter three one but same more less "
    "should be put back mit statt un la sans replace by to give wearing playing of style as , -> -hat | style: --no"
)
WORDS = [*SMALL.split(), "(otter)", "(hat)1.3", "(red hat)++", "hat++", "s/hat/cap/", "please", "again"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)


@given(texts, texts)
def test_every_reply_is_read_or_refused_and_leaves_brackets_in_pairs(prompt, reply):
    try:
        recipe = parse_draw(prompt)
    except ParseError:
        return
    try:
        requests = parse_all(reply, recipe=recipe).requests
    except ParseError as error:
        assert str(error)
        return
    for request in requests:
        words = request.slots.joined()
        assert words.count("(") == words.count(")") and "  " not in words
