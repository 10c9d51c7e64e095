"""Draw headgear and outfits, cut to the place where every animal stands."""

from training.pocket.animals import BODY_X, HEAD_X
from training.pocket.canvas import Canvas, Colour

_DENIM: Colour = (58, 104, 190)
_RED: Colour = (226, 38, 44)
_OLIVE: Colour = (112, 124, 56)
_BOOT: Colour = (236, 64, 150)


def draw_headgear(canvas: Canvas, headgear: str) -> None:
    match headgear:
        case "cowboy hat":
            crown = [(24, 15), (25.5, 5), (29.5, 3), (32, 5.5), (34.5, 3), (38.5, 5), (40, 15)]
            canvas.polygon(crown, (186, 116, 48))
            brim = [(13, 11), (18, 14.2), (32, 16), (46, 14.2), (51, 11), (47, 17.5), (32, 20), (17, 17.5)]
            canvas.polygon(brim, (186, 116, 48))
            canvas.polygon([(24.4, 12), (39.6, 12), (40, 15), (24, 15)], (110, 56, 24), line=0)
        case "top hat":
            canvas.rectangle((23.5, 1.5), (40.5, 16), (44, 40, 58))
            canvas.rectangle((23.5, 11.5), (40.5, 15.5), (214, 44, 60), line=0)
            canvas.ellipse((HEAD_X, 17), 14, 2.2, (44, 40, 58))
        case "party hat":
            canvas.polygon([(24, 17.5), (32, 2.5), (40, 17.5)], (60, 190, 226))
            for low, high in ((0.0, 0.28), (0.55, 0.8)):
                canvas.polygon(
                    [_on_cone(low, -1), _on_cone(high, -1), _on_cone(high, 1), _on_cone(low, 1)], (246, 84, 170), line=0
                )
            canvas.ellipse((32, 3.2), 2.8, 2.8, (255, 222, 60))
        case "headphones":
            arc = [(18.5, 25), (19, 18), (23, 13), (28, 11), (36, 11), (41, 13), (45, 18), (45.5, 25)]
            canvas.limb(arc, (60, 64, 76), width=3.0)
            for x in (17.8, 46.2):
                canvas.ellipse((x, 26.5), 4.2, 6.2, (236, 60, 60))
                canvas.ellipse((x, 26.5), 1.8, 3.2, (60, 64, 76), line=0)
        case "none":
            pass


def draw_outfit(canvas: Canvas, outfit: str) -> None:
    match outfit:
        case "scarf":
            canvas.limb([(37, 40), (39.5, 53)], (30, 160, 90), width=5.5)
            for y in (44, 49):
                canvas.stroke([(36.5, y), (40.5, y)], (250, 214, 60), width=2.2)
            canvas.limb([(23.5, 38), (28, 40), (36, 40), (40.5, 38)], (30, 160, 90), width=5.5)
            for x in (26, 32, 38):
                canvas.stroke([(x, 37.8), (x, 41.2)], (250, 214, 60), width=2.2)
        case "denim jacket":
            _sleeves(canvas, _DENIM)
            for side in (-1, 1):
                front = [(3, 38), (8.5, 38.5), (11, 46), (10.5, 55.5), (4, 56.5)]
                canvas.polygon([(BODY_X + x * side, y) for x, y in front], _DENIM)
                canvas.stroke([(BODY_X + 7.5 * side, 45), (BODY_X + 7.5 * side, 50)], (196, 214, 244), width=1.4)
                canvas.polygon([(BODY_X + x * side, y) for x, y in ((2, 37.5), (7.5, 37.5), (5, 43))], (104, 152, 226))
        case "red t-shirt":
            _sleeves(canvas, _RED)
            shirt = [(24, 38.5), (32, 40), (40, 38.5), (42, 46), (41, 54), (32, 55.5), (23, 54), (22, 46)]
            canvas.polygon(shirt, _RED)
            canvas.ellipse((BODY_X, 47), 3, 3, (255, 244, 220), line=0)
        case "boots":
            for side in (-1, 1):
                canvas.rectangle((BODY_X + 5.5 * side - 3.6, 52.5), (BODY_X + 5.5 * side + 3.6, 59), _BOOT)
                canvas.ellipse((BODY_X + 7 * side, 60), 5.6, 2.8, _BOOT)
                canvas.rectangle(
                    (BODY_X + 5.5 * side - 4, 51.5), (BODY_X + 5.5 * side + 4, 53.5), (255, 190, 226), line=0
                )
        case "cargo pants":
            legs = [(22.5, 47), (41.5, 47), (43, 60), (33.5, 60), (32, 55), (30.5, 60), (21, 60)]
            canvas.polygon(legs, _OLIVE)
            canvas.rectangle((22.3, 46), (41.7, 48.5), (70, 74, 34), line=0)
            for left in (22.8, 36.2):
                canvas.rectangle((left, 51.5), (left + 5, 56), (156, 166, 88), line=0.5)
        case "none":
            pass


def _sleeves(canvas: Canvas, colour: Colour) -> None:
    for side in (-1, 1):
        canvas.limb([(BODY_X + 8 * side, 41.5), (BODY_X + 12 * side, 47.5)], colour, width=6)


def _on_cone(share: float, side: int) -> tuple[float, float]:
    """Return the point on the party hat's left or right edge, ``share`` of the way up."""
    return 32 + side * 8 * (1 - share), 17.5 - 15 * share
