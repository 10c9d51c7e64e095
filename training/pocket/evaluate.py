"""Check whether pictures show what was asked for: ``python -m training.pocket.evaluate [--json]``.

Draws combinations that the training never saw, with the same engine as every picture, and lets the judge read them.
The exit status is 0 if every requirement is met.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from generator.api.types import Recipe, RecipeRequest, Slots
from generator.engine.diffusion import DiffusionEngine
from generator.models.cards import TIERS, built_in_cards, model_card
from generator.recipes.validation import resolve
from generator.settings import Settings
from generator.workers.messages import Draw
from training.pocket.judge import Judge, load_or_train
from training.pocket.render import render
from training.pocket.scene import ATTRIBUTES, Scene, held_out_scenes
from training.pocket.sheet import contact_sheet
from training.pocket.train import WEIGHTS
from training.pocket.train_vae import to_tensor

# The share of pictures in which the judge must find the attribute; the face is reported only.
REQUIRED = {
    "animal": 0.95,
    "headgear": 0.93,
    "outfit": 0.87,
    "place": 0.95,
    "light": 0.95,
    "style": 0.95,
    "all six": 0.65,
}

# How often a thing remains that a negative prompt or a low weight names, as a share of how often it is there without.
MOST_LEFT = 0.5

# The share of pictures with a headgear that nobody asked for.
MOST_UNASKED = 0.03

# For such prompts the remaining share is reported, and nothing is required yet.
OF_TWO_WORDS = " of two words"

_SEED = 20_000

# More are no faster on two cores; one after the other takes twice as long.
_AT_ONCE = 16
_DEFAULT_JUDGE = Path("pocket-training/judge.safetensors")


@dataclass(frozen=True)
class Size:
    """How much is drawn: held-out scenes, seeds for each of them, and pictures for each other question.

    Prompts of ``two_words`` are reported only, so a short evaluation leaves them out.
    """

    scenes: int
    seeds: int
    each: int
    two_words: bool


LONG = Size(scenes=200, seeds=3, each=60, two_words=True)
SHORT = Size(scenes=40, seeds=1, each=16, two_words=False)


@dataclass(frozen=True)
class Asked:
    """One picture to draw."""

    prompt: str
    seed: int
    negative_prompt: str = ""


class Pictures:
    """Draws with pocket as the service does, many at once, but without enlarging."""

    def __init__(self, *, tier: str = "exact", weights: Path = WEIGHTS) -> None:
        card = built_in_cards()["pocket"].model_copy(update={"built_in": None, "folder": weights})
        settings = Settings(
            device="cpu", default_model="pocket", models={"pocket": card}, max_at_once=1, previews=False
        )
        self._card = model_card("pocket", card, available=True)
        self._tier = tier
        self._engine = DiffusionEngine(settings)
        cached = self._engine.models.get("pocket")
        cached.at_once[cached.pixels] = _AT_ONCE

    def draw(self, asked: Sequence[Asked], on_picture: Callable[[], object] = lambda: None) -> np.ndarray:
        """Draw pictures (n, 64, 64, 3) bytes. Calls ``on_picture`` after each."""
        drawn: list[np.ndarray] = []
        for first in range(0, len(asked), _AT_ONCE):
            drawings = [self._engine.start(Draw("evaluation", self._recipe(one))) for one in asked[first:][:_AT_ONCE]]
            while drawings[0].step < drawings[0].steps:
                self._engine.step(drawings)
            for drawing in drawings:
                drawn.append(np.asarray(self._engine.finish(drawing).image))
                on_picture()
        return np.stack(drawn)

    def _recipe(self, asked: Asked) -> Recipe:
        request = RecipeRequest(
            slots=Slots(subject=(asked.prompt,)),
            negative_prompt=asked.negative_prompt,
            seed=asked.seed,
            tier=self._tier,
        )
        return resolve(request, cards={"pocket": self._card}, default_model="pocket", job_id="evaluation")

    @torch.inference_mode()
    def round_trip(self, picture: np.ndarray) -> np.ndarray:
        """Encode and decode a picture with the model's VAE: the best that the model could draw."""
        vae = self._engine.models.get("pocket").model.vae
        decoded = vae.decode(vae.encode(to_tensor(picture[None])).latent_dist.mode()).sample
        drawn: np.ndarray = (decoded[0].permute(1, 2, 0).numpy() * 127.5 + 127.5).round().clip(0, 255).astype(np.uint8)
        return drawn


def prompt_for(scene: Scene, *, leave_out: Iterable[str] = ()) -> str:
    """List the scene's values with commas, as a prompt."""
    values = [getattr(scene, name) for name in ATTRIBUTES if name not in leave_out]
    return ", ".join(value for value in values if value != "none")


def evaluate(
    judge: Judge, size: Size, *, tier: str = "exact", weights: Path = WEIGHTS, progress: bool = True
) -> dict[str, dict[str, float]]:
    """Return the figures by question: ``drawn``, ``rendered`` and ``round trip`` by attribute, ``left``, ``unasked``.

    ``two words`` has how often prompts such as `otter, top hat` show what they name.
    """
    pictures = Pictures(tier=tier, weights=weights)
    scenes = held_out_scenes(size.scenes, seed=_SEED)
    questions = 18 if size.two_words else 10
    bar = tqdm(total=size.scenes * size.seeds + questions * size.each, unit="picture", disable=not progress)

    known: dict[Asked, Scene] = {}

    def seen(asked: Sequence[Asked]) -> list[Scene]:
        """What each picture shows. Some questions share pictures, which are drawn once."""
        if new := [one for one in dict.fromkeys(asked) if one not in known]:
            known.update(zip(new, judge.scenes(pictures.draw(new, bar.update)), strict=True))
        bar.update(len(asked) - len(new))
        return [known[one] for one in asked]

    # 1. Held-out scenes: as drawn, and the best that the judge and the VAE allow.
    wanted = [scene for scene in scenes for _ in range(size.seeds)]
    renders = [np.asarray(render(scene, _SEED + n)) for n, scene in enumerate(wanted)]
    trips = [pictures.round_trip(picture) for picture in renders]
    figures = {
        "drawn": _agreement(wanted, seen([Asked(prompt_for(scene), _SEED + n) for n, scene in enumerate(wanted)])),
        "rendered": _agreement(wanted, judge.scenes(np.stack(renders))),
        "round trip": _agreement(wanted, judge.scenes(np.stack(trips))),
    }

    # 2. How often a thing remains that is taken away again, for full prompts and for those of two words.
    def share(kind: str, some: list[Scene], prompts: Iterable[tuple[str, str]]) -> float:
        """The share of the prompts' pictures that show the scenes' own ``kind``."""
        asked = [Asked(text, _SEED + n, negative) for n, (text, negative) in enumerate(prompts)]
        return _mean(getattr(a, kind) == getattr(b, kind) for a, b in zip(seen(asked), some, strict=True))

    left: dict[str, float] = {}
    two_words: dict[str, float] = {}
    for kind, bare in (("headgear", "hat"), ("outfit", "clothes")):
        some = [scene for scene in scenes if kind == "outfit" or scene.headgear != "headphones"][: size.each]
        own = [getattr(scene, kind) for scene in some]
        for of, leave_out in (("", ()), (OF_TWO_WORDS, set(ATTRIBUTES) - {"animal", kind})):
            if of and not size.two_words:
                continue
            texts = [prompt_for(scene, leave_out=leave_out) for scene in some]
            before = share(kind, some, [(text, "") for text in texts])
            ways = {
                f"--no with the {kind}'s own name": list(zip(texts, own, strict=True)),
                f"--no {bare}": [(text, bare) for text in texts],
                f"({kind})----": [(text.replace(it, f"({it})----"), "") for text, it in zip(texts, own, strict=True)],
            }
            left |= {way + of: share(kind, some, prompts) / max(before, 1e-9) for way, prompts in ways.items()}
            if of:
                two_words[kind] = before
    figures |= {"left": left, "two words": two_words}

    # 3. How often there is a headgear that nobody asked for.
    plain = [prompt_for(scene, leave_out=("headgear",)) for scene in scenes[: size.each]]
    bare_animals = [scene.animal for scene in scenes[: size.each]]
    shown = seen([Asked(text, _SEED + n) for n, text in enumerate([*plain, *bare_animals])])
    figures["unasked"] = {"headgear": _mean(scene.headgear != "none" for scene in shown)}
    bar.close()
    return figures


def failures(figures: dict[str, dict[str, float]]) -> list[str]:
    """List a sentence for each requirement that is not met."""
    left, unasked = figures["left"], figures["unasked"]["headgear"]
    return [
        *(
            f"{name} is {figures['drawn'][name]:.3f}, required is {least}"
            for name, least in REQUIRED.items()
            if figures["drawn"][name] < least
        ),
        *(
            f"{way} leaves {share:.2f}, at most {MOST_LEFT} may be"
            for way, share in left.items()
            if share > MOST_LEFT and not way.endswith(OF_TWO_WORDS)
        ),
        *([f"{unasked:.3f} have a headgear unasked, at most {MOST_UNASKED} may"] if unasked >= MOST_UNASKED else []),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.evaluate", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--short", action="store_true", help="a sample that takes a minute")
    parser.add_argument("--tier", choices=TIERS, default="exact", help="how much work may be skipped")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="a folder in diffusers' layout")
    parser.add_argument("--judge", type=Path, default=_DEFAULT_JUDGE, help="its weights; trained and kept if not there")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 48 held-out prompts there, as PNG or JPEG")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if given.sheet:
        prompts = [prompt_for(scene) for scene in held_out_scenes(48, seed=_SEED)]
        asked = [Asked(text, _SEED + n) for n, text in enumerate(prompts)]
        drawn = Pictures(tier=given.tier, weights=given.weights).draw(asked)
        contact_sheet(list(zip(prompts, drawn, strict=True))).save(given.sheet)
        return 0
    judge = load_or_train(given.judge, given.judge.parent)
    figures = evaluate(judge, SHORT if given.short else LONG, tier=given.tier, weights=given.weights)
    missed = failures(figures)
    print(json.dumps({**figures, "missed": missed}, indent=1) if given.json else _table(figures, missed))
    return 1 if missed else 0


def _agreement(asked: list[Scene], seen: list[Scene]) -> dict[str, float]:
    same = [
        {name: getattr(a, name) == getattr(b, name) for name in ATTRIBUTES} for a, b in zip(asked, seen, strict=True)
    ]
    figures = {name: _mean(row[name] for row in same) for name in ATTRIBUTES}
    return figures | {"all six": _mean(all(row[name] for name in ATTRIBUTES if name != "face") for row in same)}


def _table(figures: dict[str, dict[str, float]], missed: list[str]) -> str:
    columns = ("drawn", "rendered", "round trip")
    lines = [f"{'':28}{''.join(f'{column:>12}' for column in columns)}{'required':>12}"]
    for name in figures["drawn"]:
        shares = "".join(f"{figures[column][name]:12.3f}" for column in columns)
        lines.append(f"{name:28}{shares}{REQUIRED.get(name, ''):>12}")
    lines += [f"{name + ', asked for with two words':40}{share:12.3f}" for name, share in figures["two words"].items()]
    lines += [
        f"{'left: ' + way:64}{share:12.3f}{'' if way.endswith(OF_TWO_WORDS) else MOST_LEFT:>12}"
        for way, share in figures["left"].items()
    ]
    lines.append(f"{'headgear unasked':52}{figures['unasked']['headgear']:12.3f}{MOST_UNASKED:>12}")
    return "\n".join([*lines, *missed])


def _mean(values: Iterable[bool]) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    sys.exit(main())
