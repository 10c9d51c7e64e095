"""Measure how full a device's memory is, other programs included: a game may hold the card."""

import psutil
import torch

from generator.api.types import Memory


def memory_of(device: torch.device) -> Memory:
    """Measure the memory of a card, or of the machine for the device ``cpu``."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
    else:
        machine = psutil.virtual_memory()
        free, total = machine.available, machine.total
    return Memory(used_bytes=total - free, total_bytes=total)
