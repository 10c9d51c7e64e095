"""A person's own defaults: which of them a request takes. Pure.

They fill in what a person left open, so a pasted recipe stays as it is. What does not go with the model of a request,
or with the room, is left.
"""

from dataclasses import replace

from ..generator.types import Capabilities
from ..language import Asked, DrawRequest, brief, same_name
from .room_profiles import RoomProfile

# What may be a default.
FIELDS = ("model", "size", "aspect_ratio", "steps")


def with_own_defaults(asked: Asked, own: DrawRequest, profile: RoomProfile, known: Capabilities | None) -> Asked:
    """The requests with the person's defaults, and a note on them for the caption."""
    return replace(asked, requests=tuple(_filled(request, own, profile, known) for request in asked.requests))


def described(own: DrawRequest) -> str:
    """The defaults on one line: ``model ssd-1b · style watercolor · 768×1024 · 20 steps``; "" if there are none."""
    size = "×".join(map(str, own.size)) if isinstance(own.size, tuple) else own.size
    parts = (
        f"model {own.model}" if own.model else None,
        f"style {brief(', '.join(own.slots.style))}" if own.slots.style else None,
        size,
        f"{own.aspect_ratio[0]}:{own.aspect_ratio[1]}" if own.aspect_ratio else None,
        f"{own.steps} steps" if own.steps else None,
    )
    return " · ".join(part for part in parts if part)


def _filled(request: DrawRequest, own: DrawRequest, profile: RoomProfile, known: Capabilities | None) -> DrawRequest:
    # Only a recipe names its theme, and a prompt from another program comes with all that it was drawn with.
    if request.theme or request.facts or None not in (request.negative_prompt, request.steps, request.seed):
        return request
    is_allowed = not profile.models or (own.model is not None and same_name(own.model, profile.models) is not None)
    exists = known is None or known.card(own.model) is not None
    model = own.model if request.model is None and is_allowed and exists else None
    # Steps and sizes were chosen for that model.
    goes_with = request.model is None or (own.model is not None and same_name(request.model, [own.model]) is not None)
    has_size = request.size is not None or request.aspect_ratio is not None
    style = own.slots.style if not request.slots.style and "style" not in request.emptied else ()
    taken = DrawRequest(
        model=model,
        steps=own.steps if goes_with and request.steps is None and request.tier != "draft" else None,
        size=own.size if goes_with and not has_size else None,
        aspect_ratio=own.aspect_ratio if goes_with and not has_size else None,
    )
    taken = replace(taken, slots=replace(taken.slots, style=style))
    note = described(taken)
    if not note:
        return request
    return taken.changed_by(replace(request, notes=(*request.notes, f"Your defaults: {note}")))
