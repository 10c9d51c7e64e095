"""A text in two forms: plain, for clients and notifications without HTML, and HTML, of the few tags that Matrix has.

What people typed stays what it is in both: it is escaped, and nothing of it is read as markup. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

_CODE = re.compile(r"`([^`\n]+)`")
_POINT = "• "


@dataclass(frozen=True)
class Rich:
    """A text and its HTML."""

    plain: str
    html: str

    def __add__(self, other: "Rich | str") -> "Rich":
        other = other if isinstance(other, Rich) else text(other)
        return Rich(self.plain + other.plain, self.html + other.html)


Text = str | Rich


def text(words: str) -> Rich:
    return Rich(words, escape(words, quote=False).replace("\n", "<br>"))


def bold(words: str) -> Rich:
    return Rich(words, f"<strong>{escape(words, quote=False)}</strong>")


def code(words: str) -> Rich:
    """Something to type or to copy."""
    return Rich(words, f"<code>{escape(words, quote=False)}</code>")


def link(words: str, url: str) -> Rich:
    """Named in HTML; in plain text the address stands on a line of its own, where it can be tapped."""
    return Rich(f"{words}\n{url}", f'<a href="{escape(url)}">{escape(words, quote=False)}</a>')


def points(items: Iterable[Rich]) -> Rich:
    """A list with a dot before each item."""
    items = tuple(items)
    return Rich("\n".join(_POINT + item.plain for item in items), _list("ul", items))


def numbered(items: Iterable[Rich]) -> Rich:
    items = tuple(items)
    plain = "\n".join(f"{number}. {item.plain}" for number, item in enumerate(items, start=1))
    return Rich(plain, _list("ol", items))


def blocks(*parts: Text, gap: str = "\n") -> Rich:
    """Parts below each other: a list as it is, anything else as a paragraph. ``gap`` is between them in plain text."""
    rich = [part if isinstance(part, Rich) else text(part) for part in parts if part]
    return Rich(gap.join(part.plain for part in rich), "".join(_paragraph(part.html) for part in rich))


def written(words: str) -> Rich:
    """A text of ours: ``code`` stands in backticks, an empty line begins a paragraph, ``• `` a point of a list."""
    paragraphs, plain = [], []
    for paragraph in words.strip().split("\n\n"):
        lines, html, items = paragraph.split("\n"), [], list[str]()
        for line in [*lines, ""]:
            if line.startswith(_POINT):
                items.append(_marked(line.removeprefix(_POINT)))
                continue
            if items:
                html.append(f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>")
                items = []
            if line:
                html.append(_marked(line))
        paragraphs.append("<br>".join(html).replace("<br><ul>", "<ul>").replace("</ul><br>", "</ul>"))
        plain.append(_CODE.sub(r"\1", paragraph))
    return Rich("\n\n".join(plain), "".join(map(_paragraph, paragraphs)))


def plain_of(part: Text) -> str:
    return part.plain if isinstance(part, Rich) else part


def _paragraph(html: str) -> str:
    return html if html.startswith(("<ul>", "<ol>", "<p>")) else f"<p>{html}</p>"


def _marked(line: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(line, quote=False))


def _list(tag: str, items: Iterable[Rich]) -> str:
    return f"<{tag}>{''.join(f'<li>{item.html}</li>' for item in items)}</{tag}>"
