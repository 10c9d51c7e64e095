"""The gallery's questions to the database, on SQLite and PostgreSQL alike."""

from dataclasses import replace

import pytest

from bot.easel.jobs.event_tables import Posted
from bot.easel.jobs.gallery_table import NewPicture, Place, Tag, Wanted
from bot.easel.jobs.key_table import Invited, Key, KeyKind
from bot.easel.jobs.store import Store
from bot.easel.sending.content import EventKind

ADA, BOB = "@ada:x", "@bob:x"
CONTENT = {"url": "mxc://x/y", "info": {"w": 1}}


@pytest.fixture
async def store(database) -> Store:
    return Store(database)


@pytest.fixture
def post(store, database):
    """Keep a picture that is in its room, drawn at that time; return its id."""

    async def post(
        name: str, drawn_ms: int = 0, *prompts: str, room_id: str = "!r", is_there: bool = True, **more
    ) -> str:
        txn_id, sender = f"{name}-picture-0", more.pop("sender", ADA)
        new = {"is_sheet": len(prompts) > 1, "tags": frozenset(), "origin": None, "content": CONTENT, **more}
        await store.keep_picture(
            NewPicture(txn_id=txn_id, job=name, n=0, room_id=room_id, sender=sender, prompts=prompts or (name,), **new)
        )
        await store.will_post(Posted(txn_id, name, room_id, EventKind.PICTURE, 0, None))
        if is_there:
            await store.was_posted(txn_id, f"${name}")
        await database.execute("UPDATE picture SET drawn_ms = $2 WHERE txn_id = $1", txn_id, drawn_ms)
        return await store.picture_id(txn_id)

    return post


async def jobs(store, *, before=None, limit=100, **wanted) -> str:
    wanted.setdefault("rooms", ("!r",))
    return "".join(one.job for one in await store.gallery_page(Wanted(**wanted), before=before, limit=limit))


async def test_a_picture_is_read_back_as_kept(store, post):
    picture = await store.gallery_picture(await post("a", 5, "otter 🦦", "owl", origin="z"))
    assert (picture.job, picture.n, picture.is_sheet, picture.pictures, picture.prompt) == ("a", 0, True, 2, "otter 🦦")
    assert (picture.room_id, picture.event_id, picture.sender, picture.drawn_ms) == ("!r", "$a", ADA, 5)
    assert (picture.origin, picture.content, picture.is_favourite) == ("z", CONTENT, False)
    assert len(picture.id) * 6 >= 128
    assert await store.gallery_picture("nothing") is None


async def test_what_is_not_in_the_room_is_not_in_the_gallery(store, post):
    assert await store.gallery_picture(await post("a", is_there=False)) is None
    assert await jobs(store) == ""


async def test_a_picture_that_is_posted_anew_keeps_its_id_and_place(store, post):
    first = await post("a", 5)
    assert await post("a", 5, content={"url": "mxc://x/new"}) == first
    assert (await store.gallery_picture(first)).content == {"url": "mxc://x/new"}


async def test_pages_go_on_where_the_last_one_ended(store, post):
    for name, drawn_ms in (("a", 3), ("b", 1), ("c", 2), ("d", 2)):
        await post(name, drawn_ms)
    everything = await jobs(store)
    assert everything in ("acdb", "adcb")
    pages, place = "", None
    while page := await store.gallery_page(Wanted(rooms=("!r",)), before=place, limit=1):
        pages, place = pages + page[0].job, page[0].place
    assert pages == everything
    second = (await store.gallery_page(Wanted(rooms=("!r",)), limit=2))[1]
    (newer,) = await store.gallery_after(Wanted(rooms=("!r",)), second.place)
    assert newer.job == "a"
    assert await jobs(store, before=Place(0, "")) == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_page_is_read_in_its_order_and_not_sorted(store, post, database):
    """Sorting all pictures for each page would take longer with every picture. PostgreSQL chooses by their number."""
    await post("a")
    asked = []

    class Asked:
        async def fetch(self, query, *values):
            asked.append((query, values))
            return await database.fetch(query, *values)

    store._database = Asked()
    for place in (None, Place(9, "x")):
        await jobs(store, rooms=("!r", "!q"), before=place)
        (query, values) = asked.pop()
        plan = [row["detail"] for row in await database.fetch(f"EXPLAIN QUERY PLAN {query}", *values)]
        assert "picture_drawn" in plan[0]
        assert not [step for step in plan if "TEMP B-TREE" in step]


async def test_rooms_people_stars_and_times_are_walls(store, post):
    await post("a", 1)
    await post("b", 2, room_id="!q", sender=BOB)
    assert [await jobs(store, rooms=rooms) for rooms in ((), ("!r",), ("!q", "!r"))] == ["", "a", "ba"]
    assert await jobs(store, rooms=("!q", "!r"), sender=BOB) == "b"
    assert await jobs(store, rooms=("!q", "!r"), since_ms=2) == "b"
    assert await jobs(store, rooms=("!q", "!r"), until_ms=2) == "a"
    # A star of another room is none here.
    await store.keep_favourite("!q", "$star", "$a")
    assert await jobs(store, is_favourite=True) == ""
    await store.keep_favourite("!r", "$star2", "$a")
    assert await jobs(store, is_favourite=True) == "a"
    assert await store.rooms_with_pictures() == {"!r", "!q"}
    assert await store.people_in_gallery(("!q", "!r")) == [ADA, BOB]
    assert await store.people_in_gallery(("!q",)) == [BOB]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("otter",), "cba"),
        (("ott",), "cba"),
        (("tter",), ""),
        (("otter", "hat"), "ba"),
        (("HATS",), "b"),
        (("über",), "c"),
        (("ub",), ""),
        (("🦦",), "c"),
        (("狐",), "c"),
        (("owl",), "b"),
        (("%",), ""),
        ((" ",), ""),
        (("otter\x00",), "cba"),
    ],
)
async def test_each_word_finds_the_start_of_a_word(store, post, words, found):
    await post("a", 1, "otter, (hat)++")
    await post("b", 2, "Otter-hats", "owl")
    await post("c", 3, "otters über 🦦 狐狸")
    assert await jobs(store, words=words) == found


async def test_tags_are_listed_by_room_the_frequent_ones_first_in_line(store, post):
    for number, style in enumerate(("oil", "oil", "ink")):
        await post(f"{number}", number, tags=frozenset({(Tag.STYLE, style), (Tag.MODEL, "pocket")}))
    await post("q", room_id="!q", tags=frozenset({(Tag.THEME, "secret")}))
    assert await store.tags_in_gallery(("!r",), limit=9) == {
        Tag.THEME: [],
        Tag.MODEL: ["pocket"],
        Tag.STYLE: ["ink", "oil"],
    }
    assert (await store.tags_in_gallery(("!r",), limit=1))[Tag.STYLE] == ["oil"]
    assert await jobs(store, tags=((Tag.STYLE, "oil"), (Tag.MODEL, "pocket"))) == "10"
    assert await jobs(store, tags=((Tag.THEME, "secret"),)) == ""


async def test_the_pictures_that_came_of_one_are_in_order(store, post):
    origin = await post("a")
    for name, drawn_ms in (("b", 3), ("c", 2)):
        await post(name, drawn_ms, origin=origin)
    assert [one.job for one in await store.children_of(origin, limit=9)] == ["c", "b"]
    assert len(await store.children_of(origin, limit=1)) == 1


async def test_a_forgotten_picture_leaves_nothing_and_takes_no_other_with_it(store, post, database):
    for name in "ab":
        await post(name, 1, "otter", tags=frozenset({(Tag.THEME, "otter")}))
    await store.forget_picture("a", 0)
    await store.forget_picture("b", 1)
    assert await jobs(store, words=("otter",)) == "b"
    for table in ("picture", "picture_tag", "picture_word"):
        assert await database.fetchval(f"SELECT COUNT(*) FROM {table}") == 1


async def test_a_key_is_taken_once_and_old_ones_go(store):
    for n in range(3):
        await store.keep_key(Key(hash=f"{n}", kind=KeyKind.LINK, person=ADA, room_id="!r", made_ms=n))
    assert await store.key(KeyKind.SESSION, "0") is None
    assert (await store.take_key(KeyKind.LINK, "0")).person == ADA
    assert await store.take_key(KeyKind.LINK, "0") is None
    await store.forget_keys_before(KeyKind.LINK, 2)
    assert [key.hash for key in await store.keys_of(ADA, KeyKind.LINK)] == ["2"]
    assert await store.keys_of(BOB, KeyKind.LINK) == []
    assert [key.hash for key in await store.keys_for("!r", KeyKind.LINK)] == ["2"]


async def test_who_is_invited_to_a_chat_gets_what_they_wished_for_last(store):
    asked = Invited(chat="!new:x", person="@cleo:x", room_id="!kitchen:x", event_id="$1", is_frame=False)
    await store.keep_invited(asked)
    await store.keep_invited(last := replace(asked, event_id="$2", is_frame=True))
    assert await store.invited("!new:x", "@cleo:x") == last
    assert await store.invited("!new:x", "@bob:x") is await store.invited("!other:x", "@cleo:x") is None
    await store.forget_invited("!new:x")
    assert await store.invited("!new:x", "@cleo:x") is None
