"""A download survives a hub that hangs up or is away for a while, and what cannot be had is a sentence."""

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest

from generator.__main__ import main
from generator.errors import FetchFailed
from generator.models import download as module
from generator.models.download import TRIES, download
from tests.helpers.model_hub import COMMIT, Habits, model_hub

REPOSITORY = "someone/tiny"
WEIGHTS = bytes(range(256)) * 400
Fetch = Callable[..., Path]


@pytest.fixture
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet/weights.safetensors").write_bytes(WEIGHTS)
    (folder / "unet/copy.safetensors").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def fetch(repository, no_hub_cache, monkeypatch) -> Fetch:
    """Download from a hub with these habits. Patches the library, which reads its environment only once."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)

    def run(habits: Habits | None = None, *, patterns: tuple[str, ...] = ("*",), name: str = REPOSITORY) -> Path:
        with model_hub({REPOSITORY: repository}, habits) as hub:
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub)
            template = hub + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            return download("tiny", name, None, patterns)

    return run


def part(tmp_path: Path) -> Path:
    blobs = tmp_path / "hub/models--someone--tiny/blobs"
    return blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.part"


def test_a_hub_that_cuts_every_download_ten_times_is_survived(fetch, capsys):
    habits = Habits(cut_bytes=len(WEIGHTS) // 10 - 1)
    folder = fetch(habits)
    assert folder.name == COMMIT
    assert (folder / "unet/weights.safetensors").read_bytes() == WEIGHTS
    assert (folder / "unet/copy.safetensors").read_bytes() == WEIGHTS
    assert habits.cuts == 10
    # Each try went on where the last one stopped, and equal files came once.
    assert habits.sent_bytes < 1.1 * len(WEIGHTS)
    said = capsys.readouterr().err
    assert said.count("The hub broke off; trying again in ") == 10
    assert "B/s" in said


def test_a_hub_that_cannot_go_on_in_the_middle_starts_again(fetch):
    habits = Habits(cut_bytes=len(WEIGHTS) - 1, ranges=False)
    with pytest.raises(FetchFailed, match="the hub broke off"):
        fetch(habits)
    habits.cut_bytes = None
    assert (fetch(habits) / "unet/weights.safetensors").read_bytes() == WEIGHTS


def test_what_has_arrived_is_kept_for_the_next_command(fetch, tmp_path):
    habits = Habits(cut_bytes=0)
    part(tmp_path).parent.mkdir(parents=True)
    part(tmp_path).write_bytes(WEIGHTS[:90_000])
    with pytest.raises(FetchFailed) as failed:
        fetch(habits)
    assert str(failed.value) == (
        f"tiny could not be fetched from {REPOSITORY}: the hub broke off. "
        "The same command goes on where this one stopped."
    )
    assert habits.cuts == TRIES
    assert part(tmp_path).stat().st_size == 90_000
    habits.cut_bytes = None
    habits.sent_bytes = 0
    assert (fetch(habits) / "unet/weights.safetensors").read_bytes() == WEIGHTS
    assert habits.sent_bytes < len(WEIGHTS) / 2


def test_what_arrived_wrong_is_thrown_away(fetch, tmp_path):
    part(tmp_path).parent.mkdir(parents=True)
    part(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(FetchFailed, match="not what the hub announced, so it was thrown away"):
        fetch()
    assert (fetch() / "unet/weights.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_is_away_for_a_while_is_asked_again(fetch, status, capsys):
    fetch(Habits(statuses=[status, status]))
    assert capsys.readouterr().err.count(f"The hub answers with status {status}; trying again in ") == 2


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(500, "the hub answers with status 500"), (404, "the hub has no such repository or file, or shows it only")],
)
def test_storage_that_does_not_give_a_file_is_a_sentence(fetch, status, sentence):
    habits = Habits(statuses=[status] * TRIES)
    with pytest.raises(FetchFailed, match=sentence):
        fetch(habits)
    # Nothing is gained by asking again for what is not there.
    assert len(habits.statuses) == (0 if status == 500 else TRIES - 1)


def test_silent_storage_is_told_after_each_try_and_given_up(fetch, monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.05)
    with pytest.raises(FetchFailed, match="the hub does not answer"):
        fetch(Habits(is_silent=True))
    assert capsys.readouterr().err.count("The hub does not answer; trying again in ") == TRIES - 1


def test_a_repository_that_is_not_there_is_a_sentence(fetch):
    with pytest.raises(FetchFailed, match="the hub has no such repository or file"):
        fetch(name="someone/other")


def test_a_hub_that_cannot_be_reached_is_a_sentence(no_hub_cache, monkeypatch, capsys):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchFailed, match="the hub cannot be reached"):
        download("tiny", REPOSITORY, None, ["*"])
    assert capsys.readouterr().err.count("The hub cannot be reached; trying again in ") == TRIES - 1


def test_a_disk_without_room_is_said_before_anything_is_fetched(fetch, tmp_path, monkeypatch):
    class Disk:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Disk)
    with pytest.raises(FetchFailed, match=r"tiny needs 0\.0 GB more on the disk of .*/hub, which has 0\.0 GB free"):
        fetch()
    assert not part(tmp_path).exists()


def test_two_commands_do_not_write_into_one_file(fetch, tmp_path):
    part(tmp_path).parent.mkdir(parents=True)
    with part(tmp_path).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FetchFailed, match="another command is fetching it"):
            fetch()


def test_fetch_knows_the_models_of_the_settings_that_the_environment_names(tmp_path, monkeypatch, capsys):
    settings = tmp_path / "generator.yml"
    settings.write_text("models: {mine: {like: proteus-v0.2, repository: someone/tiny}}")
    monkeypatch.setenv("EASEL_SETTINGS", str(settings))
    assert main(["fetch", "nonesuch"]) == 1
    assert capsys.readouterr().err.endswith(", mine.\n")
