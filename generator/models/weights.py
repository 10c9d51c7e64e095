"""Find a model's weights on this machine with their revision, and fetch them.

Only ``fetch`` uses the network; drawing works from local files alone. Knows nothing of torch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from generator.errors import FetchFailed, WeightsMissing
from generator.models.cards import CardSettings, LoraSettings
from generator.models.download import download

# The parts of a pipeline that draw, each with the file that describes it. A safety checker does not draw.
_PARTS = {
    "unet": "config.json",
    "vae": "config.json",
    "text_encoder": "config.json",
    "tokenizer": "tokenizer_config.json",
    "scheduler": "scheduler_config.json",
}
_PARTS_OF = {
    "sd": _PARTS,
    "sdxl": {**_PARTS, "text_encoder_2": "config.json", "tokenizer_2": "tokenizer_config.json"},
}
_TOKENIZERS = ("tokenizer", "tokenizer_2")
_WITHOUT_WEIGHTS = (*_TOKENIZERS, "scheduler")

# Either has the words; a tokenizer without both is loaded all the same, and reads every text alike.
_VOCABULARIES = ("tokenizer.json", "vocab.json")

# The head of a safetensors file names its tensors, the tail is weights: together they distinguish two models quickly.
_DIGEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Located:
    """A pipeline in diffusers' layout; ``file``, if there is one, has all weights but those in ``vae``.

    ``revision`` is the hub's commit, or a digest of the files with weights.
    """

    folder: Path
    revision: str
    file: Path | None = None
    vae: Path | None = None


def locate(name: str, card: CardSettings) -> Located:
    """Find the weights of a card, without the network. Raises WeightsMissing, whose message says what to do."""
    folder = _folder(card)
    if folder is None:
        message = f"The weights of {name} are not on the drawing computer. {how_to_get(name, card)}"
        raise WeightsMissing(message)
    if card.is_one_file:
        file = _one_file(card, folder)
        own = [path for path in (card.file, card.vae) if path]
        parts = ([folder.name] if card.weight_name else []) + ([_digest(own)] if own else [])
        return Located(folder, "+".join(parts), file, card.vae)
    return Located(folder, folder.name if card.repository else _digest(sorted(folder.rglob("*.safetensors"))))


def locate_lora(name: str, lora: LoraSettings) -> tuple[Path, str]:
    """Find the LoRA that a model draws drafts with; return its file and revision. Raises WeightsMissing."""
    file = _lora_file(lora)
    if file is None:
        message = (
            f"The LoRA that {name} draws drafts with is not on the drawing computer. {how_to_get_lora(name, lora)}"
        )
        raise WeightsMissing(message)
    return file, file.parent.name if lora.repository else _digest([file])


def lora_bytes(card: CardSettings) -> int:
    """The size of the LoRA that the card draws drafts with, in bytes; 0 if it is not on this machine."""
    file = _lora_file(card.draft.lora) if card.draft else None
    return file.stat().st_size if file else 0


def weight_files(located: Located, card: CardSettings) -> Iterator[tuple[str, Path]]:
    """Yield every file with weights, after the part it belongs to: ``""`` for a file with all parts."""
    if located.file:
        yield "", located.file
        if located.vae:
            yield "vae", located.vae
        return
    for part in _PARTS_OF[card.family]:
        for pattern in _weights(part, card):
            for file in sorted(located.folder.glob(pattern)):
                yield part, file


def is_here(card: CardSettings) -> bool:
    """Whether ``locate`` would find the weights. Quick enough for every request for capabilities."""
    return _folder(card) is not None


def how_to_get(name: str, card: CardSettings) -> str:
    """Advise the person who runs this machine on how to get a card's weights."""
    for file in (card.file, card.vae):
        if file and not file.is_file():
            return f"There is no file {file}."
    if card.repository:
        return f"Run python -m generator fetch {name}"
    if card.built_in:
        return "It is a part of Easel: install the generator again."
    if card.file:
        return f"Put its configuration and tokenizers into {card.folder}, in diffusers' layout."
    return f"Put them into {card.folder}, in diffusers' layout, as safetensors."


def how_to_get_lora(name: str, lora: LoraSettings) -> str:
    return f"Run python -m generator fetch {name}" if lora.repository else f"There is no file {lora.file}."


def can_be_fetched(card: CardSettings) -> bool:
    """Whether a hub has the model, or the LoRA of its drafts."""
    return bool(card.repository or (card.draft and card.draft.lora.repository))


def fetch(name: str, card: CardSettings) -> Iterator[Path]:
    """Download what a card needs, or finish an interrupted download. Yields each path once there.

    Fetches the model, without its weights if the card has them in a file of this machine, and the LoRA of its drafts.
    Raises FetchFailed if the hub cannot be reached or does not have them.
    """
    if card.repository:
        folder = _fetched(name, card, _patterns(card))
        if not is_complete(folder, card):
            what = "configuration" if card.file else card.weight_name or "set of safetensors"
            raise FetchFailed("fetch_failed", f"{card.repository} has no complete {what} for {name}.")
        yield folder
    if card.draft and card.draft.lora.repository:
        lora = card.draft.lora
        file = _fetched(name, lora, [lora.weight_name]) / lora.weight_name
        if not file.is_file():
            raise FetchFailed("fetch_failed", f"{lora.repository} has no {lora.weight_name} for the drafts of {name}.")
        yield file


def _fetched(name: str, source: CardSettings | LoraSettings, patterns: list[str]) -> Path:
    assert source.repository is not None
    return download(name, source.repository, source.revision, patterns)


def is_complete(folder: Path, card: CardSettings) -> bool:
    """Whether the folder has every part that draws: configuration, vocabulary, and weights unless a file has them."""
    if card.weight_name and not (folder / card.weight_name).is_file():
        return False
    return (folder / "model_index.json").is_file() and all(
        (folder / part / described_by).is_file() and _has_data(folder, part, card)
        for part, described_by in _PARTS_OF[card.family].items()
    )


def _has_data(folder: Path, part: str, card: CardSettings) -> bool:
    patterns = [f"{part}/{name}" for name in _VOCABULARIES] if part in _TOKENIZERS else _weights(part, card)
    return not patterns or any(any(folder.glob(pattern)) for pattern in patterns)


def _folder(card: CardSettings) -> Path | None:
    """Find the folder with all that a card needs beside its file; None if anything is missing."""
    if card.repository:
        folder = _cached(card, _patterns(card))
    elif card.built_in:
        # Our own package has the weights beside its modules, as plain files.
        folder = Path(str(files("generator") / card.built_in / "weights"))
    else:
        folder = card.folder
    if folder is None or any(file and not file.is_file() for file in (card.file, card.vae)):
        return None
    return folder if is_complete(folder, card) else None


def _one_file(card: CardSettings, folder: Path) -> Path:
    if card.file:
        return card.file
    assert card.weight_name, "card.is_one_file"
    return folder / card.weight_name


def _lora_file(lora: LoraSettings) -> Path | None:
    file = lora.file
    if lora.repository:
        folder = _cached(lora, [lora.weight_name])
        file = folder / lora.weight_name if folder else None
    return file if file and file.is_file() else None


def _cached(source: CardSettings | LoraSettings, patterns: list[str]) -> Path | None:
    assert source.repository is not None
    try:
        return Path(
            snapshot_download(
                source.repository, revision=source.revision, allow_patterns=patterns, local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None


def _patterns(card: CardSettings) -> list[str]:
    """List the files to fetch: configurations, tokenizers and one variant's weights. Never pickles, never code."""
    patterns = ["model_index.json", *([card.weight_name] if card.weight_name else [])]
    for part in _PARTS_OF[card.family]:
        patterns += [f"{part}/*.json", f"{part}/*.txt", *_weights(part, card)]
    return patterns


def _weights(part: str, card: CardSettings) -> list[str]:
    """List the names that a part's weights can have in the card's variant: a single file, or numbered ones."""
    if card.is_one_file or part in _WITHOUT_WEIGHTS:
        return []
    name = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
    variant = f".{card.variant}" if card.variant else ""
    return [f"{part}/{name}{variant}{number}.safetensors" for number in ("", "-*-of-*")]


def _digest(weights: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in weights:
        size = file.stat().st_size
        digest.update(f"{file.parent.name}/{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_DIGEST_BYTES))
            stream.seek(max(0, size - _DIGEST_BYTES))
            digest.update(stream.read())
    return f"files-{digest.hexdigest()[:16]}"
