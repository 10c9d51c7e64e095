"""What a ``!draw`` asks for, once read. Knows no syntax, no models and no limits: the generator has those."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import chain

from .sentences import ParseError

Scalar = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Slots:
    """A structured prompt: the terms of each slot, in compel's syntax and in the order of the joined prompt."""

    subject: tuple[str, ...] = ()
    outfit: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    style: tuple[str, ...] = ()

    def joined(self) -> str:
        """The flat prompt."""
        return ", ".join(chain.from_iterable(getattr(self, slot) for slot in SLOTS))

    def __bool__(self) -> bool:
        return any(getattr(self, slot) for slot in SLOTS)


SLOTS = tuple(slot.name for slot in fields(Slots))


@dataclass(frozen=True, kw_only=True)
class EarlierFacts:
    """What a pasted recipe records of its first picture, for the generator to compare with its own plan."""

    model_revision: str | None = None
    plan: Mapping[str, Scalar] | None = None


@dataclass(frozen=True, kw_only=True)
class DrawRequest:
    """Everything that a person asks for, and nothing else: ``None`` and ``()`` mean "not given".

    ``negative_prompt`` replaces the model's default ("" means no negative prompt); the terms of ``no`` are added to it,
    or to the default. ``size`` is (width, height) in pixels or one of ``portrait``, ``landscape``, ``square``; it is
    never given together with ``aspect_ratio`` (width, height). ``image`` is the SHA-256 of the photo that a recipe was
    drawn from, ``strength`` how much of a photo is redrawn. ``notes`` are sentences about what was left out, and why;
    ``unused`` is what was typed or pasted and cannot be used, for one line.

    ``pasted`` names the fields that came with another program's text. They are wishes: what this generator cannot do of
    them is left out or fitted, and said. They do not make two requests differ.

    ``emptied`` names the slots that are to have nothing, as ``style: none`` says. They take away what an earlier
    request or a person's own defaults have there.
    """

    slots: Slots = Slots()
    negative_prompt: str | None = None
    no: tuple[str, ...] = ()
    theme: str | None = None
    model: str | None = None
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    size: tuple[int, int] | str | None = None
    aspect_ratio: tuple[int, int] | None = None
    sampler: str | None = None
    tier: str | None = None
    count: int | None = None
    image: str | None = None
    strength: float | None = None
    facts: EarlierFacts | None = field(default=None, hash=False)
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    pasted: tuple[str, ...] = field(default=(), compare=False)
    emptied: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.size is not None and self.aspect_ratio is not None:
            raise ParseError("--size and --ar both set the shape of the picture. Keep one of them.")

    def changed_by(self, later: "DrawRequest") -> "DrawRequest":
        """This request with each slot and field that ``later`` gives; ``no``, ``notes``,
        ``unused`` and ``emptied`` are added."""
        kept = {slot: () if slot in later.emptied else getattr(self.slots, slot) for slot in SLOTS}
        slots = {slot: getattr(later.slots, slot) or kept[slot] for slot in SLOTS}
        given = {name: value for name in _PLAIN_FIELDS if (value := getattr(later, name)) is not None}
        if later.size is not None or later.aspect_ratio is not None:
            given |= {"size": later.size, "aspect_ratio": later.aspect_ratio}
        added = {name: getattr(self, name) + getattr(later, name) for name in _ADDED_FIELDS}
        typed = {*given, "slots"} if later.slots else {*given}
        pasted = (*(name for name in self.pasted if name not in typed), *later.pasted)
        return replace(self, slots=Slots(**slots), pasted=pasted, **added, **given)


@dataclass(frozen=True)
class Asked:
    """Everything that one ``!draw`` asks for: a request per combination of its lists, the last varying fastest.

    ``headings`` has for each request its heading in each list, ``sizes`` has each list's number of choices.
    """

    requests: tuple[DrawRequest, ...]
    headings: tuple[tuple[str, ...], ...] = ((),)
    sizes: tuple[int, ...] = ()

    @property
    def pictures(self) -> int:
        return sum(max(1, request.count or 1) for request in self.requests)

    @property
    def chars(self) -> int:
        """How long its prompts are, all together."""
        prompts = (text for one in self.requests for text in (one.slots.joined(), one.negative_prompt, *one.no))
        return sum(len(prompt) for prompt in prompts if prompt)

    @property
    def seed(self) -> int | None:
        """The seed of the first picture, or None if it is left open."""
        return next((request.seed for request in self.requests), None)

    @property
    def image(self) -> str | None:
        """The SHA-256 of the photo that a pasted recipe was drawn from, or None."""
        return next((request.image for request in self.requests if request.image), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all requests, each once."""
        return tuple(dict.fromkeys(note for request in self.requests for note in request.notes))

    @property
    def unused(self) -> tuple[str, ...]:
        """What was typed or pasted and cannot be used, each once."""
        return tuple(dict.fromkeys(part for request in self.requests for part in request.unused))


@dataclass(frozen=True)
class Change:
    """A term that a reply to a recipe adds, to ``slot`` or where it is already, or removes wherever it is."""

    term: str
    is_added: bool
    slot: str


@dataclass(frozen=True)
class Changes:
    """What a text says: the slots and fields that ``request`` gives, and single terms to add and remove.

    ``plain`` are the subject's terms that stand there without a label. ``is_new_seed``: the recipe's seed is dropped,
    and the reply gives no other.
    """

    request: DrawRequest
    terms: tuple[Change, ...] = ()
    plain: tuple[str, ...] = ()
    is_new_seed: bool = False


_ADDED_FIELDS = ("no", "notes", "unused", "emptied")
_PLAIN_FIELDS = tuple(f.name for f in fields(DrawRequest) if f.name not in {"slots", "pasted", *_ADDED_FIELDS})
