"""A source of bytes cut into parts that can be sent again: windows of a file, or pieces gathered in a spool."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from framehaul.errors import DigestMismatch
from framehaul.storage.disk import disk_errors

# Fewer than this go in one request. A store takes 5 MiB or more for each part but the last, and 10,000 parts.
PART_BYTES = 16 << 20
_PARTS_OF_ONE_SIZE = 1000
_SPOOLED_IN_MEMORY_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """A stretch of the source; `body` is good until the next part is asked for."""

    body: BinaryIO
    size: int
    is_last: bool


def part_bytes(index: int) -> int:
    """Say how big a part is: 16 MiB, doubled after every thousand, so that 10,000 are enough for 5 TiB."""
    return PART_BYTES << (index // _PARTS_OF_ONE_SIZE)


def file_parts(file: BinaryIO, size: int, place: str) -> Generator[Part]:
    """Cut an open file; nothing is copied."""
    start, index = 0, 0
    while True:
        length = min(part_bytes(index), size - start)
        yield Part(cast(BinaryIO, _Window(file, start, length, place)), length, start + length == size)
        start, index = start + length, index + 1
        if start == size:
            return


def spooled_parts(pieces: Iterable[bytes]) -> Generator[Part]:
    """Gather pieces into parts, on disk beyond the first MiB; what `pieces` raises passes untouched."""
    source, index = (piece for piece in pieces if piece), 0
    rest = next(source, b"")
    with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_IN_MEMORY_BYTES) as spool:
        while True:
            size = 0
            while rest and size < part_bytes(index):
                taken = rest[: part_bytes(index) - size]
                with disk_errors(tempfile.gettempdir()):
                    spool.write(taken)
                size += len(taken)
                rest = rest[len(taken) :] or next(source, b"")
            yield Part(cast(BinaryIO, spool), size, not rest)
            if not rest:
                return
            spool.seek(0)
            spool.truncate()
            index += 1


class _Window(io.RawIOBase):
    """A stretch of an open file as a file of its own; a source that shrank meanwhile is a DigestMismatch."""

    def __init__(self, file: BinaryIO, start: int, length: int, place: str) -> None:
        self._handle = file.fileno()
        self._start = start
        self._length = length
        self._place = place
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._length - self._position)
        if wanted <= 0:
            return 0
        with disk_errors(self._place):
            found = os.preadv(self._handle, [memoryview(buffer)[:wanted]], self._start + self._position)
        if not found:
            raise DigestMismatch(f"{self._place!r} became shorter while it was sent.")
        self._position += found
        return found
