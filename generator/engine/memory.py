"""How full a device's memory is, whoever fills it: a game that holds the card must be seen."""

import psutil
import torch

from generator.api.types import Memory


def memory_of(device: torch.device) -> Memory:
    """The card's own memory, or the machine's where there is no card."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
    else:
        machine = psutil.virtual_memory()
        free, total = machine.available, machine.total
    return Memory(used_bytes=total - free, total_bytes=total)
