"""The captions of pictures and sheets: the prompt, one line of facts, and notes. Pure."""

from collections.abc import Sequence

from ..generator.types import ImageFile, Picture
from ..language import Asked

# As many as somebody reads below a picture.
MAX_NOTES = 5


def caption(picture: Picture, notes: tuple[str, ...] = (), *, drawn_from: str = "a photo") -> str:
    """The prompt, which says what is seen, then one line of facts, and the notes on this picture.

    ``drawn_from`` is what it was drawn from, if it was.
    """
    recipe = picture.recipe
    facts = (
        f"seed {recipe.seed}",
        recipe.model,
        f"{recipe.steps} step{'' if recipe.steps == 1 else 's'}",
        f"guidance {recipe.guidance_scale:g}",
        # A tier that skips work gives another picture.
        *(() if recipe.tier == "exact" else (recipe.tier,)),
        *(() if recipe.strength is None else (f"from {drawn_from}, strength {recipe.strength:g}",)),
        _size(picture),
        _seconds(picture.facts.seconds, 0 if picture.facts.seconds >= 10 else 1),
    )
    return "\n".join((picture.prompt, " · ".join(facts), *_some((*picture.facts.notes, *notes))))


def _some(notes: Sequence[str]) -> Sequence[str]:
    """The first notes, each once, and how many more there are."""
    notes = tuple(dict.fromkeys(notes))
    return notes if len(notes) <= MAX_NOTES else (*notes[:MAX_NOTES], f"… and {len(notes) - MAX_NOTES:,} more notes.")


def _seconds(seconds: float, digits: int) -> str:
    """With a no-break space: at the end of a phone's line, the unit would stand alone on the next."""
    return f"{seconds:.{digits}f}\u00a0s"


def _size(picture: Picture) -> str:
    """The size of a picture, and the drawn one of an enlarged picture: only that can be asked for."""
    shown, drawn = f"{picture.width}×{picture.height}", f"{picture.recipe.width}×{picture.recipe.height}"
    return shown if shown == drawn else f"{drawn} enlarged to {shown}"


def smaller_note(sent: ImageFile, file: ImageFile, max_bytes: int) -> str:
    """Why a picture or sheet comes as a smaller copy."""
    kind = "WebP" if sent.mimetype == "image/webp" else "JPEG"
    pixels = "" if (sent.width, sent.height) == (file.width, file.height) else f" of {sent.width}×{sent.height}"
    kept = " The drawing computer keeps the PNG." if file.mimetype == "image/png" else ""
    limit = f"{round(max_bytes / 2**20, 1):g} MB"
    return f"Your homeserver takes files up to {limit}, so this is a smaller {kind}{pixels}.{kept}"


def sheet_caption(asked: Asked, pictures: Sequence[Picture], notes: tuple[str, ...] = ()) -> str:
    """The number of pictures and their lists, the prompt, one line of facts, how to have one of them, and notes."""
    number = len(pictures)
    lists = [dict.fromkeys(own) for own in zip(*asked.headings, strict=True)]
    seeds = dict.fromkeys(f"seed {picture.recipe.seed}" for picture in pictures)
    lists += [seeds] if len(pictures) > len(asked.requests) else []
    facts = (
        *(() if len(seeds) > 1 else seeds),
        *dict.fromkeys(picture.recipe.model for picture in pictures),
        _seconds(sum(picture.facts.seconds for picture in pictures), 0),
    )
    remarks = [note for picture in pictures for note in picture.facts.notes]
    return "\n".join(
        (
            f"{number} pictures: {' × '.join(', '.join(one) for one in lists)}",
            pictures[0].prompt,
            " · ".join(facts),
            f"React with 1️⃣ to {number}\ufe0f\u20e3 to have one in full size.",
            *_some((*remarks, *notes)),
        )
    )
