"""Room profiles: what a room's pictures are like, and what it does not draw. Pure: knows no Matrix.

Blocked words are searched for in the final prompt, the theme and a sheet's headings; nobody looks at the picture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Any

from ..generator.types import Capabilities, ModelCard
from ..language import SLOTS, DrawRequest, ParseError, quoted
from ..language.chat import parse_chat
from ..language.weights import read_terms
from ..setting_rules import InvalidSettings, glob, no_such, number, read_settings, text, texts
from .blocked_words import as_words, find_word
from .work import work_of

# Up to here a picture is drawn without guidance, and so without its negative prompt.
NO_GUIDANCE = 1

# The flags whose defaults a room may set, as a person types them. The model has a key of its own.
DEFAULT_FLAGS = ("steps", "cfg", "size", "ar", "sampler", "tier")

EMPTY_REQUEST = DrawRequest()


def _default_flags(key: str, value: Any) -> DrawRequest:
    """A rule for settings: the request of a mapping of flags, read as if a person typed them."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(f"{key} must be a mapping of {', '.join(DEFAULT_FLAGS)}")
    if unknown := [flag for flag in value if flag not in DEFAULT_FLAGS]:
        raise InvalidSettings(f"{key}: {no_such('default', unknown[0], DEFAULT_FLAGS)}")
    try:
        request = parse_chat("\n".join(f"--{flag} {typed}" for flag, typed in value.items()))
    except ParseError as error:
        raise InvalidSettings(f"{key}: {error}".rstrip(".")) from error
    if len(_given_fields(request)) != len(value):
        raise InvalidSettings(f"{key} must be one value for each flag, such as steps: 30")
    return request


def _given_fields(request: DrawRequest) -> list[str]:
    """The fields that differ from an empty request."""
    return [f.name for f in fields(DrawRequest) if getattr(request, f.name) != getattr(EMPTY_REQUEST, f.name)]


def _terms(key: str, value: Any) -> tuple[str, ...]:
    try:
        return read_terms(", ".join(texts(key, value)))
    except ParseError as error:
        raise InvalidSettings(f"{key}: {error}".rstrip(".")) from error


def _blockable_words(key: str, value: Any) -> tuple[str, ...]:
    for word in texts(key, value):
        if not as_words(word):
            raise InvalidSettings(f"{key}: {quoted(word)} has no letters in it")
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class RoomProfile:
    """One room's rules. ``style`` and ``no`` are always added; None and an empty list mean no limit."""

    model: Annotated[str | None, text] = None
    defaults: Annotated[DrawRequest, _default_flags] = EMPTY_REQUEST
    style: Annotated[tuple[str, ...], _terms] = ()
    no: Annotated[tuple[str, ...], _terms] = ()
    models: Annotated[tuple[str, ...], texts] = ()
    max_megapixels: Annotated[float | None, number(above=0)] = None
    blocked_words: Annotated[tuple[str, ...], _blockable_words] = ()

    def __post_init__(self) -> None:
        if self.model and self.models and self.model not in self.models:
            raise InvalidSettings(f"model must be one of models, and {self.model} is not")
        if word := find_word(", ".join(self.style), self.blocked_words):
            raise InvalidSettings(f"style has {quoted(word)} in it, which blocked_words forbids")
        guidance_scale = self.defaults.guidance_scale
        if self.no and guidance_scale is not None and guidance_scale <= NO_GUIDANCE:
            raise InvalidSettings(f"defaults: cfg must be above {NO_GUIDANCE}, since no takes guidance")

    def applied_to(self, request: DrawRequest, capabilities: Capabilities) -> DrawRequest:
        """The request with this room's defaults for what it leaves open, and with what the room always adds."""
        card = self._card(request, capabilities)
        model = self.model or next(iter(self.models), None)
        request = replace(_fitting(self.defaults, card), model=model).changed_by(request)
        own = request.slots.style
        style = (*own, *(term for term in self.style if term not in own))
        request = replace(request, slots=replace(request.slots, style=style))
        if not self.no or (card and not card.takes_guidance):
            return request
        return replace(request, negative_prompt=self._negative_prompt(request, card))

    def usual(self, request: DrawRequest, capabilities: Capabilities) -> DrawRequest:
        """What this room draws with for the words, model and tier of a request that says no more."""
        card = self._card(request, capabilities)
        applied = self.applied_to(
            DrawRequest(slots=request.slots, model=request.model, tier=request.tier), capabilities
        )
        if card is None:
            return applied
        defaults, usual = card.defaults, card.usual(applied.tier)
        guidance_scale = usual.guidance_scale if applied.guidance_scale is None else applied.guidance_scale
        negative_prompt = defaults.negative_prompt if guidance_scale > NO_GUIDANCE else ""
        return replace(
            applied,
            model=self.model or next(iter(self.models), capabilities.default_model),
            negative_prompt=negative_prompt if applied.negative_prompt is None else applied.negative_prompt,
            steps=applied.steps or usual.steps,
            guidance_scale=guidance_scale,
            sampler=applied.sampler or defaults.sampler,
            tier=self.defaults.tier or defaults.tier,
            size=_pixels(applied, card),
        )

    def notes(self, request: DrawRequest, capabilities: Capabilities) -> tuple[str, ...]:
        """What this room's rules cannot do with the model that draws the request, for the caption."""
        card = self._card(request, capabilities)
        if not self.no or not card or card.takes_guidance:
            return ()
        added = ", ".join(self.no)
        return (f"{card.name} can't leave things out, so this may have {added}.",)

    def _card(self, request: DrawRequest, capabilities: Capabilities) -> ModelCard | None:
        return capabilities.card(request.model or self.model or next(iter(self.models), None))

    def _negative_prompt(self, request: DrawRequest, card: ModelCard | None) -> str:
        """The negative prompt with the room's terms first, since a text that is too long for the model loses its end.

        A recipe of this room already begins with them, and must stay as it is to give the same pixels.
        """
        default = card.defaults.negative_prompt if card else ""
        prompt = default if request.negative_prompt is None else request.negative_prompt
        added = ", ".join(self.no)
        if f"{prompt}, ".startswith(f"{added}, "):
            return prompt
        return f"{added}, {prompt}" if prompt else added

    def refusal(self, body: Mapping[str, Any], capabilities: Capabilities) -> str | None:
        """Why this room does not draw the job of that body, as a sentence for the person who typed."""
        for recipe, work in zip(body["recipes"], work_of(body, capabilities), strict=True):
            model = recipe.get("model") or capabilities.default_model
            if self.models and model not in self.models:
                return f"This room doesn't draw with {quoted(model)}. It has {', '.join(self.models)}."
            if self.max_megapixels and work.megapixels > self.max_megapixels:
                return (
                    f"{work.width}×{work.height} is too large for this room, which draws up to "
                    f"{self.max_megapixels:g} megapixels. Ask for a smaller --size."
                )
            if self.no and not _is_negative_prompt_used(recipe, capabilities.card(model)):
                kept_out = ", ".join(self.no)
                return f"This room keeps out {kept_out}, and that needs a higher --cfg, such as 2."
        # The recipes of a job differ in little more than their seeds.
        for typed in dict.fromkeys(_texts(body)):
            if word := find_word(typed, self.blocked_words):
                return f"This room doesn't draw {quoted(word)}."
        return None


def _pixels(request: DrawRequest, card: ModelCard) -> tuple[int, int] | str | None:
    """The size of a request in pixels; None for a shape, which is fitted elsewhere."""
    if isinstance(request.size, str):
        size = card.sizes.get(request.size)
        return (size.width, size.height) if size else request.size
    if request.size is None and request.aspect_ratio is None:
        return card.defaults.width, card.defaults.height
    return request.size


def _fitting(defaults: DrawRequest, card: ModelCard | None) -> DrawRequest:
    """The room's defaults that the model can have; the others were meant for another model."""
    if card is None:
        return defaults
    has_fewer_steps = defaults.steps is not None and defaults.steps > card.limits.max_steps
    return replace(
        defaults,
        steps=None if has_fewer_steps else defaults.steps,
        guidance_scale=defaults.guidance_scale if card.takes_guidance else None,
    )


def _is_negative_prompt_used(recipe: Mapping[str, Any], card: ModelCard | None) -> bool:
    """Whether guidance keeps out what the negative prompt says. A model that takes none gets a note instead."""
    if card is None or not card.takes_guidance:
        return True
    return bool(recipe.get("guidance_scale", card.usual(recipe.get("tier")).guidance_scale) > NO_GUIDANCE)


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    """What is drawn or shown: the final prompts, the themes, which are folders' names, and a sheet's headings."""
    for recipe in body["recipes"]:
        yield ", ".join(term for slot in SLOTS for term in recipe["slots"].get(slot, ()))
        yield recipe.get("theme", "")
    for headings in ("columns", "rows"):
        yield from body.get("sheet", {}).get(headings, ())


Rooms = Mapping[str, RoomProfile]


def room_profiles(key: str, value: Any) -> Rooms:
    """A rule for settings: profiles by room id or glob, in the order in which they are tried; ``*`` comes last."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(f"{key} must be a mapping from room ids to profiles")
    profiles = {}
    for room in sorted(value, key=lambda room: room == "*"):
        within = f"{key}: {glob('!')(key, room)}: "
        keys = {} if value[room] is None else value[room]
        if not isinstance(keys, Mapping):
            raise InvalidSettings(f"{within}must be a mapping of {', '.join(f.name for f in fields(RoomProfile))}")
        profiles[str(room)] = read_settings(RoomProfile, keys, within=within)
    return MappingProxyType(profiles)


def has_own_rules(room_id: str, rooms: Rooms) -> bool:
    """Whether a room, unlike every other one, keeps something out of its pictures: one for children, say."""
    profile = next((profile for room, profile in rooms.items() if room != "*" and fnmatchcase(room_id, room)), None)
    return profile is not None and bool(profile.blocked_words or profile.no)


def profile_for(room_id: str, rooms: Rooms) -> RoomProfile:
    """The first profile whose key matches the room, or a profile without rules."""
    return next((profile for room, profile in rooms.items() if fnmatchcase(room_id, room)), RoomProfile())
