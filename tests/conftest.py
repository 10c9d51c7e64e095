"""What both sides' tests need: the stand-in model, built once, and the real generator around a small engine."""

import sys
from pathlib import Path

import pytest

# A lane's process finds the small engines by their module's name, and takes its path from here.
sys.path.insert(0, str(Path(__file__).parent / "generator"))

from running_generator import generator, slow_generator, start_generator

__all__ = ["generator", "slow_generator", "start_generator"]


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def stand_in_folder(models_dir: Path) -> Path:
    # Here, so that tests of the bot alone do not wait for torch.
    from generator.drawing.stand_in import build_stand_in

    return build_stand_in(models_dir)
