"""An invented family's gallery: the real templates and static files with made-up views, served as the plugin does."""

from dataclasses import replace
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image, ImageOps

from bot.easel.gallery import views
from bot.easel.gallery.pages import Pages
from bot.easel.gallery.searching import read_search
from bot.easel.gallery.views import Choice, Day, Difference, Fact, Filter, Recipe, Search, Tile

SECURITY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ROOT = Path(__file__).parents[2]
PAGE_SIZE = 30
NUMBER = 96

ANIMALS = ("otter", "dog", "cat", "fox", "owl", "squirrel", "greyhound", "penguin", "bear", "frog")
WORN = ("cowboy hat", "party hat, scarf", "top hat, denim jacket", "headphones, boots")
PLACES = ("snow, sunset", "city street, day", "forest, night", "beach, day", "coffee shop")
STYLES = ("cartoon", "pop art", "watercolor", "pointillism", "pencil drawing")
SHAPES = ((512, 512), (384, 512), (512, 512), (640, 448), (512, 512), (448, 640))
PEOPLE = ("Ada", "Bo", "Cleo", "Dan")
ROOMS = ("Family", "Animals in hats")
DAYS = (("2026-11-28", "Today"), ("2026-11-27", "Yesterday"), ("2026-11-25", "Wednesday, 25 November"))
HOSTILE = '<script>alert("1")</script> & "quotes" ' + "longword" * 20


def prompt(n: int) -> str:
    if n == 7:
        return HOSTILE
    return f"{ANIMALS[n % 10]}, {WORN[n % 4]}, {PLACES[n % 5]}, {STYLES[n * 3 % 5]}"


def tile(n: int, stars: frozenset[int] = frozenset()) -> Tile:
    width, height = SHAPES[n % 6]
    is_sheet = n % 11 == 5
    return Tile(
        id=f"p{n}",
        alt=prompt(n),
        width=width // 2,
        height=height // 2,
        is_favourite=n in stars,
        pictures=4 if is_sheet else 1,
    )


def recipe(n: int, heading: str = "") -> Recipe:
    width, height = SHAPES[n % 6]
    values = {
        "Subject": HOSTILE if n == 7 else f"{ANIMALS[n % 10]}, {WORN[n % 4]}",
        "Environment": PLACES[n % 5],
        "Style": STYLES[n * 3 % 5],
        "Leave out": "blurry, text",
        "Model": "pocket",
        "Seed": str(n * 977 % 99991),
        "Steps": "20",
        "Guidance": "5",
        "Sampler": "dpm++ 2m",
        "Size": f"{width} × {height}",
    }
    yaml = f"prompt: {prompt(n)}\nnegative_prompt: blurry, text\nmodel: pocket\nseed: {n * 977 % 99991}\nsteps: 20\n"
    command = f"!draw {values['Subject']} | environment: {PLACES[n % 5]} --seed {values['Seed']}"
    before = "Reply to the photo with:" if n % 3 == 1 else ""
    return Recipe(tuple(Fact(*item) for item in values.items()), yaml, heading, command, before)


class Checkout:
    """Reads the plugin's files as maubot does."""

    def sync_list_files(self, directory: str) -> list[str]:
        return [path.name for path in (ROOT / directory).iterdir()]

    def sync_read_file(self, path: str) -> bytes:
        return (ROOT / path).read_bytes()


class InventedGallery:
    """96 pictures of three days; ``stars`` are the numbers of the favourites."""

    def __init__(self, pictures: Path | None = None) -> None:
        """``pictures`` is a folder with images to show; without it they are plain colours."""
        self.stars = frozenset({2, 9, 14})
        self.folder = pictures
        self.asked: list[str] = []
        self._pages = Pages.read(Checkout())

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/easel/", self.grid),
                web.get("/easel/picture/{id}", self.picture),
                web.get("/easel/compare", self.compare),
                web.get("/easel/bin/{id}", self.bin),
                web.post("/easel/bin/{id}", self.removed),
                web.post("/easel/star/{id}", self.star),
                web.get("/easel/enter", self.enter),
                web.get("/easel/frame", self.frame),
                web.get("/easel/message", self.message),
                web.get("/easel/{kind:thumbnail|image|photo|download}/{id}", self.image),
                web.get("/easel/frame/{id}", self.image),
                web.static("/easel/static", ROOT / "bot/easel/gallery/static"),
            ]
        )
        app.on_response_prepare.append(self._protect)
        return app

    async def _protect(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = SECURITY
        self.asked.append(request.path_qs)

    def _page(self, request: web.Request, view: Any, status: int = 200) -> web.Response:
        root = "../" * (request.path.count("/") - 2) or "./"
        html = self._pages.html(view, root=root, token="token")
        return web.Response(text=html, content_type="text/html", status=status)

    def _matching(self, search: Search) -> list[int]:
        return [
            n
            for n in range(NUMBER)
            if all(word in prompt(n) for word in search.words.split())
            and search.theme in ("", ANIMALS[n % 10])
            and search.person in ("", PEOPLE[n % 4])
            and (not search.star or n in self.stars)
        ]

    def filters(self, search: Search) -> tuple[Filter, ...]:
        def made(name: str, label: str, values: tuple[str, ...]) -> Filter:
            return Filter(name, label, tuple(Choice(value, value) for value in values), getattr(search, name))

        return (
            made("theme", "Theme", ANIMALS),
            made("person", "Person", PEOPLE),
            made("room", "Room", ROOMS),
            made("style", "Style", STYLES),
            made("model", "Model", ("pocket", "ssd-1b")),
        )

    async def grid(self, request: web.Request) -> web.Response:
        search = read_search(request.query)
        found = self._matching(search)
        start = int(request.query.get("before", 0))
        shown = found[start : start + PAGE_SIZE]
        selected = request.query.getall("id", [])
        days = tuple(
            Day(*DAYS[day], tuple(tile(n, self.stars) for n in numbers))
            for day, numbers in groupby(shown, lambda n: 0 if n < 11 else 1 if n < 50 else 2)
        )
        view = views.Grid(
            search=search,
            filters=self.filters(search),
            days=days,
            before=str(start + PAGE_SIZE) if len(found) > start + PAGE_SIZE else "",
            is_selecting="select" in request.query,
            selected=tuple(tile(int(one[1:]), self.stars) for one in selected),
        )
        return self._page(request, view)

    async def picture(self, request: web.Request) -> web.Response:
        n, search = int(request.match_info["id"][1:]), read_search(request.query)
        if n >= NUMBER:
            return await self.message(request)
        found = self._matching(search)
        place = found.index(n) if n in found else 0
        own, (width, height) = tile(n, self.stars), SHAPES[n % 6]
        changes = (
            Difference("Subject", "otter, cowboy hat", "otter, cowboy hat, scarf"),
            Difference("Style", "", "watercolor"),
            Difference("Seed", "7", "977"),
        )
        view = views.Picture(
            tile=own,
            width=width,
            height=height,
            prompt=prompt(n),
            person=PEOPLE[n % 4],
            room=ROOMS[n % 2],
            time="28 November 2026, 19:04",
            recipes=tuple(recipe(n, f"{k}. seed {k}") for k in range(1, 5)) if own.pictures > 1 else (recipe(n),),
            link="https://matrix.to/#/!room/$event?via=localhost",
            search=search,
            newer=f"p{found[place - 1]}" if place else "",
            older=f"p{found[place + 1]}" if place + 1 < len(found) else "",
            origin=views.Origin(tile(n + 1), changes) if n % 3 == 1 else None,
            children=tuple(tile(k) for k in (n + 2, n + 3, n + 4)) if n % 3 == 1 else (),
            has_photo=n % 3 == 1,
            may_bin=n % 2 == 1,
        )
        return self._page(request, view)

    async def compare(self, request: web.Request) -> web.Response:
        numbers = [int(value[1:]) for value in request.query.getall("id")]
        if len(numbers) != 2:
            return self._page(request, views.Message("Please tick two pictures", "Then I lay them side by side."), 400)
        sides = [
            views.Side(
                tile=tile(n), width=SHAPES[n % 6][0], height=SHAPES[n % 6][1], prompt=prompt(n), about="Ada · today"
            )
            for n in numbers
        ]
        first, second = (recipe(n).facts for n in numbers)
        differences = [Difference(a.label, a.value, b.value) for a, b in zip(first, second, strict=True) if a != b]
        return self._page(request, views.Comparison(*sides, tuple(differences)))

    async def bin(self, request: web.Request) -> web.Response:
        n = int(request.match_info["id"][1:])
        return self._page(request, views.Bin(tile(n), prompt(n)))

    async def removed(self, request: web.Request) -> web.Response:
        assert (await request.post())["token"] == "token"
        raise web.HTTPSeeOther("../")

    async def star(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["token"] == "token"
        n = int(request.match_info["id"][1:])
        self.stars = self.stars | {n} if "star" in form else self.stars - {n}
        raise web.HTTPSeeOther(f"../picture/p{n}{read_search(request.query).query()}")

    async def enter(self, request: web.Request) -> web.Response:
        return self._page(request, views.Enter("secret"))

    async def frame(self, request: web.Request) -> web.Response:
        after, stars = request.query.get("after"), sorted(self.stars)
        n = next((star for star in stars if after and star > int(after[1:])), stars[0]) if stars else None
        view = views.Frame(secret=request.query["key"], room="Family", seconds=1)
        if n is not None:
            view = replace(view, tile=tile(n), width=SHAPES[n % 6][0], height=SHAPES[n % 6][1])
        return self._page(request, view)

    async def message(self, request: web.Request) -> web.Response:
        return self._page(request, views.Message("That picture is not here", "Perhaps somebody removed it."), 404)

    async def image(self, request: web.Request) -> web.Response:
        n = int(request.match_info["id"][1:])
        size = SHAPES[n % 6]
        if request.match_info.get("kind") == "thumbnail":
            size = size[0] // 2, size[1] // 2
        image = Image.new("RGB", size, ((n * 37) % 256, (n * 91) % 256, 160))
        if self.folder:
            image = ImageOps.fit(Image.open(self.folder / f"{n % 48}.png").convert("RGB"), size)
        written = BytesIO()
        image.save(written, "JPEG", quality=85)
        return web.Response(body=written.getvalue(), content_type="image/jpeg")
