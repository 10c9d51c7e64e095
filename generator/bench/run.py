"""Run ``python -m generator bench``: everything that can be measured on this machine, in order."""

import asyncio
import gc
import logging
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from generator.bench.card import SDXL, copy_seconds, measure_card, measure_compiled, measure_memory, measure_sdxl
from generator.bench.drawing import measure_drawing, measure_previews
from generator.bench.figures import Report
from generator.bench.machine import facts
from generator.bench.ours import Ours
from generator.bench.random_weights import NAMES, save_random
from generator.bench.service import measure_service
from generator.bench.stock import Stock
from generator.bench.subject import Subject
from generator.errors import Refused, WeightsMissing
from generator.models.cards import CardSettings
from generator.models.registry import all_cards, default_model, has_card
from generator.models.weights import how_to_get, is_here
from generator.settings import Settings

log = logging.getLogger(__name__)

_NOT_HERE = {
    "R5": "whether a job joins within one step is a test, not a time",
    "R10": "needs a homeserver: python -m benchmarks.whole_way",
}
_NEED_A_CARD = ("R1", "R2", "R3", "R4", "R8", "R13")
ROWS = ("R1", "R2", "R3", "R4", "R6", "R7", "R8", "R9", "R11", "R12", "R13")


def bench(settings: Settings, model: str | None, *, repeats: int, rows: Collection[str] = ROWS) -> Report:
    """Measure ``rows``, and the rows that share their runs. Raises GeneratorError if the model cannot draw here."""
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

        def measure(rows: set[str], work: Callable[[], object]) -> None:
            """Measure rows that share a run. A failure is reported in their place, and the other rows go on."""
            if not wanted & rows:
                return
            try:
                work()
            except Exception as error:
                log.exception("%s could not be measured", ", ".join(sorted(wanted & rows)))
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                report.not_measured |= {row: reason for row in wanted & rows if row not in report.rows}

        # 1. The service and memory first, while the card is empty.
        measure({"R7", "R11"}, lambda: _measure_service(report, subject, settings, repeats=repeats))
        if uses_card:
            measure({"R8"}, partial(measure_memory, report, subject, settings))
            gc.collect()

        # 2. The engine against the stock pipeline.
        ours = Ours(settings)
        report.facts = facts(subject.label, device=ours.device, dtype=ours.dtype, repeats=repeats)
        measure({"R9"}, partial(measure_previews, report, subject, ours, repeats=repeats))
        if wanted & {"R1", "R2", "R3", "R4", "R6", "R12"}:
            stock = Stock(subject, device=ours.device, dtype=ours.dtype)
            beside = (report, subject, ours, stock)
            measure({"R6", "R12"}, partial(measure_drawing, *beside, repeats=repeats))
            if uses_card:
                measure({"R1", "R3", "R4"}, partial(measure_card, *beside, repeats=repeats))
                # R2 comes last, since the stock pipeline stays compiled.
                measure({"R2"}, partial(measure_compiled, *beside, repeats=repeats))
            del stock, beside
        del ours
        gc.collect()

        # 3. Another model, alone on the card.
        if uses_card:
            torch.cuda.empty_cache()
            measure({"R13"}, lambda: _measure_sdxl(report, settings, folder, repeats=repeats))
        else:
            report.not_measured |= dict.fromkeys(wanted.intersection(_NEED_A_CARD), "there is no card here")
    return report


def _measure_service(report: Report, subject: Subject, settings: Settings, *, repeats: int) -> None:
    asyncio.run(measure_service(report, subject, settings, repeats=repeats, copy_s=copy_seconds(subject)))


def _measure_sdxl(report: Report, settings: Settings, folder: Path, *, repeats: int) -> None:
    subject = _subject(settings, SDXL, folder / "sdxl")
    measure_sdxl(report, subject, subject.settings(settings, folder), repeats=repeats)


def _subject(settings: Settings, name: str, folder: Path) -> Subject:
    """The model with its own weights, or with random ones if there is a card. Raises Refused and WeightsMissing."""
    cards = all_cards(settings)
    if name not in cards:
        raise Refused("unknown_choice", f"“{name}” is not a model. There is: {', '.join(cards)}.", choices=tuple(cards))
    card = cards[name]
    if is_here(card):
        return Subject(name, card, f"{name}, its own weights")
    if name not in NAMES or not (has_card(settings) and torch.cuda.is_available()):
        message = f"The weights of {name} are not here, and random ones are for a card. {how_to_get(name, card)}"
        raise WeightsMissing(message)
    save_random(name, folder)
    sources = {"repository": None, "revision": None, "variant": None, "folder": folder}
    card = CardSettings.model_validate({**card.model_dump(), **sources})
    return Subject(name, card, f"{name}, its true architecture with random weights")
