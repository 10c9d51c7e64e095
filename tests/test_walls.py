"""Bot and generator share no code, and each works without the other's libraries."""

import subprocess
import sys

import pytest

from deploy.plugin import ROOT

# Imports every module of a package in a Python that cannot find the blocked packages, like a machine without them.
IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys
names, blocked = (set(argument.split(",")) for argument in sys.argv[1:])

class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is behind the wall", name=name)

sys.meta_path.insert(0, Wall())
for name in names:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
print(len(sys.modules))
"""

DRAWING = "torch,diffusers,transformers,compel,accelerate,peft,safetensors"
MATRIX = "maubot,mautrix,nio,synapse,ruamel"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("modules", "blocked"),
    [
        pytest.param("bot", f"generator,yaml,pydantic,PIL,blurhash,prometheus_client,{DRAWING}", id="bot"),
        pytest.param("generator", f"bot,ray,{MATRIX}", id="generator"),
        pytest.param("generator.service,generator.cluster", f"bot,ray,{MATRIX},{DRAWING}", id="the server's process"),
        pytest.param("generator.api", f"bot,aiohttp,PIL,{MATRIX},{DRAWING}", id="the contract"),
    ],
)
def test_imports_without_the_other_side(modules: str, blocked: str) -> None:
    result = run("-c", IMPORT_ALL, modules, blocked)
    assert result.returncode == 0, result.stderr


def test_the_wall_of_this_test_stops_imports() -> None:
    result = run("-c", IMPORT_ALL, "bot", "aiohttp")
    assert "aiohttp is behind the wall" in result.stderr


def test_help_of_the_generator_does_not_wait_for_torch() -> None:
    result = run("-X", "importtime", "-m", "generator", "--help")
    assert result.returncode == 0 and "| torch\n" not in result.stderr
