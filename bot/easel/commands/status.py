"""The answer to ``!easel status``. Pure."""

from ..generator.types import Capabilities, Health, ModelCard

STATES = {
    "ready": "is ready",
    "idle": "is resting: the next picture loads its model",
    "loading": "is starting",
    "paused": "is paused: its card is needed for something else",
    "draining": "is stopping",
}


def status_text(generator: Health | str, known: Capabilities | None, jobs_today: int, version: str) -> str:
    """The answer. ``generator`` is its health, or the sentence why it gave none; ``known`` are its last capabilities.

    ``jobs_today`` is how many jobs were drawn within a day.
    """
    lines = [generator if isinstance(generator, str) else _health(generator)]
    if known is not None:
        models = "; ".join(_model(card, known.default_model) for card in known.models)
        lines.append(f"{'It last had' if isinstance(generator, str) else 'Models'}: {models}.")
    theirs = "" if isinstance(generator, str) else f", the generator {generator.version}"
    lines.append(f"{jobs_today} {'job was' if jobs_today == 1 else 'jobs were'} drawn in the last 24 hours.")
    return "\n".join((*lines, f"I am version {version}{theirs}."))


def models_text(known: Capabilities | None) -> str:
    """The answer to ``!easel models``."""
    if known is None:
        return "I have not met the generator yet. Draw something, and then I know its models."
    return "\n".join(f"{_model(card, known.default_model)}: {_described(card)}." for card in known.models)


def _described(card: ModelCard) -> str:
    sizes = ", ".join(f"{name} {size.width}×{size.height}" for name, size in card.sizes.items())
    return "; ".join(filter(None, (card.about, f"{card.defaults.steps} steps", sizes, f"licence {card.licence}")))


def _health(health: Health) -> str:
    speed = f" at {health.steps_per_second:.2g} steps a second" if health.steps_per_second else ""
    device = f" on {health.device}{speed}" if health.device else speed
    models = f"Loaded: {', '.join(health.models)}. " if health.models else ""
    memory = f"Memory: {_gib(health.memory.used_bytes)} of {_gib(health.memory.total_bytes)}. " if health.memory else ""
    return (
        f"The generator {STATES.get(health.state, health.state)}{device}. "
        f"{models}{memory}{health.running} being drawn, {health.queued} waiting."
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _model(card: ModelCard, default: str) -> str:
    facts = (
        "default" if card.name == default else "",
        "" if card.available else "not fetched yet",
    )
    text = ", ".join(filter(None, facts))
    return f"{card.name} ({text})" if text else card.name
