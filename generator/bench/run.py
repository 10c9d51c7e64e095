"""The whole of ``python -m generator bench``: what is measured on this machine, in order."""

import asyncio
import gc
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from generator.bench.card import copy_seconds, measure_card, measure_memory
from generator.bench.drawing import measure_drawing, measure_previews
from generator.bench.figures import Report
from generator.bench.machine import facts
from generator.bench.ours import Ours
from generator.bench.random_weights import NAMES, save_random
from generator.bench.service import measure_service
from generator.bench.stock import Stock
from generator.bench.subject import Subject
from generator.capabilities import all_cards, default_model, has_card
from generator.cards import CardSettings
from generator.errors import Refused, WeightsMissing
from generator.settings import Settings
from generator.weights import how_to_get, is_here

_NOT_HERE = {
    "R2": "stock with torch.compile is not compared with yet",
    "R5": "whether a job joins within one step is a test, not a time",
    "R10": "needs a homeserver: python -m benchmarks.whole_way",
}
_NEED_A_CARD = ("R1", "R3", "R4", "R8")
ROWS = ("R1", "R3", "R4", "R6", "R7", "R8", "R9", "R11", "R12")


def bench(settings: Settings, model: str | None, *, repeats: int, rows: Collection[str] = ROWS) -> Report:
    """Measures ``rows`` and what is measured with them. Raises GeneratorError where the model cannot draw here."""
    wanted = set(rows)
    if unknown := sorted(wanted.difference(ROWS)):
        message = f"“{unknown[0]}” is not a row that is measured here. There is: {', '.join(ROWS)}."
        raise Refused("unknown_choice", message, field="rows", value=unknown[0], choices=ROWS)
    report = Report(not_measured=dict(_NOT_HERE))
    with TemporaryDirectory(prefix="easel-bench-") as name:
        folder = Path(name)
        subject = _subject(settings, model or default_model(settings), folder / "weights")
        settings = subject.settings(settings, folder)
        uses_card = has_card(settings) and torch.cuda.is_available()

        # 1. The service first, and memory: nothing of ours is on the card yet.
        if wanted & {"R7", "R11"}:
            asyncio.run(measure_service(report, subject, settings, repeats=repeats, copy_s=copy_seconds(subject)))
        if uses_card and "R8" in wanted:
            measure_memory(report, subject, settings)
            gc.collect()

        # 2. The engine beside the stock pipeline.
        ours = Ours(settings)
        if wanted & {"R1", "R3", "R4", "R6", "R12"}:
            stock = Stock(subject, device=ours.device, dtype=ours.dtype)
        if wanted & {"R6", "R12"}:
            measure_drawing(report, subject, ours, stock, repeats=repeats)
        if "R9" in wanted:
            measure_previews(report, subject, ours, repeats=repeats)
        if uses_card and wanted & {"R1", "R3", "R4"}:
            measure_card(report, subject, ours, stock, repeats=repeats)
        if not uses_card:
            report.not_measured |= dict.fromkeys(wanted.intersection(_NEED_A_CARD), "there is no card here")
        report.facts = facts(subject.label, device=ours.device, dtype=ours.dtype, repeats=repeats)
    return report


def _subject(settings: Settings, name: str, folder: Path) -> Subject:
    """The model with its own weights, or, where there is a card to draw with them, with random ones."""
    cards = all_cards(settings)
    if name not in cards:
        raise Refused("unknown_choice", f"“{name}” is not a model. There is: {', '.join(cards)}.", choices=tuple(cards))
    card = cards[name]
    if is_here(card):
        return Subject(name, card, f"{name}, its own weights")
    if name not in NAMES or not (has_card(settings) and torch.cuda.is_available()):
        message = f"The weights of {name} are not here, and random ones are for a card. {how_to_get(name, card)}"
        raise WeightsMissing("weights_missing", message)
    save_random(name, folder)
    sources = {"repository": None, "revision": None, "variant": None, "folder": folder}
    card = CardSettings.model_validate({**card.model_dump(), **sources})
    return Subject(name, card, f"{name}, its true architecture with random weights")
