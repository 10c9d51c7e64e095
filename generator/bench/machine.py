"""The facts of a run, without which its figures mean nothing: machine, versions, date and command."""

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from generator import __version__
from generator.engine.versions import version

_PACKAGES = ("torch", "diffusers", "transformers", "compel")


def facts(label: str, *, device: torch.device, dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    return {
        "model": label,
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "dtype": str(dtype).removeprefix("torch."),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
            # Above the number of cores, other programs were busy as well.
            "load_average": round(os.getloadavg()[1], 2),
        },
        "versions": {
            "easel": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m generator", *sys.argv[1:]]),
        "repeats": repeats,
    }


def _processor() -> str:
    """The processor's name on Linux; elsewhere its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
