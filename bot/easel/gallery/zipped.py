"""Several pictures with their recipes as one zip file, made while it is sent: one picture is in memory at a time."""

from collections.abc import AsyncIterator
from zipfile import ZipFile

# Pictures are compressed already, and 64 of them are a few hundred megabytes on a home's line.
MAX_ZIPPED = 64


class _Pipe:
    """What a zip file is written into, and taken out of again."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes, /) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing to do: what is written is there."""

    def close(self) -> None:
        """Nothing to do either."""

    def taken(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


async def zipped(files: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    """The parts of a zip file with these files, by name."""
    pipe = _Pipe()
    with ZipFile(pipe, "w") as archive:
        async for name, data in files:
            archive.writestr(name, data)
            yield pipe.taken()
    yield pipe.taken()
