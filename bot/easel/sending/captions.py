"""What stands below a picture or a sheet: the prompt, one line of facts, and what a person should know. Pure."""

from collections.abc import Sequence

from ..generator.types import Picture
from ..language import Asked


def caption(picture: Picture, notes: tuple[str, ...] = ()) -> str:
    """The prompt, one line of facts, and whatever a person should know of this picture."""
    recipe = picture.recipe
    facts = (
        f"seed {recipe.seed}",
        recipe.model,
        f"{recipe.steps} step{'' if recipe.steps == 1 else 's'}",
        f"guidance {recipe.guidance_scale:g}",
        # What is left out makes the picture another one.
        *(() if recipe.tier == "exact" else (recipe.tier,)),
        _size(picture),
        f"{picture.facts.seconds:.0f} s" if picture.facts.seconds >= 10 else f"{picture.facts.seconds:.1f} s",
    )
    return "\n".join((picture.prompt, " · ".join(facts), *picture.facts.notes, *notes))


def _size(picture: Picture) -> str:
    """Both sizes of an enlarged picture: only the drawn one can be asked for."""
    shown, drawn = f"{picture.width}×{picture.height}", f"{picture.recipe.width}×{picture.recipe.height}"
    return shown if shown == drawn else f"{drawn} enlarged to {shown}"


def sheet_caption(asked: Asked, pictures: Sequence[Picture], notes: tuple[str, ...] = ()) -> str:
    """How many pictures and of what, one line of facts, how to have one of them, and whatever a person should know."""
    number = len(pictures)
    lists = [dict.fromkeys(own) for own in zip(*asked.headings, strict=True)]
    seeds = dict.fromkeys(f"seed {picture.recipe.seed}" for picture in pictures)
    lists += [seeds] if len(pictures) > len(asked.requests) else []
    facts = (
        *(() if len(seeds) > 1 else seeds),
        *dict.fromkeys(picture.recipe.model for picture in pictures),
        f"{sum(picture.facts.seconds for picture in pictures):.0f} s",
    )
    remarks = dict.fromkeys(note for picture in pictures for note in picture.facts.notes)
    return "\n".join(
        (
            f"{number} pictures: {' × '.join(', '.join(one) for one in lists)}",
            pictures[0].prompt,
            " · ".join(facts),
            f"React with 1️⃣ to {number}\ufe0f\u20e3 to have one in full size.",
            *remarks,
            *notes,
        )
    )
