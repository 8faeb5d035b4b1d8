"""Results as runs leave them in a store: objects, and the markers that vouch for them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framehaul.contract.naming import done_marker
from framehaul.contract.receipt import CHUNK_BYTES, ChunkHasher, OutputReceipt, Receipt
from framehaul.contract.wire import canonical_json
from tests.controller.desks import HOUR


def receipt_for(files: dict[str, bytes], *, chunk_bytes: int = CHUNK_BYTES) -> Receipt:
    """Write the receipt of a job whose first file is the result, and whose second is the manifest."""
    slots = ("result", "manifest")
    entries = tuple(
        entry_for(slot, name, data, chunk_bytes=chunk_bytes)
        for slot, (name, data) in zip(slots, files.items(), strict=False)
    )
    return Receipt(job_id="b-1-00001", attempt=1, spec_digest="0" * 64, outputs=entries, finished_at=HOUR)


def entry_for(slot: str, name: str, data: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> OutputReceipt:
    """Write what a receipt says of one file. Its address is another bucket's: nobody may go by it."""
    hasher = ChunkHasher(chunk_bytes)
    hasher.update(data)
    return hasher.receipt(slot, name, f"b2://somebody-else/{hashlib.sha256(name.encode()).hexdigest()[:8]}")


def marker_for(receipt: Receipt, folder: str = "", **more: Any) -> bytes:
    """Write what a done-marker holds."""
    return canonical_json({"version": 1, "folder": folder, "receipt": receipt.model_dump(mode="json"), **more})


def noise(size: int, seed: int = 1) -> bytes:
    """Make bytes that no two chunks share."""
    return random.Random(seed).randbytes(size)


@dataclass
class Trophies:
    """An output folder on this disk, which may be a bucket's."""

    root: Path

    def leaves(self, folder: str, files: dict[str, bytes], *, chunk_bytes: int = CHUNK_BYTES, **more: Any) -> Receipt:
        """Leave a job's files and their marker."""
        receipt = receipt_for(files, chunk_bytes=chunk_bytes)
        for name, data in files.items():
            path = self.root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.vouches(marker_for(receipt, folder, **more), folder + next(iter(files)))
        return receipt

    def vouches(self, content: bytes, of: str) -> Path:
        """Leave a marker alone."""
        path = self.root / done_marker(f"disk:1:{of}", "d" * 64)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def files_in(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
