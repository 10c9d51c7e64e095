"""The captions of pictures and sheets: the prompt, one line of facts, and notes. Pure."""

from collections.abc import Sequence

from ..generator.types import ImageFile, Picture
from ..language import SLOTS, Asked, brief, isolated

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
    return "\n".join((isolated(picture.prompt), " · ".join(facts), *_some((*picture.facts.notes, *notes))))


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
            f"{number} pictures: {' × '.join(', '.join(map(isolated, one)) for one in lists)}",
            _prompts(asked, pictures),
            " · ".join(facts),
            f"React with 1️⃣ {'or' if number == 2 else 'to'} {number}\ufe0f\u20e3 to have one in full size.",
            *_some((*remarks, *notes)),
        )
    )


def _prompts(asked: Asked, pictures: Sequence[Picture]) -> str:
    """The prompt of all pictures, with braces around what differs, as one types a list."""
    if len({picture.prompt for picture in pictures}) == 1:
        return isolated(pictures[0].prompt)
    slots = ([getattr(request.slots, slot) for request in asked.requests] for slot in SLOTS)
    return ", ".join(term for versions in slots for term in _with_braces(versions))


def _with_braces(versions: Sequence[tuple[str, ...]]) -> list[str]:
    """The terms that all versions of a slot begin and end with, and between them a list of the others."""
    shortest = min(map(len, versions))
    start = next((n for n in range(shortest) if len({terms[n] for terms in versions}) > 1), shortest)
    left = shortest - start
    end = next((n for n in range(left) if len({terms[-1 - n] for terms in versions}) > 1), left)
    choices = dict.fromkeys(", ".join(terms[start : len(terms) - end]) for terms in versions)
    middle = [f"{{{' | '.join(map(brief, choices))}}}"] if len(choices) > 1 else []
    return [*map(isolated, versions[0][:start]), *middle, *map(isolated, versions[0][len(versions[0]) - end :])]
