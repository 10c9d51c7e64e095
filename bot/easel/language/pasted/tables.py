"""Reads a table of Markdown as lines with labels, which the other forms are made of. Knows no label's meaning.

A table has a line of hyphens below its first row.
"""

import re
from collections.abc import Iterable
from itertools import takewhile

from ..flags import find_slot
from ..labels import field_called
from ..sentences import ParseError

_RULE = re.compile(r"^[ \t]*+(?=[^\n]*-)(?=[^\n]*\|)[|:\- \t]++$", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")

SEVERAL_ROWS = "That table has several pictures. Send one row at a time."


def without_table(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with ``label: value`` lines in place of a table, and the settings that nothing here is called by.

    Without a label among its cells, the cells are terms.
    """
    rule = _RULE.search(text)
    if rule is None:
        return text, ()
    before, _, head = text[: rule.start()].rstrip("\n").rpartition("\n")
    below = text[rule.end() :].removeprefix("\n").split("\n")
    rows = [_cells(line) for line in takewhile(lambda line: "|" in line, below)]
    lines, unused = _lines(_cells(head), rows)
    return "\n".join((before, *lines, *below[len(rows) :])).strip(), unused


def _lines(head: list[str], rows: list[list[str]]) -> tuple[list[str], tuple[str, ...]]:
    if rows and sum(map(_is_label, head)) > 1:
        if len(rows) > 1:
            raise ParseError(SEVERAL_ROWS)
        return _labelled(zip(head, rows[0], strict=False))
    if _is_label(head[0]):
        rows = [head, *rows]
    if any(_is_label(row[0]) for row in rows):
        return _labelled((row[0], ", ".join(filter(None, row[1:]))) for row in rows)
    return [", ".join(cell for row in rows for cell in row if cell)], ()


def _labelled(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], tuple[str, ...]]:
    known, unknown = list[str](), list[str]()
    for label, value in pairs:
        if value:
            (known if _is_label(label) else unknown).append(f"{label}: {value}")
    return known, tuple(setting.replace(": ", " ", 1) for setting in unknown)


def _cells(row: str) -> list[str]:
    return [cell.strip().strip("*`").strip() for cell in _BAR.split(row.strip().strip("|"))]


def _is_label(cell: str) -> bool:
    return field_called(cell) is not None or find_slot(cell) is not None
