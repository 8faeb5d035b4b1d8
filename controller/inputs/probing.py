"""Read a video's header wherever its bytes lie, by ranged reads."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from controller.inputs.sources import Source
from framehaul.errors import MediaError
from framehaul.media.probe import MediaInfo, probe
from framehaul.storage.base import Store, Stores

_READ_AHEAD_BYTES = 256 << 10


def probe_source(source: Source, stores: Stores, *, allow_truncated: bool = False) -> MediaInfo:
    """Read the header by ranged reads; MediaError when it is no video, or breaks off and that is not allowed."""
    if source.size == 0:
        raise MediaError(f"{source.name} is empty (0 bytes).")
    with io.BufferedReader(_RangedReader(source, stores.open(source.uri)), _READ_AHEAD_BYTES) as reader:
        return probe(cast(BinaryIO, reader), allow_truncated=allow_truncated)


class _RangedReader(io.RawIOBase):
    """A seekable file over a store's ranged reads, so that only the header travels."""

    def __init__(self, source: Source, store: Store) -> None:
        if source.size is None:
            raise MediaError(f"{source.name}: its server does not say how long it is.")
        self.name = source.name
        self._store, self._uri, self._size = store, source.uri, source.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._size, self._at + len(buffer))
        if self._at >= end:
            return 0
        data = b"".join(self._store.get(self._uri, self._at, end))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
