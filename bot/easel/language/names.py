"""Names are equal in any capitals, and with hyphens, underscores, spaces or nothing between their words.

Knows what other programs call samplers, but not which samplers there are.
"""

import re
from collections.abc import Iterable

_BETWEEN = re.compile(r"[\s_-]+")

# What A1111, InvokeAI, Fooocus, NovelAI and diffusers call the samplers that Easel has, folded, without "k_".
_SAMPLERS = {
    "unipc": ("unipc", "unipcmultistep", "unipcbh2"),
    "euler_a": ("eulera", "eulerancestral", "eulerancestraldiscrete"),
    "euler": ("euler", "eulerdiscrete"),
    "pndm": ("pndm", "plms"),
    "dpmpp_2m": ("dpmpp2m", "dpmsolvermultistep"),
    "dpmpp_2m_sde": ("dpmpp2msde", "dpmpp2msdegpu"),
    "lcm": ("lcm",),
}
_SAMPLER_BY_NAME = {name: sampler for sampler, names in _SAMPLERS.items() for name in names}

# The schedules that other programs put behind a sampler's name. InvokeAI's "_k" is Karras.
_SCHEDULE = re.compile(
    r"(?P<name>.*?)[\s_]+(?P<schedule>k|karras|exponential|polyexponential|simple|normal|beta|"
    r"sgm[ _]uniform|ddim[ _]uniform|align[ _]your[ _]steps)",
    re.IGNORECASE,
)


def folded(name: str) -> str:
    """The name as it is compared."""
    return _BETWEEN.sub("", name).casefold()


def same_name(name: str, choices: Iterable[str]) -> str | None:
    """The choice that is called like that, or None."""
    wanted = folded(name)
    return next((choice for choice in choices if folded(choice) == wanted), None)


def sampler_name(name: str) -> tuple[str, str | None]:
    """Easel's name of a sampler that another program names, else the name itself; and its schedule, if it has one."""
    schedule = None
    if with_schedule := _SCHEDULE.fullmatch(name.strip()[:60]):
        name, schedule = with_schedule["name"], with_schedule["schedule"]
    key = folded(name.replace("+", "p")).removesuffix("scheduler")
    known = _SAMPLER_BY_NAME.get(key) or _SAMPLER_BY_NAME.get(key.removeprefix("k"))
    return known or name.strip(), {"k": "Karras"}.get((schedule or "").lower(), schedule)
