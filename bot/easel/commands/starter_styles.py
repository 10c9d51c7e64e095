"""The styles that every room has from the start: what worked for Easel's first user."""

from collections.abc import Iterable

from ..jobs.style_table import Style

STARTER_STYLES = {
    "watercolor": "(watercolor)+, soft edges",
    "line-drawing": "(line drawing)+, black ink, white paper",
    "pointillism": "(pointillism)+, dots",
    "pop-art": "(pop art)+, bold colors",
    "cubism": "(cubism)+, geometric shapes",
    "marker-drawing": "(marker drawing)+, thick strokes",
    "renaissance-portrait": "(renaissance portrait)+, oil painting",
    "clay-animation": "(clay animation)+, stop motion",
    "16-bit": "(16-bit)+, pixel art",
    "2000s-fashion": "(2000s fashion)+, flash photo",
}


def with_starter_styles(own: Iterable[Style]) -> dict[str, str]:
    """The terms of every name in a room that has styles of its own."""
    return STARTER_STYLES | {style.name: style.words for style in own}
