"""Every flag of ``!draw``, once: the parser, ``!easel help`` and the README all come from this table.

Knows what a flag is called and which kind of value it takes, not how values are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from .names import folded
from .request import SLOTS
from .sentences import brief, listed, nearest, shortened
from .values import SIZE_NAMES


class Kind(Enum):
    """What follows a flag. Terms and texts run to the next flag, ``|`` or line; the others are one word."""

    TERMS = auto()
    TEXT = auto()
    WORD = auto()
    WHOLE_NUMBER = auto()
    SEED = auto()
    NUMBER = auto()
    STRENGTH = auto()
    SIZE = auto()
    RATIO = auto()
    SWITCH = auto()

    @property
    def is_number(self) -> bool:
        return self in (Kind.WHOLE_NUMBER, Kind.SEED, Kind.NUMBER, Kind.STRENGTH)

    @property
    def starts_with_digit(self) -> bool:
        return self.is_number or self in (Kind.SIZE, Kind.RATIO)

    @property
    def runs_on(self) -> bool:
        return self in (Kind.TERMS, Kind.TEXT)


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag: the field of ``DrawRequest`` (or the slot) that it sets, and an example of its value.

    A switch takes no value; ``example`` is then what it sets the field to.
    """

    name: str
    field: str
    kind: Kind
    example: str
    help: str
    synonyms: tuple[str, ...] = ()

    @property
    def typed(self) -> str:
        """The flag as a person types it: ``--seed``, ``-n``."""
        return f"-{self.name}" if len(self.name) == 1 else f"--{self.name}"

    @property
    def usage(self) -> str:
        """The flag as help shows it: ``--seed 7``, ``--fast``."""
        return self.typed if self.kind is Kind.SWITCH else f"{self.typed} {self.example}"


_SLOT_EXAMPLES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "subject": ("otter, cowboy hat", "Who or what is in the picture", ("character",)),
    "outfit": ("boots, scarf", "What they wear and carry", ("clothes", "clothing", "wearing")),
    "environment": ("city street", "Where it is", ("env", "background", "scene", "place", "location", "setting")),
    "emotions": ("cozy, happy", "The mood", ("emotion", "mood", "feeling")),
    "style": ("watercolor", "How it is made", ("styles", "art-style")),
}

FLAGS = (
    *(
        Flag(name=slot, field=slot, kind=Kind.TERMS, example=example, help=about, synonyms=synonyms)
        for slot, (example, about, synonyms) in _SLOT_EXAMPLES.items()
    ),
    Flag(name="no", field="no", kind=Kind.TERMS, example="bokeh, text", help="What should not be in it"),
    Flag(
        name="negative",
        field="negative_prompt",
        kind=Kind.TERMS,
        example="cars, ugly",
        help="Instead of what is usually left out",
        synonyms=("neg", "negative-prompt"),
    ),
    Flag(
        name="seed",
        field="seed",
        kind=Kind.SEED,
        example="7",
        help="The same seed draws the same picture; new draws another",
    ),
    Flag(
        name="steps", field="steps", kind=Kind.WHOLE_NUMBER, example="30", help="More take longer", synonyms=("step",)
    ),
    Flag(
        name="cfg",
        field="guidance_scale",
        kind=Kind.NUMBER,
        example="12",
        help="Guidance: how closely it follows the words",
        synonyms=("scale", "cfgscale", "cfg-scale", "guidance", "guidance-scale"),
    ),
    Flag(
        name="size",
        field="size",
        kind=Kind.SIZE,
        example="768x1024",
        help="In pixels, or portrait, landscape, square",
        synonyms=("resolution", "res", "dimensions"),
    ),
    Flag(
        name="ar",
        field="aspect_ratio",
        kind=Kind.RATIO,
        example="3:4",
        help="Width to height",
        synonyms=("aspect", "aspect-ratio"),
    ),
    Flag(
        name="strength",
        field="strength",
        kind=Kind.STRENGTH,
        example="0.6",
        help="How much of the photo to change, 0 to 1",
        synonyms=("denoise", "denoising", "denoising-strength", "image-strength"),
    ),
    Flag(name="model", field="model", kind=Kind.WORD, example="ssd-1b", help="Which model draws"),
    Flag(name="sampler", field="sampler", kind=Kind.TEXT, example="unipc", help="Which sampler it uses"),
    Flag(name="tier", field="tier", kind=Kind.WORD, example="balanced", help="How much work may be skipped"),
    Flag(name="fast", field="tier", kind=Kind.SWITCH, example="fast", help="Short for --tier fast"),
    Flag(name="draft", field="tier", kind=Kind.SWITCH, example="draft", help="Short for --tier draft"),
    Flag(name="theme", field="theme", kind=Kind.TEXT, example="otters", help="The folder it is filed under"),
    Flag(
        name="n",
        field="count",
        kind=Kind.WHOLE_NUMBER,
        example="4",
        help="How many pictures, on one sheet",
        synonyms=("count", "repeat", "pictures", "images", "batch", "number"),
    ),
)

_BY_NAME = {folded(name): flag for flag in FLAGS for name in (flag.name, *flag.synonyms)}
_NAMES = {name: flag.typed for flag in FLAGS for name in (flag.name, *flag.synonyms)}
FLAG_NAMES = tuple(name for name in _NAMES if len(name) > 1)
# The names that the help shows, and then what labels say besides: in prompts that language models write, and in other
# languages.
_SLOT_BY_NAME = {name: flag.field for name, flag in _BY_NAME.items() if flag.field in SLOTS}
SHOWN_SLOT_NAMES = tuple(_SLOT_BY_NAME)
_OTHER_SLOT_NAMES = {
    "subject": "subjects characters action pose motiv motif personnage sujet sujeto soggetto assunto onderwerp "
    "персонаж 主体 主題 被写体 주제",
    "outfit": "clothes accessories props kleidung tenue ropa abbigliamento roupa kleding одежда 服装 의상",
    "environment": "lighting weather time season hintergrund umgebung ort fond décor lieu fondo entorno lugar sfondo "
    "ambiente cenário achtergrond omgeving tło фон место 背景 风景 風景 环境 배경",
    "emotions": "expression atmosphere vibe stimmung humeur ambiance ánimo umore humor stemming nastrój настроение "
    "情绪 雰囲気 분위기",
    "style": "medium camera composition colors colours palette stil estilo stile stijl styl стиль 风格 風格 スタイル "
    "스타일",
}
_SLOT_BY_NAME |= {name: slot for slot, names in _OTHER_SLOT_NAMES.items() for name in names.split()}
SLOT_NAMES = tuple(_SLOT_BY_NAME)

# A size in two flags, as other programs have it. They are read, but not shown in the help.
SIDES = {
    side: Flag(name=side, field=side, kind=Kind.WHOLE_NUMBER, example="768", help="") for side in ("width", "height")
}

# A shape as a flag of its own, as --fast is one.
_SHAPE_NAMES = {**dict(zip(SIZE_NAMES, SIZE_NAMES, strict=True)), "tall": "portrait", "wide": "landscape"}
_SHAPES = {
    name: Flag(name=name, field="size", kind=Kind.SWITCH, example=shape, help="")
    for name, shape in _SHAPE_NAMES.items()
}

# Midjourney's flags, which mean nothing here, and whether a value follows.
OTHERS_FLAGS = {
    **dict.fromkeys(("v", "version", "s", "stylize", "q", "quality", "c", "chaos", "weird", "niji", "exp"), True),
    **dict.fromkeys(("iw", "sref", "cref", "oref", "ow", "cw", "sw", "sv", "p", "profile", "personalize"), True),
    **dict.fromkeys(("stop", "motion", "bs"), True),
    "lora": True,
    **dict.fromkeys(("tile", "video", "turbo", "relax", "raw", "hd", "test", "testp", "creative"), False),
    **dict.fromkeys(("uplight", "upbeta", "upanime", "stealth", "public"), False),
}

# The values of Midjourney's own --style.
OTHERS_STYLES = {"raw", "4a", "4b", "4c", "expressive", "cute", "scenic", "original", "default"}

# What people look for, and what it is here.
_MEANT = {
    **dict.fromkeys(("num", "variations", "batch-size"), "-n"),
    **dict.fromkeys(("scheduler", "method", "sampling"), "--sampler"),
    **dict.fromkeys(("exclude", "without", "uc", "not"), "--no"),
    **dict.fromkeys(("num-inference-steps", "sampling-steps"), "--steps"),
    **dict.fromkeys(("image", "init-image", "init-img", "input", "photo", "img2img"), "a reply to the photo"),
    **dict.fromkeys(("upscale", "upscaler", "enlarge", "hires", "larger", "zoom"), "⬆️ under a picture"),
    **dict.fromkeys(("checkpoint", "ckpt"), "--model"),
}


def flag_named(name: str) -> Flag | None:
    """The flag called ``name`` (no dashes; any capitals, hyphens and underscores), or None."""
    key = folded(name)
    slot = _BY_NAME.get(_SLOT_BY_NAME.get(key, ""))
    return _BY_NAME.get(key) or SIDES.get(name.lower()) or _SHAPES.get(name.lower()) or slot


def find_slot(label: str) -> str | None:
    """The slot that ``label`` names in any case, or None."""
    return _SLOT_BY_NAME.get(folded(label))


def flag_like(word: str) -> str | None:
    """The flag that ``word`` would be with dashes, or None."""
    flag = flag_named(word)
    return flag.typed if flag else None


def unknown_flags(names: Sequence[str]) -> str:
    """The sentence about flags that do not exist, all of them, with what was probably meant."""
    names = list(dict.fromkeys(names))
    hints = [_hint(name) for name in names]
    if len(names) == 1:
        hint = f"Did you mean {hints[0]}?" if hints[0] else "!easel help flags lists them all."
        return f"There's no flag --{brief(names[0])}. {hint}"
    shown = [f"--{brief(name)}" + (f" ({hint}?)" if hint else "") for name, hint in zip(names, hints, strict=True)]
    return f"There are no flags {listed(shortened(shown))}. !easel help flags lists them all."


def _hint(name: str) -> str | None:
    spelled = name.lower().replace("_", "-")
    if meant := _MEANT.get(spelled):
        return meant
    near = nearest(spelled, _NAMES)
    return _NAMES[near] if near else None
