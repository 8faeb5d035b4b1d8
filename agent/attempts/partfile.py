"""An input while it arrives: bytes are appended to a part file, and moved into place when they are whole."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from pathlib import Path

from agent.attempts.fingerprint import matches
from framehaul.atomic import sync_folder

_BATCH_BYTES = 1 << 20


class PartFile:
    """Append-only; writes in batches off the event loop. What was appended survives an interruption."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # What the store called the content when the first byte came: an ETag or a date.
        self._validator = path.with_suffix(".validator")
        self._batch = bytearray()

    def size(self) -> int:
        """Count the bytes that lie on disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        """What the store called the content of which this is a part; empty where it gave no name."""
        return self._validator.read_text() if self._validator.exists() else ""

    def restart(self, validator: str = "") -> None:
        """Forget what came, and remember what the store calls the content that comes now."""
        self._batch.clear()
        self.path.write_bytes(b"")
        self._validator.write_text(validator)

    def open(self) -> io.FileIO:
        """Open for appending, for one thread that writes by itself; nothing waits in memory."""
        return self.path.open("ab", buffering=0)

    async def append(self, data: bytes) -> None:
        """Take the next bytes; OSError when the disk is full, with what fitted kept."""
        self._batch += data
        if len(self._batch) >= _BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits in memory."""
        batch, self._batch = bytes(self._batch), bytearray()
        if not batch:
            return
        writing = asyncio.create_task(asyncio.to_thread(self._write, batch))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:  # the thread goes on: no other may write before it is done
            await asyncio.wait({writing})
            raise

    def truncate(self, size: int) -> None:
        """Drop what came after the first `size` bytes."""
        self._batch.clear()
        if self.path.exists():
            os.truncate(self.path, size)

    def free_bytes(self) -> int:
        """Say how much room the disk has."""
        return shutil.disk_usage(self.path.parent).free

    async def place(self, target: Path, fingerprint: str) -> bool:
        """Move the whole file into place; False, and nothing kept, when it is not what the plan pinned."""
        return await asyncio.to_thread(self._place, target, fingerprint)

    def _write(self, batch: bytes) -> None:
        with self.path.open("ab", buffering=0) as file:
            left = memoryview(batch)
            while left:
                left = left[file.write(left) :]

    def _place(self, target: Path, fingerprint: str) -> bool:
        self.path.touch()
        self._validator.unlink(missing_ok=True)
        if not matches(self.path, fingerprint):
            self.path.unlink()
            return False
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        sync_folder(target.parent)
        return True
