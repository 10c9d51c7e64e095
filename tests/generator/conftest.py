import huggingface_hub.constants
import pytest


@pytest.fixture
def no_hub_cache(tmp_path, monkeypatch):
    """Hide all fetched weights. Patches the library, which reads its environment only once."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
