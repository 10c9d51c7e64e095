"""Find out whether this machine can draw, and advise on each problem. Draws and changes nothing itself."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator.client import NotRunning, call
from generator.errors import CardBusy, DrawingFailed
from generator.models.registry import all_cards, default_model, has_card, larger_model
from generator.models.weights import how_to_get, how_to_get_lora, is_here, locate, lora_bytes
from generator.settings import Settings

if TYPE_CHECKING:
    import torch

    from generator.engine.needs import Arrangement, Needs

GIB = 1024**3

# Room for some hundred pictures.
DISK_NEEDS_BYTES = 1 * GIB

_MORE = "For large pictures of anything: python -m generator fetch ssd-1b"


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``advice`` is what to do, if anything."""

    name: str
    level: Level
    message: str
    advice: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Check everything that decides whether this machine can draw, in the order in which to fix it."""
    try:
        _, health = asyncio.run(call(settings, "GET", "/v1/health"))
        socket = Finding("socket", Level.OK, f"A generator answers on {settings.socket}; it is {health.get('state')}.")
    except NotRunning as error:
        health = {}
        socket = Finding("socket", Level.WARNING, str(error), error.advice)
    return (_python(), *_torch_and_card(settings, health), _weights(settings), _disk(settings.pictures), socket)


def can_draw(findings: tuple[Finding, ...]) -> bool:
    return all(finding.level is not Level.PROBLEM for finding in findings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", Level.OK, f"Python {version}.")


def _torch_and_card(settings: Settings, health: dict[str, Any]) -> Iterator[Finding]:
    try:
        import torch

        from generator.engine.torch_build import card_problem, index_of
    # A file of torch that was cut off is an OSError.
    except (ImportError, OSError) as error:
        # Where make knows of nothing to do, make setup alone does nothing.
        yield Finding("torch", Level.PROBLEM, f"torch cannot be imported: {error}.", "Install it anew: make -B setup")
        return
    yield Finding("torch", Level.OK, f"torch {torch.__version__}.")

    if not has_card(settings):
        why = "The settings say device: cpu." if settings.device == "cpu" else "There is no NVIDIA card here."
        yield Finding("card", Level.WARNING, f"{why} A large model takes minutes for a picture on the CPU.")
    elif problem := card_problem(settings.device):
        yield Finding("card", Level.PROBLEM, problem.message, problem.advice)
        return
    else:
        names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
        yield card_found(names, index_of(settings.device))
        yield from speed(default_model(settings), torch.device("cuda", index_of(settings.device)))
    held = held_by_the_service(health)
    yield from held
    if not any(finding.name.startswith("memory") for finding in held):
        yield _memory(settings)


def held_by_the_service(health: dict[str, Any]) -> list[Finding]:
    """Report what the workers of the running service hold of the memory, and their trouble; of several, what they do.

    Their memory is not free for this process, so what is free says nothing of whether it can draw.
    """
    workers = health.get("workers", [])
    return [finding for worker in workers for finding in _worker(worker, f" {worker['name']}" * (len(workers) > 1))]


def _worker(worker: dict[str, Any], name: str) -> Iterator[Finding]:
    if worker["trouble"]:
        yield Finding(f"card{name}", Level.WARNING, worker["trouble"], "The generator's log says more.")
    elif name:
        does = f"draws {', '.join(worker['jobs'])}" if worker["jobs"] else f"is {worker['state']}"
        yield Finding(f"card{name}", Level.OK, f"{worker['device'] or 'It'} {does}.")
    if not worker["models"] or not worker["arrangement"] or not worker["memory"]:
        return
    used, total = (worker["memory"][key] / GIB for key in ("used_bytes", "total_bytes"))
    message = f"The service has loaded {', '.join(worker['models'])}, {worker['arrangement']}"
    speed = f" It does {worker['steps_per_second']:.2g} steps a second." if worker["steps_per_second"] else ""
    use = f"{used:.1f} of {total:.1f} GiB are in use by all programs.{speed}"
    yield Finding(f"memory{name}", Level.OK, f"{message}; {use}")


def card_found(names: Sequence[str], index: int) -> Finding:
    """Report the card that draws, and the others."""
    from generator.engine.torch_build import listed

    if len(names) == 1:
        return Finding("card", Level.OK, f"{names[0]}.")
    advice = "To draw with another one, set device."
    return Finding("card", Level.OK, f"{names[index]} draws; there is {listed(names)}.", advice)


def speed(model: str, device: "torch.device") -> Iterator[Finding]:
    """Report the fastest ways of calling the model on this card, if they were measured before."""
    from generator.engine.remembered_ways import Remembered

    if (ways := Remembered().latest(device, model)) is not None:
        yield Finding("speed", Level.OK, f"{model} is fastest here with {ways}.")


def _memory(settings: Settings) -> Finding:
    """Report how the generator would arrange the default model in the memory of the device."""
    from generator.engine.memory import memory_of
    from generator.engine.needs import count
    from generator.engine.plan import free_bytes, make_plan

    try:
        plan = make_plan(settings.device, settings.vae_tiling)
    except DrawingFailed as error:
        return Finding("memory", Level.PROBLEM, str(error))
    free, total = free_bytes(plan.device), memory_of(plan.device).total_bytes
    name = default_model(settings)
    card = all_cards(settings)[name]
    if not is_here(card):
        return Finding("memory", Level.OK, f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free.")
    width, height = card.sizes["square"]
    try:
        needs = count(name, card, locate(name, card), stored=plan.stored, computed=plan.computed)
        return room(name, needs, free=free, total=total, pixels=width * height, possible=plan.arrangements)
    except DrawingFailed as error:
        return Finding("memory", Level.PROBLEM, str(error))


def room(
    name: str, needs: "Needs", *, free: int, total: int, pixels: int, possible: "tuple[Arrangement, ...]"
) -> Finding:
    """Report how much of a device's memory a model takes. Raises DrawingFailed if it can never fit."""
    from generator.engine.needs import arrange

    try:
        arrangement = arrange(name, needs, free=free, total=total, pixels=pixels, possible=possible)
    except CardBusy as busy:
        return Finding("memory", Level.WARNING, str(busy), "Close what holds the memory, or wait until it ends.")
    return Finding(
        "memory",
        Level.OK,
        f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free; "
        f"{name} takes up to {needs.peak_gib(arrangement, pixels):.1f} GiB, {arrangement.meaning}.",
    )


def _weights(settings: Settings) -> Finding:
    name = default_model(settings)
    card = all_cards(settings)[name]
    if not is_here(card):
        return Finding("weights", Level.PROBLEM, f"The weights of {name} are not here.", how_to_get(name, card))
    if (larger := larger_model(settings)) is not None:
        message = f"{name} draws here, small pictures and few words, until the weights of {larger} are here."
        return Finding("weights", Level.WARNING, message, how_to_get(larger, all_cards(settings)[larger]))
    if card.built_in:
        return Finding("weights", Level.OK, f"{name} draws here: small pictures, few words.", _MORE)
    if card.draft and not lora_bytes(card):
        message = f"The weights of {name} are here, the LoRA of its drafts is not."
        return Finding("weights", Level.WARNING, message, how_to_get_lora(name, card.draft.lora))
    return Finding("weights", Level.OK, f"The weights of {name} are here.")


def _disk(pictures: Path) -> Finding:
    # lexists, since a broken link and a folder without access are in the way, too.
    folder = next(path for path in (pictures, *pictures.absolute().parents) if os.path.lexists(path))
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        return Finding("disk", Level.PROBLEM, f"{folder} is no folder.", "Move it away, or set pictures.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("disk", Level.PROBLEM, f"{folder} cannot be written to.", "Change its owner, or set pictures.")
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDS_BYTES:
        message = f"{free / GIB:.1f} GiB are free for pictures in {folder}."
        return Finding("disk", Level.WARNING, message, "Delete old pictures, or set keep_pictures_days.")
    return Finding("disk", Level.OK, f"{free / GIB:.0f} GiB are free for pictures in {pictures}.")
