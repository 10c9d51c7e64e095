"""The answers to ``!easel status`` and ``!easel models``. Pure.

What is missing on the drawing computer is for admins: nobody else can fetch it.
"""

from ..generator.types import Capabilities, Health, ModelCard, WorkerHealth
from ..sending.rich import Rich, Text, blocks, code, points, text

# What the drawing computer is, by the generator's name of its state.
STATES = {
    "ready": "is ready",
    "idle": "is resting. The next picture wakes it",
    "loading": "is starting",
    "paused": "is busy with something else",
    "draining": "is shutting down",
}

# What one of several cards is.
CARD_STATES = {
    "ready": "free",
    "idle": "resting until the next picture",
    "loading": "starting",
    "paused": "paused",
    "card_busy": "busy with another program",
    "resting": "in trouble, tried again soon",
}

# Before the bot's first job.
UNKNOWN = "I haven't met the drawing computer yet. Draw something, then I know its models."
NO_MODEL = "No model is here yet. Ask whoever runs me."


def status_text(
    generator: Health | str, known: Capabilities | None, jobs_today: int, version: str, *, is_admin: bool
) -> Text:
    """The answer. ``generator`` is its health, or the sentence why it gave none; ``known`` are its last capabilities.

    ``jobs_today`` is how many jobs were drawn within a day.
    """
    drawn = f"{jobs_today} drawn in 24 hours"
    lines: list[Text]
    if isinstance(generator, str):
        lines, theirs = [generator, f"{drawn}."], ""
    else:
        load = f"{generator.running} being drawn · {generator.queued} waiting · {drawn}"
        lines, theirs = [_health(generator), load], f" · generator {generator.version}"
        if is_admin:
            lines += _for_admins(generator)
    missing = [card.name for card in known.models if not card.available] if known and is_admin else []
    if missing:
        lines.append(f"Not fetched: {', '.join(missing)}.")
    return blocks(*lines, f"Easel {version}{theirs}")


def models_text(known: Capabilities | None, *, is_admin: bool) -> Text:
    """The models that can draw now, the default first; for admins, their licences and the other models too."""
    if known is None:
        return UNKNOWN
    cards = sorted(known.models, key=lambda card: card.name != known.default_model)
    here = [_described(card, known.default_model, is_admin=is_admin) for card in cards if card.available]
    missing = ", ".join(card.name for card in cards if not card.available) if is_admin else ""
    return blocks(points(here) if here else NO_MODEL, f"Not fetched: {missing}." if missing else "")


def _described(card: ModelCard, default: str, *, is_admin: bool) -> Rich:
    sizes = ", ".join(f"{name} {size.width}×{size.height}" for name, size in card.sizes.items())
    facts = (
        "the default" if card.name == default else "",
        # Behind a semicolon stands what matters to those who install it.
        card.about.partition(";")[0],
        f"{card.defaults.steps} steps",
        sizes,
        card.licence if is_admin else "",
    )
    return code(card.name) + "".join(f" · {fact}" for fact in facts if fact)


def _health(health: Health) -> str:
    speed = f", {health.steps_per_second:.2g} steps a second" if health.steps_per_second else ""
    return f"The drawing computer {STATES.get(health.state, health.state)}{speed}."


def _for_admins(health: Health) -> list[Text]:
    """The machine's own figures; of several cards a point each."""
    if len(health.workers) > 1:
        return [points(text(_card(worker)) for worker in health.workers)]
    lines: list[Text]
    lines = [f"On {health.device}."] if health.device else []
    if health.models:
        lines.append(f"Loaded: {', '.join(health.models)}.")
    if health.memory:
        lines.append(f"Memory: {_gib(health.memory.used_bytes)} of {_gib(health.memory.total_bytes)}.")
    return lines


def _card(worker: WorkerHealth) -> str:
    memory = worker.memory
    facts = (
        worker.device or "",
        "drawing" if worker.jobs else CARD_STATES.get(worker.state, worker.state),
        ", ".join(worker.models),
        f"{_gib(memory.used_bytes)} of {_gib(memory.total_bytes)}" if memory else "",
        f"{worker.steps_per_second:.2g} steps a second" if worker.steps_per_second else "",
        worker.trouble or "",
    )
    return worker.name + "".join(f" · {fact}" for fact in facts if fact)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
