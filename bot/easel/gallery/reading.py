"""What a visitor sees: from the database to the views of the pages. Every question begins with the visitor's sight."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from ..commands.find import event_url
from ..commands.shortest import Shortest, ShortestCommands
from ..jobs.gallery_table import GalleryPicture, Tag, Wanted
from ..jobs.key_table import Key
from ..jobs.store import Store
from ..language import DrawRequest, ParseError
from ..policy.ownership import Ownership
from ..room.names import shown_name
from ..room.reactions import FAVOURITE, REMOVE
from ..settings import CurrentSettings
from ..side_thread import SideThread
from . import views
from .pictures import PictureFiles
from .recipes import differences_of, facts_of, plain_prompt
from .room_names import RoomNames
from .searching import place_text, read_place, wanted_by
from .sight import Members, Sight
from .stars import Stars

# Some screens of a phone, and two of a large desk.
PAGE_TILES = 60

# A longer list is searched, not chosen from.
MAX_CHOICES = 60

# More than a person goes through one by one.
MAX_CHILDREN = 60

# Long enough to look at a picture from the other end of the kitchen.
FRAME_S = 20

NOTHING = DrawRequest()


class Reading:
    """One method a page. None stands for a picture that is not there, or not for this visitor.

    A visitor is the key of their session: it has the person, and the only room that this browser shows, if any.
    """

    def __init__(
        self,
        *,
        store: Store,
        sight: Sight,
        files: PictureFiles,
        stars: Stars,
        room_names: RoomNames,
        shortest: ShortestCommands,
        ownership: Ownership,
        side_thread: SideThread,
        settings: CurrentSettings,
    ) -> None:
        self._store, self._sight, self._files, self._stars = store, sight, files, stars
        self._room_names, self._shortest, self._ownership = room_names, shortest, ownership
        self._side_thread, self._settings = side_thread, settings
        # The pictures that are on their way out of their rooms.
        self._leaving: set[str] = set()

    @contextmanager
    def without(self, picture: GalleryPicture) -> Iterator[None]:
        """Give no page of a picture, and leave it out of the grid, meanwhile."""
        self._leaving.add(picture.id)
        try:
            yield
        finally:
            self._leaving.discard(picture.id)

    async def seen(self, visitor: Key, picture_id: str) -> GalleryPicture | None:
        """The picture with that id, if the visitor may see it now."""
        picture = await self._store.gallery_picture(picture_id)
        if (
            picture is None
            or picture.id in self._leaving
            or not await self._sight.sees(visitor.person, picture, visitor.room_id)
        ):
            return None
        return picture

    async def grid(
        self, visitor: Key, search: views.Search, *, before: str, is_selecting: bool, selected: Sequence[str]
    ) -> views.Grid:
        rooms = await self._sight.rooms(visitor.person, visitor.room_id)
        wanted, place, zone = wanted_by(search, rooms, self._zone), read_place(before), self._zone
        found = await self._store.gallery_page(wanted, before=place, limit=PAGE_TILES + 1) if wanted else []
        shown = [picture for picture in found[:PAGE_TILES] if picture.id not in self._leaving]
        ticked = [picture for one in selected if (picture := await self._store.gallery_picture(one))]
        return views.Grid(
            search=search,
            filters=await self._filters(visitor, search, rooms),
            days=tuple(_days(shown, zone, datetime.now(zone))),
            before=place_text(found[PAGE_TILES - 1].place) if len(found) > PAGE_TILES else "",
            is_selecting=is_selecting,
            selected=tuple(_tile(picture) for picture in ticked if picture.room_id in rooms),
        )

    async def picture(self, visitor: Key, picture_id: str, search: views.Search) -> views.Picture | None:
        picture = await self._store.gallery_picture(picture_id)
        if picture is None or picture.id in self._leaving:
            return None
        rooms = await self._sight.rooms(visitor.person, visitor.room_id)
        if (members := rooms.get(picture.room_id)) is None:
            return None
        wanted = wanted_by(search, rooms, self._zone) or Wanted(rooms=())
        newer = await self._store.gallery_after(wanted, picture.place)
        older = await self._store.gallery_page(wanted, before=picture.place, limit=1)
        children = await self._store.children_of(picture.id, limit=MAX_CHILDREN)
        reactions = self._settings().reactions
        may_bin = REMOVE in reactions and await self.may_bin(visitor, picture)
        star = self._stars.coming(picture)
        return views.Picture(
            tile=_tile(picture if star is None else replace(picture, is_favourite=star)),
            **_size(picture),
            prompt=plain_prompt(picture.prompt),
            person=shown_name(picture.sender, members),
            room=await self._room_names.of(picture.room_id, members, visitor.person),
            time=_time(picture, self._zone),
            recipes=await self._recipes(visitor, picture),
            link=event_url(picture.room_id, picture.event_id, visitor.person),
            search=search,
            newer=newer[0].id if newer else "",
            older=older[0].id if older else "",
            origin=await self._origin(picture),
            children=tuple(_tile(child) for child in children if child.room_id == picture.room_id),
            has_photo=await self._files.photo_for(picture, visitor.person) is not None,
            may_star=FAVOURITE in reactions and star is None,
            may_unstar=star is None and await self._stars.is_ours(picture),
            may_bin=may_bin,
        )

    async def may_bin(self, visitor: Key, picture: GalleryPicture) -> bool:
        return await self._ownership.may_change(picture.room_id, picture.sender, visitor.person)

    def bin(self, picture: GalleryPicture) -> views.Bin:
        return views.Bin(_tile(picture), plain_prompt(picture.prompt))

    async def comparison(self, visitor: Key, picture_ids: list[str]) -> views.Comparison | None:
        pictures = [picture for one in picture_ids[:2] if (picture := await self.seen(visitor, one))]
        if len(pictures) != 2:
            return None
        before, after = pictures
        differences = differences_of(await self._request(before), await self._request(after))
        return views.Comparison(self._side(before), self._side(after), differences)

    async def frame(self, key: Key, after: str) -> views.Frame | None:
        """The picture of a frame after another one; the newest after the last."""
        members = await self._sight.members(key.person, key.room_id)
        if members is None:
            return None
        stars = Wanted(rooms=(key.room_id,), is_favourite=True)
        last = await self._store.gallery_picture(after) if after else None
        place = last.place if last else None
        found = await self._store.gallery_page(stars, before=place, limit=1)
        found = found or await self._store.gallery_page(stars, limit=1)
        return views.Frame(
            secret="",
            room=await self._room_names.of(key.room_id, members, key.person),
            seconds=FRAME_S,
            tile=_tile(found[0]) if found else None,
            **(_size(found[0]) if found else {}),
        )

    async def starred(self, key: Key, picture_id: str) -> GalleryPicture | None:
        """A picture of a frame: one of its room that has a star."""
        picture = await self._store.gallery_picture(picture_id)
        if picture is None or not picture.is_favourite:
            return None
        return picture if await self._sight.sees(key.person, picture, key.room_id) else None

    @property
    def _zone(self) -> tzinfo | None:
        return self._settings().time_zone

    async def _filters(
        self, visitor: Key, search: views.Search, rooms: Mapping[str, Members]
    ) -> tuple[views.Filter, ...]:
        """The lists to choose from; one with a single choice is left out."""
        if not rooms:
            return ()
        tags = await self._store.tags_in_gallery(rooms, limit=MAX_CHOICES)
        names = {person: name for members in rooms.values() for person, name in members.items()}
        people = [(person, shown_name(person, names)) for person in await self._store.people_in_gallery(rooms)]
        called = [
            (room_id, await self._room_names.of(room_id, members, visitor.person)) for room_id, members in rooms.items()
        ]
        filters = (
            _filter("theme", "Theme", ((value, value) for value in tags[Tag.THEME]), search.theme),
            _filter("style", "Style", ((value, value) for value in tags[Tag.STYLE]), search.style),
            _filter("person", "Person", people, search.person),
            _filter("room", "Room", called, search.room),
            _filter("model", "Model", ((value, value) for value in tags[Tag.MODEL]), search.model),
        )
        # A picture may be without a style, so that one alone is a choice.
        return tuple(one for one in filters if len(one.choices) > (one.name != "style") or one.chosen)

    async def _recipes(self, visitor: Key, picture: GalleryPicture) -> tuple[views.Recipe, ...]:
        """The recipe of a picture, or those of a sheet."""
        job = await self._store.job(picture.job)
        recipes = []
        for n, text in (await self.recipe_texts(picture)).items():
            facts, heading = facts_of(await self._read(text)), f"Picture {n + 1}" if picture.is_sheet else ""
            shortest = Shortest(None)
            # Another version of Easel may have written it.
            with suppress(ParseError):
                shortest = await self._shortest.of_recipe(text, job, picture.room_id, visitor.person)
            recipes.append(views.Recipe(facts, text, heading, shortest.command, shortest.before, shortest.after))
        return tuple(recipes)

    async def recipe_texts(self, picture: GalleryPicture) -> dict[int, str]:
        """The recipe files of a picture or of all pictures of a sheet, by number."""
        texts = await self._store.recipes(picture.job)
        return texts if picture.is_sheet else {n: text for n, text in texts.items() if n == picture.n}

    async def _origin(self, picture: GalleryPicture) -> views.Origin | None:
        """The picture that one came from, which is in the same room."""
        origin = await self._store.gallery_picture(picture.origin) if picture.origin else None
        if origin is None or origin.room_id != picture.room_id:
            return None
        changes = differences_of(await self._request(origin), await self._request(picture))
        return views.Origin(_tile(origin), changes)

    async def _request(self, picture: GalleryPicture) -> DrawRequest:
        """What the picture, or the first one of a sheet, was drawn by."""
        texts = await self.recipe_texts(picture)
        return await self._read(next(iter(texts.values()))) if texts else NOTHING

    async def _read(self, text: str) -> DrawRequest:
        try:
            return await self._side_thread.recipe(text)
        except ParseError:
            # Another version of Easel wrote it.
            return NOTHING

    def _side(self, picture: GalleryPicture) -> views.Side:
        about = _time(picture, self._zone)
        return views.Side(tile=_tile(picture), **_size(picture), prompt=plain_prompt(picture.prompt), about=about)


def _filter(name: str, label: str, choices: Iterable[tuple[str, str]], chosen: str) -> views.Filter:
    return views.Filter(name, label, tuple(views.Choice(value, text) for value, text in choices), chosen)


def _days(pictures: list[GalleryPicture], zone: tzinfo | None, now: datetime) -> Iterable[views.Day]:
    for day, drawn in groupby(pictures, lambda picture: _drawn_at(picture, zone).date()):
        recent = {now.date(): "Today", now.date() - timedelta(days=1): "Yesterday"}
        heading = recent.get(day, f"{day:%A}, {day.day} {day:%B %Y}")
        yield views.Day(day.isoformat(), heading, tuple(map(_tile, drawn)))


def _drawn_at(picture: GalleryPicture, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(picture.drawn_ms / 1000, zone)


def _time(picture: GalleryPicture, zone: tzinfo | None) -> str:
    at = _drawn_at(picture, zone)
    return f"{at.day} {at:%B %Y, %H:%M}"


def _tile(picture: GalleryPicture) -> views.Tile:
    small, prompt = picture.content.get("info", {}).get("thumbnail_info", {}), plain_prompt(picture.prompt)
    return views.Tile(
        id=picture.id,
        alt=f"{picture.pictures} pictures: {prompt}" if picture.is_sheet else prompt,
        width=small.get("w", 0),
        height=small.get("h", 0),
        is_favourite=picture.is_favourite,
        pictures=picture.pictures,
    )


def _size(picture: GalleryPicture) -> dict[str, Any]:
    info = picture.content.get("info", {})
    return {"width": info.get("w", 0), "height": info.get("h", 0)}
