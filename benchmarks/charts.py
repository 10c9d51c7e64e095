"""Draw small line charts into one picture. Knows nothing of what is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

# In inches, at 100 pixels each.
_WIDTH, _HEIGHT, _FOOT = 4.0, 2.8, 0.3


@dataclass(frozen=True)
class Chart:
    """A line through measured points; both axes begin at 0. ``unit`` labels the vertical axis."""

    title: str
    unit: str
    across: str
    points: Sequence[tuple[float, float]]
    colour: str = "#1f6fb2"


def save(rows: Sequence[Sequence[Chart]], foot: str, path: Path) -> None:
    """Save all charts, in rows, with a line of text below."""
    columns = max(map(len, rows))
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * len(rows) + _FOOT), layout="constrained")
    for axes, chart in zip(figure.subplots(len(rows), columns).flat, [one for row in rows for one in row], strict=True):
        axes.plot(*zip(*chart.points, strict=True), marker="o", color=chart.colour)
        axes.set(title=chart.title, xlabel=chart.across, ylabel=chart.unit, xlim=(0, None), ylim=(0, None))
        axes.grid(axis="y", color="#dddddd")
    figure.supxlabel(foot, x=0.01, ha="left", fontsize="small")
    figure.savefig(path, dpi=100)
