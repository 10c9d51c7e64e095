"""Finds the sentences that people in a room read: texts in the bot's code, and the generator's refusals and notes.

What only the log or the code reads is left out: docstrings, log lines, patterns, and the exceptions of `LOGGED`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Of these modules of the generator a room reads what they refuse and note.
OF_THE_GENERATOR = (
    *("recipes/validation.py", "recipes/prompt.py", "pictures/image_files.py", "pictures/encoding.py", "errors.py"),
    *("engine/diffusion.py", "engine/text.py", "workers/child.py", "service/supervisor.py", "service/jobs.py"),
)

# Calls whose texts nobody in a room reads.
LOGGED = {"compile", "NotSent", "InvalidSettings", "info", "warning", "error", "exception", "debug"}

_SENTENCE = re.compile(r"[A-Z“…!⏳-].*[.?!:…]\"?")
_WORD = re.compile(r"[A-Za-z]{2,}")


def sentences() -> set[str]:
    """Each sentence, with ``…`` for what is filled in."""
    # A table's module speaks to the database.
    bot = (path for path in (ROOT / "bot" / "easel").rglob("*.py") if not path.stem.endswith(("_table", "_tables")))
    paths = [*bot, *(ROOT / "generator" / path for path in OF_THE_GENERATOR)]
    return {line for path in paths for line in _of(ast.parse(path.read_text(encoding="utf-8")))}


def _of(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and _name(node.func) in LOGGED:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr):
            yield from _lines(
                "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            )
            for part in node.values:
                yield from _of(part)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _lines(node.value)
        else:
            yield from _of(node)


def _lines(text: str) -> Iterator[str]:
    """The lines of a text that are sentences; lines with something to copy are none."""
    for line in text.splitlines():
        line = line.replace("`", "").replace("{}", "…").strip()
        if len(_WORD.findall(line)) > 1 and _SENTENCE.fullmatch(line) and "\\" not in line:
            yield line


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
