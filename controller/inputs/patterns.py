"""Patterns for paths: `*` stays within a folder's name, `**` goes to any depth."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase

_MAGIC = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Say whether a text could be a pattern; a file may be called so all the same."""
    return _MAGIC.search(text) is not None


def fits(path: str, pattern: str) -> bool:
    """Say whether a path below a named input fits: by the whole path or by a folder above it.

    A pattern without a slash (`*.mp4`, `drafts`) is held against every name on the way, at any depth.
    """
    names, parts = _parts(path), _parts(pattern)
    if len(parts) == 1 and parts[0] != "**" and not pattern.startswith("/"):
        return any(fnmatchcase(name, parts[0]) for name in names)
    return is_within(path, pattern)


def is_within(path: str, pattern: str) -> bool:
    """Say whether the pattern names this path or a folder above it, as what a shell lists is walked."""
    return any(reached > 0 for reached in _reached(_parts(path), _parts(pattern)))


def is_whole(path: str, pattern: str) -> bool:
    """Say whether the pattern names this very path, not only a folder above it."""
    names = _parts(path)
    return len(names) in _reached(names, _parts(pattern))


def _parts(text: str) -> list[str]:
    # One spelling of accents: a Mac writes é as two characters.
    return [part for part in unicodedata.normalize("NFC", text).split("/") if part]


def _reached(names: Sequence[str], parts: Sequence[str]) -> set[int]:
    """Count how many names each way of fitting the pattern uses up; linear, whatever the pattern."""
    reached = {0}
    for part in parts:
        if part == "**":
            reached = set(range(min(reached), len(names) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(names) and fnmatchcase(names[at], part)}
    return reached
