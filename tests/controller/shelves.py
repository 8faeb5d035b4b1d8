"""Stores for tests: the disk's own with every read counted, and an object too big for any disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from framehaul.contract.grants import InputGrant, OutputGrant
from framehaul.contract.receipt import OutputReceipt
from framehaul.contract.uris import Uri
from framehaul.errors import NotSupported
from framehaul.storage.base import Entry, Want
from framehaul.storage.local import LocalStore


class CountingShelf(LocalStore):
    """The disk, and every span that was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int | None]] = []
        self.opened: set[str] = set()

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Note the span, and read it."""
        self.reads.append((start, end))
        self.opened.add(uri.key)
        return super().get(uri, start, end)


@dataclass
class HugeShelf:
    """One object whose chunk n holds the number n again and again; it exists only while it is read."""

    size: int
    chunk_bytes: int
    damaged: frozenset[int] = frozenset()
    reads: list[tuple[int, int | None]] = field(default_factory=list)

    def chunk(self, index: int) -> bytes:
        """Make a chunk as it should be."""
        size = min(self.chunk_bytes, self.size - index * self.chunk_bytes)
        return (index.to_bytes(8, "big") * (size // 8 + 1))[:size]

    def receipt(self, slot: str = "result") -> OutputReceipt:
        """Write the receipt of the object as it should be; the whole's digest is never looked at by samples."""
        count = -(-self.size // self.chunk_bytes)
        chunks = tuple(hashlib.sha256(self.chunk(index)).hexdigest() for index in range(count))
        return OutputReceipt(
            slot=slot,
            name="huge.mp4",
            uri="relay:huge",
            size=self.size,
            sha256="0" * 64,
            chunk_bytes=self.chunk_bytes,
            chunks=chunks,
        )

    def chunks_read(self) -> list[int]:
        """Name the chunks of which anything was read."""
        return sorted({start // self.chunk_bytes for start, _ in self.reads})

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Give the object."""
        yield self.stat(prefix)

    def stat(self, uri: Uri) -> Entry:
        """Describe it."""
        return Entry(uri, self.size, "huge")

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Make the bytes of one chunk, as they are on this shelf."""
        self.reads.append((start, end))
        index, offset = divmod(start, self.chunk_bytes)
        data = self.chunk(index)
        if index in self.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        stop = len(data) if end is None else end - index * self.chunk_bytes
        yield data[offset:stop]

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Refuse."""
        raise NotSupported("This shelf is only read.")

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Refuse."""
        raise NotSupported("This shelf is only read.")

    def abort(self, grant: OutputGrant) -> None:
        """Refuse."""
        raise NotSupported("This shelf is only read.")
