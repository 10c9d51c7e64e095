"""What both sides' tests need: the stand-in model, built once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def stand_in_folder(models_dir: Path) -> Path:
    # Here, so that tests of the bot alone do not wait for torch.
    from generator.stand_in import build_stand_in

    return build_stand_in(models_dir)
