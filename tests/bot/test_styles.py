"""A room's named styles: who may make, use, list, change and remove them."""

import pytest

from bot.easel.commands.starter_styles import STARTER_STYLES
from bot.easel.commands.styles import MAX_STYLES, MAX_STYLES_A_PERSON
from bot.easel.jobs.store import Store
from bot.easel.jobs.style_table import Style
from bot.easel.language import ParseError, parse_all, read_style, style_names
from bot.easel.language.styles import MAX_STYLE_CHARS, with_styles
from bot.easel.sending.content import LEFT_OUT, MAX_CONTENT_CHARS

ROOM = "!kitchen:example.com"
BOB = "@bob:example.com"
STYLES = {"cosy": "(watercolor)+, soft light", "cat": "fat orange tabby", "16-bit": "pixel art"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("otter | style: @cosy", "otter | style: (watercolor)+, soft light"),
        ("@Cat, hat", "fat orange tabby, hat"),
        ("@cat", "fat orange tabby"),
        ("+@cat -@cosy", "+fat orange tabby -(watercolor)+, soft light"),
        ("{@cat | @16-bit}", "{fat orange tabby | pixel art}"),
        ("(@cat)++", "(fat orange tabby)++"),
        ("mail me@cat, @cat:example.com", "mail me@cat, @cat:example.com"),
        ("a @ b", "a @ b"),
    ],
)
def test_a_name_expands_to_its_words(text, expanded):
    assert with_styles(text, STYLES) == expanded


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ParseError, match=r"There's no style “@cozy” in this room\. Did you mean @cosy\?"):
        with_styles("otter | style: @cozy", STYLES)
    with pytest.raises(ParseError, match="!easel style lists them"):
        with_styles("@xyzzy", STYLES)


def test_a_sheet_of_styles_has_the_names_as_headings():
    asked = parse_all("otter | style: {@cosy | @16-bit}", styles=STYLES)
    assert asked.headings == (("@cosy",), ("@16-bit",))
    assert [request.slots.style for request in asked.requests] == [("(watercolor)+", "soft light"), ("pixel art",)]
    assert style_names("{@cosy | @16-bit}, @Cosy") == ("cosy", "16-bit")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cosy", "A style is a name and its words, such as "),
        ("cosy =", "A style is a name and its words, such as "),
        (
            "not a name = otter",
            "A style's name takes up to 40 letters a to z, digits and hyphens, not “not a name”.",
        ),
        ("-x = otter", "A style's name takes "),
        (f"cosy = {'a' * (MAX_STYLE_CHARS + 1)}", "A style has up to 300 characters. That one has 301."),
        ("cosy = otter --seed 7", "A style is words only, without slots, flags, lists or other styles."),
        ("cosy = otter | style: pop art", "A style is words only"),
        ("cosy = {a | b}", "A style is words only"),
        ("cosy = @other", "A style is words only"),
        ("cosy = style: pop art", "A style is words only"),
    ],
)
def test_a_bad_style_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(ParseError) as error:
        read_style(text)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(("name", "words"), STARTER_STYLES.items())
def test_every_starter_style_is_valid(name, words):
    assert read_style(f"{name} = {words}") == (name, words)


@pytest.fixture
def ask(drawing_room, homeserver):
    """Send a command and return its answer."""
    asked = []

    async def ask(text: str, **more) -> str:
        asked.append(text)
        await drawing_room.say(text, **more)
        return (await homeserver.answers(len(asked)))[-1].content["body"]

    return ask


async def test_a_style_is_made_used_listed_and_removed_in_its_room_only(ask, drawing_room, homeserver, fake_generator):
    assert (
        await ask("!easel style add Cosy = (watercolor)+, soft light") == "@cosy now means: (watercolor)+, soft light"
    )
    listed = await ask("!easel style")
    assert "@cosy: (watercolor)+, soft light (by ada)" in listed
    assert "@pop-art: (pop art)+" in listed
    await drawing_room.say("!draw otter | style: @cosy")
    await homeserver.files()
    (job,) = fake_generator.jobs.values()
    assert job.recipes[0].slots.style == ("(watercolor)+", "soft light")
    elsewhere = await ask("!draw otter | style: @cosy", room_id="!other:example.com")
    assert elsewhere.startswith("There's no style “@cosy” in this room.")
    assert await ask("!easel style remove @cosy") == "@cosy is gone."
    assert (await ask("!easel style remove cosy")).startswith("This room has no style “cosy”.")
    assert (await ask("!easel style paint")).startswith("Give words a name")


@pytest.mark.parametrize("is_mutual", [True, False])
async def test_an_upgraded_room_keeps_its_styles(ask, drawing_room, homeserver, maubot_test_bot, is_mutual):
    """Both rooms must say so: else anybody's new room could take the styles of this one."""
    new, bot = "!new:example.com", maubot_test_bot.client.mxid
    await ask("!easel style add cosy = soft light")
    # Who made the room is not asked: that may be in its whole state alone, which may be large.
    homeserver.leaves_out = "all"
    homeserver.state[new, "m.room.create", ""] = {"predecessor": {"room_id": ROOM, "event_id": "$last"}}
    if is_mutual:
        homeserver.state[ROOM, "m.room.tombstone", ""] = {"replacement_room": new}
    await drawing_room.put({"membership": "join"}, type="m.room.member", room_id=new, state_key=bot)
    await homeserver.marked("hello")
    await drawing_room.say("!easel style", room_id=new)
    listed = (await homeserver.answers(3))[-1].content["body"]
    assert ("@cosy: soft light (by ada)" in listed) is is_mutual


async def test_only_the_author_changes_or_removes_a_style(ask):
    await ask("!easel style add cosy = soft light")
    assert (await ask("!easel style add cosy = dark", sender=BOB)) == (
        "@cosy is somebody else's. Only they or an admin can change it. Choose another name."
    )
    assert (await ask("!easel style remove cosy", sender=BOB)) == (
        "@cosy is somebody else's. Only they or an admin can remove it."
    )
    assert await ask("!easel style add cosy = very soft light") == "@cosy now means: very soft light"


async def test_starter_styles_can_be_replaced_and_restored(ask):
    assert (await ask("!easel style remove cubism")).startswith("@cubism comes with Easel. ")
    await ask("!easel style add cubism = cubes")
    assert "@cubism: cubes (by " in await ask("!easel style")
    assert await ask("!easel style remove cubism") == "@cubism is back to what it was at first."


async def test_the_number_of_styles_in_a_room_is_limited(ask, plugin):
    for number in range(MAX_STYLES):
        await Store(plugin.database).keep_style("!kitchen:example.com", Style(f"s-{number}", "otter", BOB))
    assert (await ask("!easel style add cosy = soft light")).startswith(f"This room has {MAX_STYLES} styles")


async def test_nobody_fills_a_room_alone_and_a_full_room_is_listed_in_one_message(ask, plugin, homeserver):
    makers = [f"@{'x' * 200}-{n}:example.com" for n in range(2)]
    for number in range(MAX_STYLES):
        name, maker = f"{'s' * 36}-{number}", makers[number % 2]
        style = Style(name, "o" * MAX_STYLE_CHARS, maker)
        await Store(plugin.database).keep_style("!kitchen:example.com", style)
    listed = await ask("!easel style")
    assert len(listed.splitlines()) == 1 + MAX_STYLES + len(STARTER_STYLES)
    assert len(listed) < MAX_CONTENT_CHARS and LEFT_OUT not in listed
    for number in range(2):
        await ask(f"!easel style remove {'s' * 36}-{number}", sender=makers[number % 2])
    assert (await ask("!easel style add cosy = soft light", sender=makers[0])).startswith("@cosy now means")
    assert (await ask("!easel style add cosier = soft light", sender=makers[0])) == (
        f"You made {MAX_STYLES_A_PERSON} styles here, and that's the limit. Remove one first."
    )


async def test_a_subject_is_drawn_in_all_styles(ask, homeserver, fake_generator):
    await ask("!easel style sheet otter, hat")
    await homeserver.files(2)
    assert await homeserver.answer() == "Drawing otter, hat in 10 styles, on 2 sheets."
    jobs = list(fake_generator.jobs.values())
    assert sorted(column for job in jobs for column in job.sheet.columns) == sorted(
        f"@{name}" for name in STARTER_STYLES
    )
    assert all(job.recipes[0].slots.subject == ("otter", "hat") for job in jobs)
    assert len({recipe.seed for job in jobs for recipe in job.recipes}) == 1, "comparable pictures share one seed"


@pytest.mark.parametrize("maubot_plugin_config_overrides", [{"max_pictures_a_day": 3}])
async def test_refused_sheets_of_all_styles_give_one_reason(ask, homeserver, fake_generator):
    assert "The limit is 3 a day" in await ask("!easel style sheet otter")
    assert "I know its models" in await ask("!easel models")
    assert len(await homeserver.answers(2)) == 2
    assert not fake_generator.jobs


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("!easel style list", "Use one in any prompt"),
        ("!easel styles", "Use one in any prompt"),
        ("!easel style new dim = fog", "@dim now means: fog"),
        ("!easel style delete cosy", "@cosy is gone."),
        ("!easel style Remove @cosy please", "@cosy is gone."),
    ],
)
async def test_other_words_for_the_commands_of_styles_are_known(room, homeserver, said, answer):
    await room.say("!easel style add cosy = soft light")
    await homeserver.answers(1)
    await room.say(said)
    assert (await homeserver.answers(2))[1].content["body"].startswith(answer)
