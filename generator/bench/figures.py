"""Figures with their targets, as JSON and as a table. Knows neither torch nor how anything is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A median that should be at most ``target``, or with ``at_least`` no less. Without a ``unit`` it is a ratio.

    ``spread`` is the interquartile range of the single values: how noisy the machine was.
    """

    value: float
    target: float
    spread: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def margin(self) -> float:
        """How far the target is exceeded, as a ratio: 1 just meets it. Compares figures with each other."""
        return self.value / self.target if self.at_least else self.target / max(self.value, 1e-9)

    def as_json(self) -> dict[str, Any]:
        unit = {"unit": self.unit} if self.unit else {}
        return {
            "value": round(self.value, 4),
            "target": self.target,
            "met": self.met,
            "spread": round(self.spread, 4),
            **unit,
        }


def figure(values: Sequence[float], target: float, *, unit: str = "", at_least: bool = False) -> Figure:
    """Make a figure of single values, each from measurements that were taken right after each other."""
    lower, _, upper = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Figure(median(values), target, upper - lower, unit, at_least)


@dataclass
class Report:
    """The results of one run. A row may have several figures, for sizes or tiers; the worst one represents it."""

    rows: dict[str, dict[str, Figure]] = field(default_factory=dict)
    # Figures without a target that explain the rows.
    details: dict[str, Any] = field(default_factory=dict)
    # The reason why a row has no figure, by row.
    not_measured: dict[str, str] = field(default_factory=dict)
    # Machine, versions and command.
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        missing = [{"row": row, "reason": reason} for row, reason in sorted(self.not_measured.items())]
        rows = {row: _row(self.rows[row]) for row in sorted(self.rows, key=_number)}
        return {**rows, "not_measured": missing, **self.details, **self.facts}

    def table(self) -> str:
        lines = [f"{'':34}{'value':>10}{'spread':>10}{'target':>12}"]
        for row in sorted(self.rows, key=_number):
            for name, one in self.rows[row].items():
                target = f"{'≥' if one.at_least else '≤'} {one.target:g} {one.unit}".rstrip()
                met = "met" if one.met else "MISSED"
                lines.append(f"{row:4}{name:30}{one.value:10.3f}{one.spread:10.3f}{target:>12}  {met}")
        lines += [f"{row:4}not measured: {reason}" for row, reason in sorted(self.not_measured.items())]
        for title, found in {**self.details, **self.facts}.items():
            lines.append("")
            lines += _lines(title, found, indent=0)
        return "\n".join(lines)


def _row(parts: Mapping[str, Figure]) -> dict[str, Any]:
    worst = min(parts.values(), key=lambda one: one.margin)
    return {**worst.as_json(), "parts": {name: one.as_json() for name, one in parts.items()}}


def _number(row: str) -> int:
    return int(row.removeprefix("R"))


def _lines(title: str, found: Any, *, indent: int) -> list[str]:
    if not isinstance(found, Mapping):
        return [f"{' ' * indent}{title}: {found}"]
    inner = [line for key, value in found.items() for line in _lines(key, value, indent=indent + 2)]
    return [f"{' ' * indent}{title}", *inner]
