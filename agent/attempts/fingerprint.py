"""Hold a fetched input against the fingerprint that the plan pinned."""

from __future__ import annotations

from pathlib import Path

from framehaul.storage.local import disk_fingerprint


def matches(path: Path, fingerprint: str) -> bool:
    """Say whether the file can be the one that was planned.

    Only a disk's fingerprint is made of the content; other stores' words (an ETag) cannot be checked here.
    """
    return not fingerprint.startswith("disk:") or disk_fingerprint(path) == fingerprint
