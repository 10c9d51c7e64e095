"""Where a model's weights are on this machine, which revision they are, and how they are fetched.

Only ``fetch`` ever asks a network; everything that draws works from files that are here. Knows nothing of torch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionResolutionError

from generator.cards import CardSettings
from generator.errors import FetchFailed, WeightsMissing

# The parts of a pipeline that draw, each with the file that describes it; a safety checker is none of them.
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
_WITHOUT_WEIGHTS = ("tokenizer", "tokenizer_2", "scheduler")

# The head of a safetensors file names its tensors, the tail is weights: together they tell two models apart in no time.
_DIGEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Located:
    """A pipeline in diffusers' layout, whose weights are all in ``file`` if there is one.

    ``revision`` is the hub's commit, or a digest of the files with weights.
    """

    folder: Path
    revision: str
    file: Path | None = None


def locate(name: str, card: CardSettings) -> Located:
    """Find the weights of a card without a network. Raises WeightsMissing with what to do."""
    folder = _folder(card)
    if folder is None:
        message = f"The weights of {name} are not on the drawing machine. {how_to_get(name, card)}"
        raise WeightsMissing("weights_missing", message)
    if card.file:
        return Located(folder, _digest([card.file]), card.file)
    return Located(folder, folder.name if card.repository else _digest(sorted(folder.rglob("*.safetensors"))))


def weight_files(located: Located, card: CardSettings) -> Iterator[tuple[str, Path]]:
    """Every file with weights and the part it belongs to; one that has them all belongs to the part ``""``."""
    if located.file:
        yield "", located.file
        return
    for part in _PARTS_OF[card.family]:
        for pattern in _weights(part, card):
            for file in sorted(located.folder.glob(pattern)):
                yield part, file


def is_here(card: CardSettings) -> bool:
    """Whether ``locate`` would find the weights; quick, so that capabilities can be told at any time."""
    return _folder(card) is not None


def how_to_get(name: str, card: CardSettings) -> str:
    """What whoever looks after this machine can do when a card's weights are not here."""
    if card.file and not card.file.is_file():
        return f"There is no file {card.file}."
    if card.repository:
        return f"Run python -m generator fetch {name}"
    if card.built_in:
        return f"Run python -m generator.{card.built_in}.train"
    if card.file:
        return f"Put its configuration and tokenizers into {card.folder}, in diffusers' layout."
    return f"Put them into {card.folder}, in diffusers' layout, as safetensors."


def fetch(name: str, card: CardSettings) -> Path:
    """Download what a card needs with a progress bar, or finish a download that was broken off. Returns the folder.

    That is all but the weights, a few megabytes, where they are in a file. Raises FetchFailed when the hub cannot be
    reached or does not have them.
    """
    assert card.repository is not None
    try:
        folder = Path(snapshot_download(card.repository, revision=card.revision, allow_patterns=_patterns(card)))
    except (OSError, HTTPError, RevisionResolutionError) as error:
        why = str(error).partition("\n")[0]
        raise FetchFailed("fetch_failed", f"{name} could not be fetched from {card.repository}: {why}") from error
    if not is_complete(folder, card):
        what = "configuration" if card.file else "set of safetensors"
        raise FetchFailed("fetch_failed", f"{card.repository} has no complete {what} for {name}.")
    return folder


def is_complete(folder: Path, card: CardSettings) -> bool:
    """Whether every part that draws is here with its configuration and, unless a file has them, its weights."""
    return (folder / "model_index.json").is_file() and all(
        (folder / part / described_by).is_file() and _has_weights(folder, part, card)
        for part, described_by in _PARTS_OF[card.family].items()
    )


def _has_weights(folder: Path, part: str, card: CardSettings) -> bool:
    patterns = _weights(part, card)
    return not patterns or any(any(folder.glob(pattern)) for pattern in patterns)


def _folder(card: CardSettings) -> Path | None:
    """The folder with all that a card needs beside its file, or None."""
    if card.repository:
        folder = _cached(card)
    elif card.built_in:
        # A package of ours has its weights beside its modules, as plain files.
        folder = Path(str(files("generator") / card.built_in / "weights"))
    else:
        folder = card.folder
    if folder is None or (card.file and not card.file.is_file()):
        return None
    return folder if is_complete(folder, card) else None


def _cached(card: CardSettings) -> Path | None:
    assert card.repository is not None
    try:
        return Path(
            snapshot_download(
                card.repository, revision=card.revision, allow_patterns=_patterns(card), local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None


def _patterns(card: CardSettings) -> list[str]:
    """Configurations, tokenizers and the weights of one variant, of the parts that draw; never pickles, never code."""
    patterns = ["model_index.json"]
    for part in _PARTS_OF[card.family]:
        patterns += [f"{part}/*.json", f"{part}/*.txt", *_weights(part, card)]
    return patterns


def _weights(part: str, card: CardSettings) -> list[str]:
    """The names that a part's weights can have in the card's variant: one file, or several with their number."""
    if card.file or part in _WITHOUT_WEIGHTS:
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
