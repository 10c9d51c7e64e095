"""Where a model's weights are on this machine, which revision they are, and how they are fetched.

Only ``fetch`` ever asks a network; everything that draws works from files that are here. Knows nothing of torch.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionResolutionError

from generator.cards import CardSettings
from generator.errors import FetchFailed, WeightsMissing

# The parts of a pipeline that have weights; a text encoder that a family lacks is not in model_index.json.
_WITH_WEIGHTS = ("unet", "vae", "text_encoder", "text_encoder_2")

# The head of a safetensors file names its tensors, the tail is weights: together they tell two models apart in no time.
_DIGEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Located:
    """A pipeline in diffusers' layout. ``revision`` is the hub's commit, or a digest of the folder's files."""

    folder: Path
    revision: str


def locate(name: str, card: CardSettings) -> Located:
    """Find the weights of a card without a network. Raises WeightsMissing with what to do."""
    folder = _folder(card)
    if folder is None:
        message = f"The weights of {name} are not on the drawing machine. {how_to_get(name, card)}"
        raise WeightsMissing("weights_missing", message)
    return Located(folder, folder.name if card.repository else _digest(folder))


def is_here(card: CardSettings) -> bool:
    """Whether ``locate`` would find the weights; quick, so that capabilities can be told at any time."""
    return _folder(card) is not None


def how_to_get(name: str, card: CardSettings) -> str:
    """What whoever looks after this machine can do when a card's weights are not here."""
    if card.repository:
        return f"Run python -m generator fetch {name}"
    if card.built_in:
        return f"Run python -m generator.{card.built_in}.train"
    return f"Put them into {card.folder}, in diffusers' layout, as safetensors."


def fetch(name: str, card: CardSettings) -> Path:
    """Download a card's weights with a progress bar, or finish a download that was broken off. Returns the folder.

    Raises FetchFailed when the hub cannot be reached or does not have them.
    """
    assert card.repository is not None
    try:
        folder = Path(snapshot_download(card.repository, revision=card.revision, allow_patterns=_patterns(card)))
    except (OSError, HTTPError, RevisionResolutionError) as error:
        why = str(error).partition("\n")[0]
        raise FetchFailed("fetch_failed", f"{name} could not be fetched from {card.repository}: {why}") from error
    if not is_complete(folder, card.variant):
        raise FetchFailed("fetch_failed", f"{card.repository} has no complete set of safetensors for {name}.")
    return folder


def is_complete(folder: Path, variant: str | None) -> bool:
    """Whether every part of the pipeline that has weights has them here, in the card's variant."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    suffix = f"*.{variant}.safetensors" if variant else "*.safetensors"
    return all(any((folder / part).glob(suffix)) for part in _WITH_WEIGHTS if part in index)


def _folder(card: CardSettings) -> Path | None:
    """The folder with all weights of a card, or None."""
    if card.repository:
        folder = _cached(card)
    elif card.built_in:
        # A package of ours has its weights beside its modules, as plain files.
        folder = Path(str(files("generator") / card.built_in / "weights"))
    else:
        folder = card.folder
    return folder if folder is not None and is_complete(folder, card.variant) else None


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
    """Configurations, tokenizers and the weights of one variant; never pickles, never code."""
    weights = f"*/*.{card.variant}.safetensors" if card.variant else "*/*.safetensors"
    return ["model_index.json", "*/*.json", "*/*.txt", weights]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_DIGEST_BYTES))
            stream.seek(max(0, size - _DIGEST_BYTES))
            digest.update(stream.read())
    return f"files-{digest.hexdigest()[:16]}"
