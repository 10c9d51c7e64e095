"""Keep the fastest ways of calling a model in a file, for the next start. `engine.ways` finds them; this tries none."""

import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from generator.engine.model import Model
from generator.engine.versions import version
from generator.settings import cache_dir

log = logging.getLogger(__name__)

# Packages whose version may change what is fastest.
_PACKAGES = ("torch", "triton", "diffusers", "easel")


@dataclass(frozen=True)
class Ways:
    """The fastest ways for a model, tried at its native size.

    ``step_ms`` is a step of a lone drawing with two rows, and 0 on a processor, where only ``at_once`` is measured.
    ``at_once_elsewhere`` has the ``at_once`` of other sizes, each under a text that says of which.
    """

    fused: bool = False
    half_decoder: bool = False
    recorded: bool = False
    at_once: int = 1
    step_ms: float = 0.0
    # A way could not be tried, or computed something else; this may be fixed by the next start.
    trouble: bool = False
    at_once_elsewhere: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(
            (
                "fused kernels" if self.fused else "torch's kernels",
                "recorded calls" if self.recorded else "launched calls",
                "decoding in fp16" if self.half_decoder else "decoding in fp32",
                f"up to {self.at_once} drawings at once" if self.at_once > 1 else "one drawing at a time",
                *([f"{self.step_ms:.1f} ms a step"] if self.step_ms else []),
            )
        )


class Remembered:
    """The fastest ways by key, in a JSON file. If it cannot be read or written, only the start takes longer."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or cache_dir() / "ways.json"

    def get(self, key: str) -> Ways | None:
        try:
            return Ways(**self._known()[key])
        except (LookupError, TypeError):
            return None

    def latest(self, device: torch.device, model: str) -> Ways | None:
        """Return the last ways found for a model on this device, with any versions."""
        own = [key for key in self._known() if key.startswith(_card(device)) and f"; {model} " in key]
        return self.get(own[-1]) if own else None

    def put(self, key: str, ways: Ways) -> None:
        unfinished = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({**self._known(), key: asdict(ways)}, indent=1), encoding="utf-8")
            unfinished.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written: how to draw fast is found anew at the next start: %s", self._file, error)

    def _known(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}


def key_of(model: Model, *, may_record: bool, most: int) -> str:
    """Return everything that the fastest ways depend on, as one string."""
    width, height = model.card.sizes["square"]
    return "; ".join(
        [
            _card(model.unet.device),
            " ".join(f"{package} {version(package)}" for package in _PACKAGES),
            f"{model.name} {model.revision} {model.dtype} {width}x{height}",
            f"{may_record} {most}",
        ]
    )


def _card(device: torch.device) -> str:
    if device.type != "cuda":
        return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name(device)}, driver {_driver()}"


def _driver() -> str:
    """The driver's version, as the Linux kernel reports it."""
    file = Path("/proc/driver/nvidia/version")
    return file.read_text(encoding="utf-8").splitlines()[0] if file.exists() else "unknown"
