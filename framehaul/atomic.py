"""Write a file so that a reader sees the old one or the new one, never a half."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_atomic(path: Path, content: bytes | str | Iterable[bytes], *, mode: int = 0o644) -> None:
    """Write beside the target, flush to disk, rename over it, and flush the folder's own entry.

    What is too large for memory comes in pieces; what they raise comes through, and the old file stays.
    """
    whole = content.encode() if isinstance(content, str) else content
    pieces = [whole] if isinstance(whole, bytes) else whole
    # Not named after the target, whose name may be as long as names can be.
    draft = path.with_name(f".{secrets.token_hex(12)}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
