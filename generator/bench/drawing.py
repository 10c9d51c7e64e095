"""R6, R9 and R12: the engine against the stock pipeline, its tiers against each other, previews on and off."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

from generator.api.types import Recipe
from generator.bench.figures import Report, figure
from generator.bench.operations import operations
from generator.bench.ours import Ours
from generator.bench.stock import Stock
from generator.bench.subject import Subject, size_label
from generator.bench.timing import Taken, in_turns, ratios

# The greatest share of the time of ``exact``.
MOST_OF_EXACT = {"balanced": 0.83, "fast": 0.40}

# How much longer previews may take a picture.
MOST_WITH_PREVIEWS = 1.02

# Never slower than the stock pipeline.
LEAST_OF_STOCK = 1.0


def measure_drawing(report: Report, subject: Subject, ours: Ours, stock: Stock, *, repeats: int) -> None:
    """R6 and R12: the stock pipeline and all tiers in turns, at every size.

    At a small model's native size the call itself takes much of the time, and no tier can save that; at the largest
    size nearly all is arithmetic.
    """
    report.rows["R6"], report.rows["R12"] = {}, {}
    report.details["tiers"] = {}
    for size in subject.sizes:
        recipe = partial(subject.recipe, size=size)
        ways: dict[str, Callable[[int], object]] = {"stock": partial(_drawn, stock.picture, recipe)}
        ways |= {tier: partial(_drawn, ours.picture, partial(recipe, tier=tier)) for tier in subject.tiers}
        taken = in_turns(ways, repeats=repeats, what=f"R6, R12 at {size_label(size)}")
        stock_by_ours = ratios(taken["stock"].seconds, taken["exact"].seconds)
        report.rows["R12"][size_label(size)] = figure(stock_by_ours, LEAST_OF_STOCK, at_least=True)
        report.rows["R6"] |= {
            f"{tier}, {size_label(size)}": figure(ratios(taken[tier].seconds, taken["exact"].seconds), most)
            for tier, most in MOST_OF_EXACT.items()
        }
        report.details["tiers"][size_label(size)] = _tiers(
            ours, {tier: recipe(0, tier=tier) for tier in subject.tiers}, taken
        )


def _drawn(picture: Callable[[Recipe], bytes], recipe: Callable[[int], Recipe], turn: int) -> bytes:
    return picture(recipe(turn))


def measure_previews(report: Report, subject: Subject, ours: Ours, *, repeats: int) -> None:
    """R9: pictures with previews against pictures without."""

    def drawn(turn: int, *, previews: bool) -> bytes:
        return ours.picture(subject.recipe(turn, subject.native), previews=previews)

    ways = {"on": partial(drawn, previews=True), "off": partial(drawn, previews=False)}
    taken = in_turns(ways, repeats=repeats, what="R9, previews")
    by_turn = ratios(taken["on"].seconds, taken["off"].seconds)
    report.rows["R9"] = {size_label(subject.native): figure(by_turn, MOST_WITH_PREVIEWS)}
    report.details["previews"] = {"processor": _median_ratio(taken["on"].processor, taken["off"].processor)}


def _tiers(ours: Ours, recipes: Mapping[str, Recipe], taken: Mapping[str, Taken]) -> dict[str, Any]:
    """How each tier spends its time, and its shares of ``exact`` in time, processor time and operations."""
    counted = {tier: operations(ours, recipe) for tier, recipe in recipes.items()}

    def compared(way: str) -> dict[str, Any]:
        exact = taken["exact"]
        of_exact = {
            "time": _median_ratio(taken[way].seconds, exact.seconds),
            "processor": _median_ratio(taken[way].processor, exact.processor),
        }
        if way in counted:
            of_exact["operations"] = round(counted[way] / counted["exact"], 3)
        return {"seconds": round(median(taken[way].seconds), 3), "of exact": of_exact}

    tiers = {
        tier: {**compared(tier), "GFLOP": round(counted[tier] / 1e9, 2), "made of": made_of(ours, recipe)}
        for tier, recipe in recipes.items()
    }
    return {"stock": compared("stock"), **tiers}


def made_of(ours: Ours, recipe: Recipe) -> dict[str, str]:
    """Format how often each kind of work occurs in a drawing, and its median time."""
    return {kind: f"{len(times)} of {1000 * median(times):.1f} ms" for kind, times in ours.parts(recipe).items()}


def _median_ratio(above: list[float], below: list[float]) -> float:
    return round(median(ratios(above, below)), 3)
