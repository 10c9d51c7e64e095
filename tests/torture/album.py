"""Look at the gallery afterwards, as a person does who takes everything home."""

import re
from html import unescape
from io import BytesIO
from zipfile import ZipFile

import aiohttp
import yaml

from household.home import Household
from household.person import Person
from tests.torture.audit import PNG

# As many as the gallery packs at once.
PACKED = 64


async def seeds_in_gallery(home: Household, person: Person, chat: str, authors: tuple[Person, ...]) -> list[int]:
    """Return the seed of every picture of these people that the gallery shows and packs. ``chat`` is a direct chat."""
    asked = await person.say(chat, "!easel gallery")
    link = (await person.hear(lambda event: event.reply_to == asked)).body.splitlines()[-1]
    seeds = []
    async with aiohttp.ClientSession(home.gallery_url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.post("enter", data={"key": link.partition("key=")[2]}) as answer:
            answer.raise_for_status()
        for author in authors:
            ids = await pictures_of(browser, author.account.user_id)
            for at in range(0, len(ids), PACKED):
                some = [("id", one) for one in ids[at : at + PACKED]]
                async with browser.get("zip", params=some) as answer:
                    archive = ZipFile(BytesIO(await answer.read()))
                files = {name: archive.read(name) for name in archive.namelist()}
                recipes = [name for name in files if name.endswith(".yml")]
                shown = [name for name in recipes if files[name.replace(".yml", ".png")].startswith(PNG)]
                seeds += [yaml.safe_load(files[name])["seed"] for name in shown]
    return seeds


async def pictures_of(browser: aiohttp.ClientSession, user_id: str) -> list[str]:
    """Return the ids on all pages with a person's pictures."""
    ids, before = list[str](), ""
    while True:
        async with browser.get("", params={"person": user_id, "before": before}) as answer:
            answer.raise_for_status()
            page = await answer.text()
        ids += re.findall(r'src="[./]*thumbnail/([\w-]+)"', page)
        older = re.search(r'rel="next" href="[^"]*before=([^"&]+)', page)
        if not older:
            return ids
        before = unescape(older[1])
