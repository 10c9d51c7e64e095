"""Draw the animals: each has a coat, a shape of head and ears, and a tail. All stand in the same place, facing us."""

from dataclasses import dataclass
from typing import Literal

from training.pocket.canvas import Canvas, Colour

# Where every animal stands, in canvas units; clothes are cut to these.
HEAD_X, HEAD_Y = 32.0, 26.0
BODY_X, BODY_Y = 32.0, 47.0

WHITE: Colour = (250, 248, 242)
BLACK: Colour = (30, 24, 30)
PINK: Colour = (240, 140, 150)


@dataclass(frozen=True)
class Animal:
    """A coat and its shapes. Lengths in canvas units."""

    coat: Colour
    belly: Colour
    ears: Literal["round", "big round", "pointed", "floppy", "tufts", "folded", "tall", "none"]
    tail: Literal["thick", "thin", "bushy", "huge", "none"]
    head: tuple[float, float] = (13.0, 11.5)
    muzzle: Colour | None = None
    inner_ear: Colour = PINK


ANIMALS = {
    "otter": Animal((140, 92, 58), (226, 196, 156), "round", "thick", (13.5, 10.5), muzzle=(238, 212, 176)),
    "owl": Animal((128, 84, 150), (214, 190, 222), "tufts", "none", (13.5, 12.0)),
    "cat": Animal((150, 150, 164), (236, 236, 240), "pointed", "thin", (13.0, 11.0)),
    "dog": Animal((232, 190, 120), (252, 236, 206), "floppy", "thin", (12.0, 11.5), muzzle=WHITE),
    "fox": Animal((240, 124, 40), WHITE, "pointed", "bushy", (13.0, 11.0), inner_ear=BLACK),
    "frog": Animal((96, 182, 70), (204, 232, 150), "none", "none", (14.5, 10.0)),
    "penguin": Animal((46, 52, 78), WHITE, "none", "none", (12.5, 12.0)),
    "bear": Animal((96, 58, 40), (150, 104, 74), "big round", "none", (13.5, 12.0), muzzle=(206, 164, 122)),
    "greyhound": Animal((128, 150, 178), (222, 230, 240), "folded", "thin", (9.5, 13.0), muzzle=(206, 218, 232)),
    "squirrel": Animal((176, 68, 40), (252, 222, 186), "tall", "huge", (12.0, 11.0), muzzle=(252, 222, 186)),
}


def draw_tail(canvas: Canvas, animal: Animal) -> None:
    match animal.tail:
        case "thick":
            canvas.limb([(38, 54), (46, 57), (53, 53)], animal.coat, width=5.5)
        case "thin":
            canvas.limb([(39, 54), (47, 55), (51, 49), (50, 43)], animal.coat, width=2.6)
        case "bushy":
            canvas.limb([(40, 55), (47, 53), (51, 46)], animal.coat, width=8)
            canvas.ellipse((51.5, 43.5), 3.4, 4, animal.belly)
        case "huge":
            canvas.limb([(40, 56), (50, 54), (53, 45), (52, 37)], animal.coat, width=11)
            canvas.limb([(52, 37), (55, 32)], animal.coat, width=8)
            canvas.stroke([(42, 55), (50, 52), (52, 44), (52, 38)], animal.belly, width=3)
        case "none":
            pass


def draw_body(canvas: Canvas, animal: Animal, *, penguin: bool) -> None:
    """Draw body, arms and feet; clothes go over them."""
    for side in (-1, 1):
        canvas.limb([(BODY_X + 5 * side, 54), (BODY_X + 5.5 * side, 59)], animal.coat, width=5.5)
        foot = (244, 160, 40) if penguin else animal.coat
        canvas.ellipse((BODY_X + 6.5 * side, 60.3), 4.2, 2.2, foot)
        canvas.limb([(BODY_X + 8 * side, 42), (BODY_X + 13 * side, 50)], animal.coat, width=4.5)
    canvas.ellipse((BODY_X, BODY_Y), 9.5, 10.5, animal.coat)
    canvas.ellipse((BODY_X, BODY_Y + 1.5), 6, 7.5, animal.belly, line=0)


def draw_ears(canvas: Canvas, animal: Animal) -> None:
    rx, _ = animal.head
    for side in (-1, 1):
        match animal.ears:
            case "round":
                canvas.ellipse((HEAD_X + 12.5 * side, HEAD_Y - 5), 3.2, 3.2, animal.coat)
                canvas.ellipse((HEAD_X + 12.5 * side, HEAD_Y - 5), 1.5, 1.5, animal.inner_ear, line=0)
            case "big round":
                canvas.ellipse((HEAD_X + 11.5 * side, HEAD_Y - 8.5), 5, 5, animal.coat)
                canvas.ellipse((HEAD_X + 11.5 * side, HEAD_Y - 8.5), 2.6, 2.6, animal.muzzle or PINK, line=0)
            case "pointed":
                tip = (HEAD_X + 15 * side, HEAD_Y - 16)
                canvas.polygon([(HEAD_X + 3 * side, HEAD_Y - 9), tip, (HEAD_X + rx * side, HEAD_Y - 1)], animal.coat)
                inner = [(HEAD_X + 8 * side, HEAD_Y - 8.5), (tip[0] - side, tip[1] + 2.5), (HEAD_X + 12 * side, 22)]
                canvas.polygon(inner, animal.inner_ear, line=0)
            case "tufts":
                tip = (HEAD_X + 14 * side, HEAD_Y - 14)
                canvas.polygon([(HEAD_X + 4 * side, HEAD_Y - 9), tip, (HEAD_X + 12.5 * side, HEAD_Y - 3)], animal.coat)
            case "tall":
                canvas.ellipse((HEAD_X + 9.5 * side, HEAD_Y - 10.5), 2.8, 5, animal.coat)
                canvas.stroke(
                    [(HEAD_X + 10 * side, HEAD_Y - 14), (HEAD_X + 12 * side, HEAD_Y - 18)], (110, 40, 24), width=2
                )
            case "folded":
                canvas.polygon(
                    [
                        (HEAD_X + 5 * side, HEAD_Y - 11),
                        (HEAD_X + 14 * side, HEAD_Y - 7),
                        (HEAD_X + 8 * side, HEAD_Y - 3),
                    ],
                    animal.coat,
                )
            case "floppy" | "none":
                pass


def draw_head(canvas: Canvas, name: str, animal: Animal, face: str) -> None:
    rx, ry = animal.head
    if name == "frog":
        for side in (-1, 1):
            canvas.ellipse((HEAD_X + 8 * side, HEAD_Y - 9), 4.8, 4.8, animal.coat)
    canvas.ellipse((HEAD_X, HEAD_Y), rx, ry, animal.coat)
    if animal.ears == "floppy":
        for side in (-1, 1):
            canvas.ellipse((HEAD_X + 12.5 * side, HEAD_Y + 1), 3.8, 8, (158, 98, 48))
    _MARKINGS.get(name, _muzzle)(canvas, animal)
    _eyes(canvas, name, face)
    _mouth(canvas, name, face)


def _muzzle(canvas: Canvas, animal: Animal) -> None:
    if animal.muzzle:
        canvas.ellipse((HEAD_X, HEAD_Y + 5), 6, 4.6, animal.muzzle, line=0)


def _otter(canvas: Canvas, animal: Animal) -> None:
    assert animal.muzzle
    canvas.ellipse((HEAD_X, HEAD_Y + 5), 10.5, 5.3, animal.muzzle, line=0)
    _whiskers(canvas)


def _cat(canvas: Canvas, animal: Animal) -> None:
    for x in (-3.5, 0, 3.5):
        canvas.stroke([(HEAD_X + x, HEAD_Y - 10), (HEAD_X + x, HEAD_Y - 6)], (96, 96, 112), width=1.6)
    canvas.ellipse((HEAD_X, HEAD_Y + 6), 5.5, 3.6, animal.belly, line=0)
    _whiskers(canvas)


def _fox(canvas: Canvas, animal: Animal) -> None:
    for side in (-1, 1):
        cheek = [
            (HEAD_X, HEAD_Y + 10.5),
            (HEAD_X + 12 * side, HEAD_Y + 3),
            (HEAD_X + 4 * side, HEAD_Y + 1),
            (HEAD_X, 31),
        ]
        canvas.polygon(cheek, animal.belly, line=0)
    canvas.ellipse((HEAD_X, HEAD_Y + 7), 4.5, 4, animal.belly, line=0)


def _penguin(canvas: Canvas, animal: Animal) -> None:
    for side in (-1, 1):
        canvas.ellipse((HEAD_X + 4.5 * side, HEAD_Y + 1), 5.6, 6.2, animal.belly, line=0)
    canvas.ellipse((HEAD_X, HEAD_Y + 6), 7.5, 4.5, animal.belly, line=0)


def _owl(canvas: Canvas, animal: Animal) -> None:
    for side in (-1, 1):
        canvas.ellipse((HEAD_X + 5.8 * side, HEAD_Y - 0.5), 6, 6.2, animal.belly, line=0)


def _greyhound(canvas: Canvas, animal: Animal) -> None:
    assert animal.muzzle
    canvas.ellipse((HEAD_X, HEAD_Y + 8), 4.8, 8, animal.muzzle)


def _squirrel(canvas: Canvas, animal: Animal) -> None:
    for side in (-1, 1):
        canvas.ellipse((HEAD_X + 4.5 * side, HEAD_Y + 5), 5.5, 4.4, animal.belly, line=0)


def _frog(canvas: Canvas, animal: Animal) -> None:
    canvas.ellipse((HEAD_X, HEAD_Y + 5), 11.5, 4.5, animal.belly, line=0)


_MARKINGS = {
    "otter": _otter,
    "cat": _cat,
    "fox": _fox,
    "penguin": _penguin,
    "owl": _owl,
    "greyhound": _greyhound,
    "squirrel": _squirrel,
    "frog": _frog,
}


def _whiskers(canvas: Canvas) -> None:
    for side in (-1, 1):
        for rise in (-1.5, 1.5):
            start, end = (HEAD_X + 6 * side, HEAD_Y + 5), (HEAD_X + 16 * side, HEAD_Y + 5 + 2 * rise)
            canvas.stroke([start, end], canvas.ink, width=0.6, lit=False)


def _eyes(canvas: Canvas, name: str, face: str) -> None:
    x, y = {"frog": (8.0, -9.0), "owl": (5.8, -0.5), "greyhound": (4.2, -3.5)}.get(name, (5.0, -1.5))
    iris = (250, 200, 60) if name == "owl" else WHITE
    size = {"owl": 4.4, "frog": 3.4}.get(name, 2.2)
    for side in (-1, 1):
        centre = (HEAD_X + x * side, HEAD_Y + y)
        if face == "sleepy":
            lid = [(centre[0] - 2.4, centre[1]), (centre[0], centre[1] + 1.5), (centre[0] + 2.4, centre[1])]
            canvas.stroke(lid, BLACK, width=1.4, lit=False)
        elif face == "surprised":
            canvas.ellipse(centre, max(size, 3.2), max(size, 3.4), iris, line=0.6)
            canvas.ellipse(centre, 1.1, 1.1, BLACK, line=0)
        else:
            if size > 3:
                canvas.ellipse(centre, size, size, iris, line=0.6)
            canvas.ellipse(centre, 2.1, 2.4, BLACK, line=0)
            canvas.ellipse((centre[0] + 0.7, centre[1] - 0.8), 0.8, 0.8, WHITE, line=0)


def _mouth(canvas: Canvas, name: str, face: str) -> None:
    if name in ("owl", "penguin"):
        drop = 4.5 if face == "surprised" else 2.5
        beak = [(HEAD_X - 3, HEAD_Y + 2.5), (HEAD_X + 3, HEAD_Y + 2.5), (HEAD_X, HEAD_Y + 5 + drop)]
        canvas.polygon(beak, (246, 150, 30), line=0.4)
        return
    nose_y = HEAD_Y + {"greyhound": 12.5, "frog": 1.5, "fox": 8.5}.get(name, 3.0)
    if name != "frog":
        canvas.ellipse((HEAD_X, nose_y), 2, 1.5, PINK if name == "cat" else BLACK, line=0)
    y = min(nose_y + 3.2, HEAD_Y + 15)
    reach = {"frog": 9.0, "greyhound": 3.0, "fox": 2.5}.get(name, 4.0)
    if face == "surprised":
        canvas.ellipse((HEAD_X, y + 0.8), 1.9, 2.2, (120, 30, 40), line=0.4)
    elif face == "happy":
        smile = [
            (HEAD_X - reach, y - 0.8),
            (HEAD_X - reach / 2, y + 1),
            (HEAD_X + reach / 2, y + 1),
            (HEAD_X + reach, y - 0.8),
        ]
        canvas.stroke(smile, BLACK, width=1.1, lit=False)
        if name == "dog":
            canvas.ellipse((HEAD_X, y + 2.4), 1.9, 2.2, (236, 90, 110), line=0.3)
    else:
        canvas.stroke([(HEAD_X - 1.8, y), (HEAD_X + 1.8, y)], BLACK, width=1.1, lit=False)
    if name == "squirrel":
        canvas.rectangle((HEAD_X - 1.5, y + 0.5), (HEAD_X + 1.5, y + 3.5), WHITE, line=0.4)
