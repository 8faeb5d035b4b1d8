"""What a restart need not redo: one JSON object a line, flushed before anyone relies on it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

from framehaul.contract.wire import Json, canonical_json

# The worker has the job: `at` is the hour, `inputs` the sizes of what it was given.
STARTED = "started"
# Every output lies in out/ with the size told; only now are outputs trusted.
COMPUTED = "computed"
# A store has a part of an output: the upload, where the part lies in the file, and what the store calls it.
PART = "part"
# An output slot is where its grant wanted it, or its fetcher holds it.
DELIVERED = "delivered"


class Journal:
    """Append-only notes of one attempt. A line torn by a crash counts as never written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = _read(path)

    def add(self, event: str, **facts: Json) -> None:
        """Write one event and flush it to disk; OSError, and nothing noted, where it does not fit."""
        entry: dict[str, Json] = {"event": event, **facts}
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _append(handle, _mend(handle) + canonical_json(entry) + b"\n")
        finally:
            os.close(handle)
        self._entries.append(entry)

    def last(self, event: str) -> dict[str, Json] | None:
        """Give the latest entry of this kind."""
        return next((entry for entry in reversed(self._entries) if entry["event"] == event), None)

    def since(self, marker: str, event: str) -> list[dict[str, Json]]:
        """List the entries of a kind that came after the latest marker."""
        kinds = [entry["event"] for entry in self._entries]
        start = len(kinds) - kinds[::-1].index(marker) if marker in kinds else 0
        return [entry for entry in self._entries[start:] if entry["event"] == event]

    def slots(self, event: str) -> set[str]:
        """Collect the slots that this kind of event names."""
        return {str(entry["slot"]) for entry in self._entries if entry["event"] == event and "slot" in entry}


def _append(handle: int, line: bytes) -> None:
    """Write the whole line or nothing: a disk that fills up takes a part of it without an error."""
    size = os.fstat(handle).st_size
    left = memoryview(line)
    try:
        while left:
            written = os.write(handle, left)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left = left[written:]
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise


def _mend(handle: int) -> bytes:
    """Give the newline that a torn last line lacks."""
    size = os.fstat(handle).st_size
    return b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""


def _read(path: Path) -> list[dict[str, Json]]:
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("event"), str):
            entries.append(entry)
    return entries
