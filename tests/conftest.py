"""Fixtures for the tests of both sides: the stand-in model, built once, and the real generator with a small engine."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

# One thread for torch in each process, set before the import: threads of several processes wait for each other at
# every step, many times longer than the step takes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Kernels run without a card. Set before the import of Triton, which other libraries import if it is installed.
os.environ.setdefault("TRITON_INTERPRET", "1")

from tests.helpers.running_generator import generator, slow_generator, start_generator

__all__ = ["generator", "slow_generator", "start_generator"]

# How long an example takes depends on the machine.
hypothesis.settings.register_profile("easel", deadline=None)
hypothesis.settings.load_profile("easel")

# Folders with long tests start first, so that all processes end at about the same time.
FOLDERS = ("end_to_end", "pocket", "generator", "contract", "torture", "gallery", "bot")

# Where coverage is not measured: in tests whose subject runs in other processes, and in tests that run the lines of
# others again, such as test_engine.py's, mostly calling models. Before Python 3.12, which brought sys.monitoring,
# measuring takes a third of the time of tests: `make test-bot` measures the bot on a newer one.
UNMEASURED = {
    *("contract", "end_to_end", "gallery", "pocket"),
    *("test_captured_graphs.py", "test_draft.py", "test_every_model.py", "test_exactness.py", "test_fused.py"),
    *("test_fair_queue.py", "test_image_to_image.py", "test_memory_plan.py", "test_service_refusals.py"),
    *("test_single_file.py", "test_text.py"),
    *(["bot"] if sys.version_info < (3, 12) else []),
}

# End-to-end tests that start a household of their own.
OWN_HOUSEHOLD = ("test_default_limits.py", "test_kills.py", "test_make_run.py")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: the one that shares the household mostly waits for it."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what imports make, which stays, out of garbage collections: a sixth of imports, a tenth of the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Stop measuring for a test and its fixtures; pytest-cov's marker ``no_cover`` leaves out the fixtures.

    After each file, leave what it has imported out of garbage collections, too: a tenth of the bot's tests.
    """
    measured = coverage.Coverage.current() if UNMEASURED & {item.path.name, item.path.parent.name} else None
    if measured:
        measured.stop()
    try:
        return (yield)
    finally:
        if measured:
            measured.start()
        if nextitem is None or nextitem.path != item.path:
            gc.collect()
            gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """xdist sends reports as UTF-8, and logs of hostile events hold halves of characters."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    return report


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return Schedule(config, log)


class Schedule(LoadFileScheduling):
    """Each process gets whole files, and one of them all files that share the household, which takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid))
        return "home" if file.parent.name == "end_to_end" and file.name not in OWN_HOUSEHOLD else str(file)


def place(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that no other run has filled, for these tests and all that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Imported here, so that tests of the bot alone do not wait for torch.
    from tests.helpers.stand_in_weights import save_stand_in

    folder = tmp_path_factory.mktemp("stand-in")
    save_stand_in(folder)
    return folder


@pytest.fixture(scope="session")
def miniature_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with each large model in miniature and a LoRA for drafts."""
    from tests.helpers.miniatures import NAMES, save_lora, save_miniature

    folders = {name: tmp_path_factory.mktemp("models") / name for name in NAMES}
    for name, folder in folders.items():
        save_miniature(name, folder)
        save_lora(folder, folder / "lora.safetensors")
    return folders


@pytest.fixture(scope="session")
def miniatures(miniature_folders: dict[str, Path]) -> dict[str, Any]:
    """Settings that replace each large model's weights with its miniature."""
    from tests.helpers.miniatures import miniature_settings

    return {name: miniature_settings(name, folder) for name, folder in miniature_folders.items()}


@pytest.fixture(scope="session")
def v_prediction_folder(stand_in_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in with a VAE of 4 x 4 pixels per latent, configured for v-prediction and a vocabulary of two words."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline

    pipeline = StableDiffusionXLPipeline.from_pretrained(stand_in_folder, use_safetensors=True, add_watermarker=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline.vae = AutoencoderKL(
            block_out_channels=(8, 16, 16),
            norm_num_groups=8,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            sample_size=64,
        )
    pipeline.scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    folder = tmp_path_factory.mktemp("v-prediction")
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "words.txt").write_text("hat\notter\n")
    return folder
