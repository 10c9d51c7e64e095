"""Wakes the machine with the card over the network: a magic packet to its MAC address."""

import asyncio
import socket

# Discard, the customary port; network cards look at the bytes alone.
PORT = 9


def magic_packet(mac: str) -> bytes:
    """The packet that wakes a sleeping network card. Source: AMD, Magic Packet Technology, publication 20213."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "").replace("-", "")) * 16


async def wake(mac: str, address: str, *, port: int = PORT) -> None:
    """Send a magic packet to ``address``, a broadcast address. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        await asyncio.get_running_loop().sock_sendto(sender, magic_packet(mac), (address, port))
