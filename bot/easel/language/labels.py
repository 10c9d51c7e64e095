"""What programs and people call a prompt and its settings: one table for blocks, JSON and recipes. Knows no syntax."""

import re

from .names import folded

PROMPT, NEGATIVE = "prompt", "negative_prompt"

_NAMES = {
    PROMPT: (
        "prompt",
        "positive prompt",
        "positive",
        "input",
        "inputs",
        "description",
        "full prompt",
        "caption",
        "base caption",
        "text prompts",
    ),
    NEGATIVE: (
        "negative prompt",
        "negative",
        "negatives",
        "np",
        "neg prompt",
        "neg",
        "full negative prompt",
        "undesired content",
        "uc",
        "exclude",
        "without",
        "avoid",
        "not",
        "don't include",
        "dont include",
        "do not include",
        "反向提示词",
        "负面提示词",
        "负向提示词",
        "ネガティブプロンプト",
        "негативный промпт",
        "негатив",
        "без",
        "negativer prompt",
        "negativ",
        "ohne",
        "prompt négatif",
        "négatif",
        "sans",
        "prompt negativo",
        "negativo",
        "sin",
        "senza",
        "负面",
    ),
    "seed": ("seed", "noise seed", "actual seed", "image seed", "initial seed"),
    "steps": (
        "steps",
        "step",
        "sampling steps",
        "num inference steps",
        "inference steps",
        "number of steps",
        "ddim steps",
    ),
    "guidance_scale": (
        "cfg scale",
        "cfg",
        "guidance scale",
        "guidance",
        "scale",
        "cfgscale",
        "cfg value",
        "prompt guidance",
    ),
    "size": ("size", "resolution", "dimensions", "image size"),
    "aspect_ratio": ("aspect ratio", "ar", "ratio", "format", "seitenverhältnis"),
    "width": ("width",),
    "height": ("height",),
    "sampler": ("sampler", "sampler name", "sampling method", "scheduler", "sampler index"),
    "model": (
        "model",
        "model name",
        "checkpoint",
        "base model",
        "sd model",
        "sd model name",
        "ckpt name",
        "sd model checkpoint",
    ),
    "strength": ("denoising strength", "denoise", "denoising", "strength", "image strength"),
    "theme": ("theme",),
    "tier": ("tier",),
    "image": ("image",),
}
_FIELD_BY_NAME = {folded(name): field for field, names in _NAMES.items() for name in names}

# They say nothing about the picture that the others do not.
_SAYS_NOTHING = re.compile(
    r"version|.*hash(es)?|appversion|metadataversion|createddate|software|source|randdevice|generationmode|"
    r"postprocessupscale(by|r)|requesttype|signedhash|user|appid|metadatascheme|jobtimestamp|infotexts|isusinginpaintingconditioning|"
    r"timetaken|torchactive/reserved|sysvram|civitaimetadata",
)


def field_called(name: str) -> str | None:
    """The field of a request that a name stands for, or None."""
    return _FIELD_BY_NAME.get(folded(name))


def says_nothing(name: str) -> bool:
    """Whether a setting adds nothing about the picture to what the others describe."""
    return bool(_SAYS_NOTHING.fullmatch(folded(name)))


def pattern_of(*fields: str) -> str:
    """A pattern of the names of these fields, the longest first, with any white space, - or _ between their words."""
    names = sorted((name for field in fields for name in _NAMES[field]), key=len, reverse=True)
    return "|".join(re.escape(name).replace(r"\ ", r"[ _-]?") for name in names)
