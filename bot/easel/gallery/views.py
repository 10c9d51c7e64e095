"""What the gallery's pages show, one class a page. Pure: knows neither the database nor the web.

Each page is the template of its class's name in lower case, which gets it as ``view``, and ``page`` beside it. Texts
are ready to be read; dates are those of the room's clock. Templates build addresses below ``page.root``:

    ./?words=…&before=…      Grid         enter?key=SECRET   Enter (POST with `key` opens the gallery)
    picture/ID?words=…       Picture      compare?id=…&id=…  Comparison
    bin/ID                   Bin (POST)   frame?key=SECRET   Frame (&after=ID)
    star/ID                  POST `star=1`, or nothing to take it back
    thumbnail/ID  image/ID  photo/ID  download/ID  zip?id=…&id=…  frame/ID?key=SECRET  static/NAME

Secrets stand behind the ``?``, which maubot's log leaves out.

Everything that is posted but the button of Enter carries ``page.token``.
"""

from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Page:
    """What every page needs. ``root`` is the relative way to the gallery: ``./`` or ``../``.

    ``version`` changes with the static files, so that browsers keep them until then. ``token`` is empty where nobody
    is signed in.
    """

    root: str
    version: str
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which pictures an address asks for; an empty field asks for any. ``day`` is like ``2026-11-28``."""

    words: str = ""
    theme: str = ""
    person: str = ""
    room: str = ""
    model: str = ""
    style: str = ""
    day: str = ""
    star: str = ""

    def query(self, **changed: str) -> str:
        """The end of an address: ``?words=otter&star=1``, or nothing. ``changed`` may add other fields."""
        given = self.given | {name: value for name, value in changed.items() if value}
        return f"?{urlencode(given)}" if given else ""

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not empty."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in known.items() if value}

    def without(self, name: str) -> "Search":
        return replace(self, **{name: ""})


@dataclass(frozen=True)
class Choice:
    """One value of a filter: as in the address, and as people read it."""

    value: str
    label: str


@dataclass(frozen=True)
class Filter:
    """A field of Search that is chosen from a list; ``chosen`` is a choice's value, or empty for any."""

    name: str
    label: str
    choices: tuple[Choice, ...]
    chosen: str = ""

    @property
    def chosen_label(self) -> str:
        return next((choice.label for choice in self.choices if choice.value == self.chosen), self.chosen)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A small picture. ``width`` and ``height`` are its thumbnail's; a sheet has several ``pictures``."""

    id: str
    alt: str
    width: int
    height: int
    is_favourite: bool = False
    pictures: int = 1


@dataclass(frozen=True)
class Day:
    """The pictures of one day, or some of them; ``date`` is like ``2026-11-28``."""

    date: str
    heading: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The newest pictures that match, or older ones. ``before`` is the key of the next page, if there is one.

    ``is_selecting``: tiles are ticked to be compared or taken home; ``selected`` are ticked from the start.
    """

    search: Search
    filters: tuple[Filter, ...]
    days: tuple[Day, ...]
    before: str = ""
    is_selecting: bool = False
    selected: tuple[Tile, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A line of a recipe: ``Seed``, ``7``."""

    label: str
    value: str


@dataclass(frozen=True)
class Recipe:
    """How a picture was drawn. ``heading`` names one picture of a sheet.

    ``command`` draws it again, unless it cannot be typed; ``before`` and ``after`` say what else that takes.
    """

    facts: tuple[Fact, ...]
    yaml: str
    heading: str = ""
    command: str | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Difference:
    """What differs between two recipes; an empty side does not have it."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Origin:
    """The picture that this one came from, and what changed since."""

    tile: Tile
    changes: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture or sheet, with the way on through the pictures of ``search``.

    ``width`` and ``height`` are the image's own. ``may_unstar``: its star is the gallery's to take back. ``origin`` and
    ``children`` are those that the visitor may see. ``link`` leads to its event in the room.
    """

    tile: Tile
    width: int
    height: int
    prompt: str
    person: str
    room: str
    time: str
    recipes: tuple[Recipe, ...]
    link: str
    search: Search
    newer: str = ""
    older: str = ""
    origin: Origin | None = None
    children: tuple[Tile, ...] = ()
    has_photo: bool = False
    may_star: bool = True
    may_unstar: bool = True
    may_bin: bool = False


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two pictures that are compared; ``width`` and ``height`` are the image's own."""

    tile: Tile
    width: int
    height: int
    prompt: str
    about: str


@dataclass(frozen=True)
class Comparison:
    before: Side
    after: Side
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Bin:
    """Asks once more before a picture is removed."""

    tile: Tile
    prompt: str


@dataclass(frozen=True)
class Enter:
    """The page behind a link of ``!easel gallery``. ``secret`` is the link's."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A picture of a room's slide show; without stars there is no ``tile``. ``width`` and ``height`` are the image's.

    ``seconds`` is how long it stays.
    """

    secret: str
    room: str
    seconds: int
    tile: Tile | None = None
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Message:
    """A sentence in place of a page, such as "That picture is not here." """

    heading: str
    text: str = ""
