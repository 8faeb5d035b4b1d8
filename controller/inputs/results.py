"""Tell results from inputs where both lie in one folder: by the manifest that lies beside each result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from framehaul.storage.base import Entry

RESULTS_NAME = "results.json"
_MANIFEST = ".manifest.json"
_BESIDE = (".preview.jpg", RESULTS_NAME)


def without_results(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Leave out what earlier runs made: manifests, what they speak of, previews and reports. Holds a handful.

    Entries come in the byte order of their keys. So between a file and its manifest lie only names that begin with
    the file's whole name, and a file is let go as soon as a name comes that does not.
    """
    held: list[Entry] = []  # each one's key begins with the key of the one before
    for entry in entries:
        key = entry.uri.key
        while held and not _may_precede(held[-1].uri.key, key):
            yield held.pop()
        if key.endswith(_MANIFEST):
            made = key.removesuffix(_MANIFEST)
            held = [other for other in held if other.uri.key != made]
        elif not key.endswith(_BESIDE):
            held.append(entry)
    yield from held


def _may_precede(key: str, later: str) -> bool:
    """Say whether the manifest of a file may still come, now that a later key has."""
    return later.startswith(key) and later <= key + _MANIFEST
