"""Whether this machine can draw, in plain words, and what to do about each problem."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from generator.capabilities import all_cards, default_model, has_card
from generator.cards import CardSettings
from generator.client import NotRunning, call
from generator.settings import Settings
from generator.weights import how_to_get, is_here

GIB = 1024**3

# SSD-1B in fp16 with its text encoders in RAM and a tiled VAE peaks at 3.5 GiB; torch itself takes some 0.4 more.
CARD_NEEDS_BYTES = 4 * GIB

# SSD-1B in fp32 on the CPU: 5 GiB of UNet, 3 of text encoders, and room to work.
RAM_NEEDS_BYTES = 12 * GIB

# Some hundred pictures.
DISK_NEEDS_BYTES = 1 * GIB


_MORE = "For large pictures of anything: python -m generator fetch ssd-1b"


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``advice`` is what to do, if anything."""

    name: str
    level: Level
    message: str
    advice: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Everything that decides whether this machine can draw, in the order in which one would mend it."""
    return (_python(), *_torch_and_card(settings), _weights(settings), _disk(settings.pictures), _socket(settings))


def can_draw(findings: tuple[Finding, ...]) -> bool:
    return all(finding.level is not Level.PROBLEM for finding in findings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", Level.OK, f"Python {version}.")


def _torch_and_card(settings: Settings) -> Iterator[Finding]:
    try:
        import torch

        from generator.drawing.torch_build import card_problem
    except ImportError as error:
        yield Finding("torch", Level.PROBLEM, f"torch cannot be imported: {error}.", "Run make setup.")
        return
    yield Finding("torch", Level.OK, f"torch {torch.__version__}.")

    if not has_card(settings):
        why = "The settings say device: cpu." if settings.device == "cpu" else "There is no NVIDIA card here."
        yield Finding("card", Level.WARNING, f"{why} A large model takes minutes for a picture on the CPU.")
        name = default_model(settings)
        yield _memory(name, all_cards(settings)[name])
    elif problem := card_problem():
        message, _, advice = problem.partition("Install ")
        yield Finding("card", Level.PROBLEM, message.strip(), f"Install {advice}")
    else:
        yield _card_memory(torch.cuda.get_device_name(), *torch.cuda.mem_get_info())


def _card_memory(card: str, free: int, total: int) -> Finding:
    told = f"{card} has {free / GIB:.1f} of {total / GIB:.1f} GiB free."
    if total < CARD_NEEDS_BYTES:
        advice = f"SSD-1B needs {CARD_NEEDS_BYTES / GIB:.0f} GiB. Set device: cpu, or use another card."
        return Finding("card", Level.PROBLEM, told, advice)
    if free < CARD_NEEDS_BYTES:
        return Finding(
            "card", Level.WARNING, told, "Another program holds the memory: close it, or wait until it ends."
        )
    return Finding("card", Level.OK, told)


def _memory(name: str, card: CardSettings) -> Finding:
    available = psutil.virtual_memory().available
    told = f"{available / GIB:.1f} GiB of memory are free."
    if not card.built_in and available < RAM_NEEDS_BYTES:
        return Finding("memory", Level.WARNING, told, f"{name} on the CPU may need {RAM_NEEDS_BYTES / GIB:.0f} GiB.")
    return Finding("memory", Level.OK, told)


def _weights(settings: Settings) -> Finding:
    name = default_model(settings)
    card = all_cards(settings)[name]
    if not is_here(card):
        return Finding("weights", Level.PROBLEM, f"The weights of {name} are not here.", how_to_get(name, card))
    if card.built_in:
        return Finding("weights", Level.OK, f"{name} draws here: small pictures, few words.", _MORE)
    return Finding("weights", Level.OK, f"The weights of {name} are here.")


def _disk(pictures: Path) -> Finding:
    # lexists, since a folder that may not be entered and a broken link are in the way, too.
    folder = next(path for path in (pictures, *pictures.absolute().parents) if os.path.lexists(path))
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        return Finding("disk", Level.PROBLEM, f"{folder} is no folder.", "Move it away, or set pictures.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("disk", Level.PROBLEM, f"{folder} cannot be written to.", "Change its owner, or set pictures.")
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDS_BYTES:
        told = f"{free / GIB:.1f} GiB are free for pictures in {folder}."
        return Finding("disk", Level.WARNING, told, "Delete old pictures, or set keep_pictures_days.")
    return Finding("disk", Level.OK, f"{free / GIB:.0f} GiB are free for pictures in {pictures}.")


def _socket(settings: Settings) -> Finding:
    try:
        _, health = asyncio.run(call(settings, "GET", "/v1/health"))
    except NotRunning as error:
        return Finding("socket", Level.WARNING, str(error), "Start it: python -m generator serve")
    return Finding("socket", Level.OK, f"A generator answers on {settings.socket}; it is {health.get('state')}.")
